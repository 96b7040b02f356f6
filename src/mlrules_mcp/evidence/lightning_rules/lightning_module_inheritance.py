from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.networks import LIGHTNING_TRAINED, TRAINED, no_lightning, place_to_change
from mlrules_mcp.source.values import LIGHTNING_MODULE

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts


class LightningModuleInheritance(Collector):
    """What is trained in a project that uses Lightning is a LightningModule.

    ## Met
    A class that inherits from LightningModule, directly or through a class of the project.

    ## Broken
    A static check finds step methods outside of a LightningModule, or another module in a Trainer.

    ## Not applicable
    The project does not use Lightning.

    ## Never counts
    An import of Lightning without a class.

    ## References
    - https://lightning.ai/docs/pytorch/stable/common/lightning_module.html
    """

    would_count = "a class that inherits from `LightningModule`"
    examples = (
        Example({"train.py": LIGHTNING_TRAINED}, "met", ["train.py:6"]),
        Example(
            {
                "train.py": LIGHTNING_TRAINED,
                "other.py": """\
                import lightning as L
                import torch
                from torch import nn


                class Other(nn.Module):
                    def training_step(self, batch, batch_idx):
                        return self.layer(batch).mean()

                    def configure_optimizers(self):
                        return torch.optim.SGD(self.parameters(), lr=0.1)
                """,
            },
            "broken",
        ),
        Example({"train.py": TRAINED}, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where nothing is made with Lightning."""
        return no_lightning(project)

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """The classes."""
        yield from (of(fact) for fact in project.landmarks(LIGHTNING_MODULE))

    def next_step(self, project: Facts) -> NextStep:
        """A class around the network."""
        path, line = place_to_change(project)
        return NextStep(
            "Make the trained network a LightningModule",
            "medium",
            path,
            "import lightning as L\n\n\nclass LitModel(L.LightningModule):\n"
            "    def __init__(self, net, lr: float = 1e-3):\n        super().__init__()\n"
            '        self.save_hyperparameters(ignore=["net"])\n        self.net = net\n',
            line,
        )
