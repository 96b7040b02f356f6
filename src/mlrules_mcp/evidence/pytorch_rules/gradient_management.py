from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import CodeCollector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.programs import NETWORK
from mlrules_mcp.source.values import LIGHTNING_MODULE

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts


class GradientManagement(CodeCollector):
    """Gradients are cleared, computed and applied in the right order, and switched off where nothing is learned.

    ## Met
    Calls of `zero_grad`, `no_grad` or `inference_mode`, or a LightningModule, whose Trainer does it; and no check
    finds anything.

    ## Broken
    An error or warning of a static check.

    ## Not applicable
    No network is trained or run here.

    ## Never counts
    A training loop without these calls.

    ## References
    - https://docs.pytorch.org/docs/stable/notes/autograd.html
    """

    asks = Asked.of(calls=".zero_grad torch.no_grad torch.inference_mode torch.set_grad_enabled")
    needs = ("pytorch",)
    nothing_there = "Gradients are neither cleared nor switched off in this code: there is no PyTorch training here."
    examples = (
        Example(
            {"train.py": NETWORK},
            "met",
            ["train.py:7"],
        ),
        Example(
            {
                "train.py": """\
                import torch
                from torch import nn

                model = nn.Sequential(nn.Linear(4, 1))
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for x, y in loader:
                    nn.functional.mse_loss(model(x), y).backward()
                    optimizer.step()

                with torch.no_grad():
                    model(x)
                """
            },
            "broken",
            ["train.py:7", "train.py:10"],
            why="what is right elsewhere is shown and does not make up for it",
        ),
        Example({"features.py": "def double(x):\n    return 2 * x\n"}, "not_applicable"),
    )

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Clearing and switching off; modules that leave it to Lightning."""
        yield from (of(fact) for fact in project.calls(".zero_grad"))
        yield from (
            of(fact) for fact in project.calls("torch.no_grad", "torch.inference_mode", "torch.set_grad_enabled")
        )
        for fact in project.landmarks(LIGHTNING_MODULE):
            yield of(fact, f"Lightning's Trainer does it for `{fact.called}`")
