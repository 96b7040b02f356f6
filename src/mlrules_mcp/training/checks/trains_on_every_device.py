"""trains-on-every-device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlrules_mcp.training.checks import TrainingCheck
from mlrules_mcp.training.errors import TrainingFailedError
from mlrules_mcp.training.result import CheckOutcome, Figure

if TYPE_CHECKING:
    from mlrules_mcp.training.trials import Trials


class TrainsOnEveryDevice(TrainingCheck):
    """The model trains: nothing raises, every loss is finite, and the loss falls.

    The loss falls if its mean over the last fifth of the steps is below that over the first fifth. Where the
    model's ModelCheckpoint says which way its metric should go, the metric must end better than it was before
    training, too. What raises is broken at the innermost line of the model's own source. A training that is cut short,
    as that of a user's own model is, is met unless something raises or a loss is not finite: that the loss does not
    fall in so few steps is no fault.
    """

    name = "trains-on-every-device"
    rule = "pytorch_rules.device_agnostic_code"
    strategies = frozenset({"ddp", "fsdp"})

    def run(self, trials: Trials) -> CheckOutcome:
        """Follow the losses of the first training."""
        try:
            seen = trials.first.recorder
        except TrainingFailedError as error:
            message = f"Training on {trials.device} raised {error}"
            return self.outcome(trials, "broken", message, place=error.place)
        losses = seen.losses
        steps = len(losses)
        if not steps:
            message = "The training step returns no loss to follow."
            return self.outcome(trials, "not_applicable", message)
        if not losses.isfinite().all():
            step = int((~losses.isfinite()).nonzero()[0].item()) + 1
            value = losses[step - 1].item()
            message = f"The loss is {value} at step {step} of {steps}."
            return self.outcome(trials, "broken", message, figures={"steps": steps, "first_bad_step": step})

        fifth = max(1, steps // 5)
        before, after = losses[:fifth].mean().item(), losses[-fifth:].mean().item()
        figures: dict[str, Figure] = {"steps": steps, "loss_before": before, "loss_after": after}
        if not after < before and trials.subject.batches is not None:
            message = (
                f"{steps} steps raise nothing and every loss is finite, {before:.4g} at first and {after:.4g} at last; "
                "whether it falls for good takes more steps."
            )
            return self.outcome(trials, "met", message, figures=figures)
        if not after < before:
            message = (
                f"The loss does not fall: {before:.4g} over the first {fifth} of {steps} steps, "
                f"{after:.4g} over the last {fifth}."
            )
            return self.outcome(trials, "broken", message, figures=figures)
        message = f"The loss falls from {before:.4g} to {after:.4g} in {steps} steps"
        if seen.mode is None or trials.subject.batches is not None:
            return self.outcome(trials, "met", f"{message}.", figures=figures)

        start, end = seen.validation[0], seen.validation[-1]
        figures |= {"metric_before": start, "metric_after": end}
        if not (end > start if seen.mode == "max" else end < start):
            message += f", but {seen.metric} is no better: {start:.4g} before training, {end:.4g} after."
            return self.outcome(trials, "broken", message, figures=figures)
        message += f" and {seen.metric} goes from {start:.4g} to {end:.4g}."
        return self.outcome(trials, "met", message, figures=figures)
