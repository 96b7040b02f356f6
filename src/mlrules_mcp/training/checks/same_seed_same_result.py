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
    strategies = frozenset({"ddp"})

    def run(self, trials: Trials) -> CheckOutcome:
        """Compare the first training with the second."""
        first, second = trials.first, trials.second
        allowed = 0.0 if trials.device == "cpu" else TOLERANCE
        losses, again = first.recorder.losses, second.recorder.losses
        apart_losses, _ = compare.largest_difference({"": losses}, {"": again})
        apart_validation, _ = compare.largest_difference(
            {"": losses.new_tensor(first.recorder.validation)},
            {"": losses.new_tensor(second.recorder.validation)},
        )
        apart_weights, weight = compare.largest_difference(first.model.state_dict(), second.model.state_dict())
        figures = {
            "losses_apart": apart_losses,
            "validation_apart": apart_validation,
            "weights_apart": apart_weights,
            "allowed": allowed,
        }
        steps = len(losses)
        if max(apart_losses, apart_validation, apart_weights) <= allowed:
            extent = "to the last bit" if allowed == 0 else f"within {allowed:g} of the largest value"
            message = f"Two trainings from seed {trials.seed} agree {extent}: {steps} losses, validation, weights."
            return self.outcome(trials, "met", message, figures=figures)

        if len(again) != steps:
            where = f"one took {steps} steps, the other {len(again)}"
        elif apart_losses > allowed:
            step = int((losses != again).nonzero()[0].item())
            where = f"the loss of step {step + 1} is {losses[step].item():.9g} and {again[step].item():.9g}"
        elif apart_weights > allowed:
            where = f"the losses agree, the weights of {weight} do not"
        else:
            where = f"losses and weights agree, {first.recorder.metric} does not"
        message = f"Two trainings from seed {trials.seed} do not agree: {where}."
        return self.outcome(trials, "broken", message, figures=figures)
