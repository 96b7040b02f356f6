from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence
from mlrules_mcp.evidence.collector import CodeCollector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import DEEP_TRAINING, TORCH
from mlrules_mcp.evidence.programs import NETWORK, PLAIN
from mlrules_mcp.source.values import LIGHTNING_MODULE

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts


class AvoidItemCalls(CodeCollector):
    """Training steps do not wait for the device to hand a number over.

    ## Met
    A training step (of a loop, or of a LightningModule) in which no check finds a value read each step.

    ## Broken
    An error or warning of a static check.

    ## Not applicable
    There is no training step here.

    ## Never counts
    Reads once an epoch, or every so many steps: they are fine.

    ## References
    - https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html#avoid-unnecessary-cpu-gpu-synchronization
    """

    needs = ("pytorch",)
    nothing_there = "There is no training step here."
    examples = (
        Example({"train.py": NETWORK}, "met", ["train.py:8"]),
        Example(
            {"train.py": NETWORK.replace(").backward()", ").backward(); print(nn.Linear(1, 1)(x).item())")},
            "broken",
        ),
        Example({"features.py": PLAIN}, "not_applicable"),
    )

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """The training steps."""
        trained = {of(fact) for fact in project.landmarks(DEEP_TRAINING)}
        for fact in (fact for fact in project.landmarks(TORCH) if of(fact) in trained):
            yield of(fact, f"a training step: `{fact.text}`")
        for fact in project.landmarks(LIGHTNING_MODULE):
            yield of(fact, f"the steps of `{fact.called}`")
