"""same-seed-same-result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlrules_mcp.training import compare
from mlrules_mcp.training.checks import TrainingCheck
from mlrules_mcp.training.result import CheckOutcome

if TYPE_CHECKING:
    from mlrules_mcp.training.trials import Trials

TOLERANCE = 1e-3


class SameSeedSameResult(TrainingCheck):
    """Two trainings from the same seed agree: in every loss, every validation value and every weight.

    On a CPU to the last bit. On an accelerator within 0.1 % of the largest value of each, because some of its
    operations have no deterministic form. The message says where they part first.
    """

    name = "same-seed-same-result"
    rule = "tracking_rules.reproducible_experiments"

    def run(self, trials: Trials) -> CheckOutcome:
        """Compare the first training with the second."""
        first, second = trials.first, trials.second
        allowed = 0.0 if trials.device == "cpu" else TOLERANCE
        losses, _ = compare.largest_difference({"": first.recorder.losses}, {"": second.recorder.losses})
        weights, weight = compare.largest_difference(first.model.state_dict(), second.model.state_dict())
        before, after = first.recorder.validation, second.recorder.validation
        ...
