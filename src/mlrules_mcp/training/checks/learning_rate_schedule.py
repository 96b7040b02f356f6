"""learning-rate-schedule."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mlrules_mcp.training import places
from mlrules_mcp.training.checks import TrainingCheck
from mlrules_mcp.training.result import CheckOutcome, Figure

if TYPE_CHECKING:
    from mlrules_mcp.training.trials import Trials

NOTHING = 1e-3


class LearningRateSchedule(TrainingCheck):
    """The learning rate goes as its schedule is meant to: the rates of all steps are followed.

    It breaks where a rate is negative or not finite; where what remains after the first of several epochs is less
    than a thousandth of the largest rate, as when a schedule for epochs is stepped with every batch; and where a
    module that runs its optimizers itself never steps its scheduler. A constant rate is not judged, and neither is
    a schedule that these few epochs are too short for. With several optimizers, the first one is followed.
    """

    name = "learning-rate-schedule"
    rule = "deep_learning_rules.learning_rate_scheduling"

    def run(self, trials: Trials) -> CheckOutcome:
        """Follow the rates of the first training."""
        trial = trials.first
        rates, epochs = trial.recorder.rates, trial.recorder.rates_by_epoch
        configs = trial.trainer.lr_scheduler_configs
        if not rates:
            return self.outcome(trials, "not_applicable", "The optimizer took no step.")
        if not configs:
            return self.outcome(trials, "not_applicable", f"There is no schedule; the rate is {rates[0]:g}.")
        scheduler, largest = configs[0].scheduler, max(rates)
        name, interval = type(scheduler).__name__, configs[0].interval
        figures: dict[str, Figure] = {
            "rate_first": rates[0],
            "rate_largest": largest,
            "rate_last": rates[-1],
            "rates": len(set(rates)),
            "schedule": f"{name} each {interval}",
        }
        place = places.of_function(trial.model.configure_optimizers)
        if wrong := next((rate for rate in rates if not math.isfinite(rate) or rate < 0), None):
            message = f"{name} makes the learning rate {wrong:g} in step {rates.index(wrong) + 1}."
            return self.outcome(trials, "broken", message, place=place, figures=figures)
        if not trial.model.automatic_optimization and not getattr(scheduler, "last_epoch", 1):
            message = f"{name} is never stepped: a module that runs its optimizers itself has to step its schedulers."
            return self.outcome(trials, "broken", message, place=place, figures=figures)
        rest = [rate for epoch in epochs[1:] for rate in epoch]
        if rest and max(rest) < NOTHING * largest:
            message = (
                f"After one epoch of {len(epochs)}, {name}, stepped each {interval}, has taken the learning rate from "
                f"{largest:g} to {max(rest):.2g}: nothing is learnt from then on."
            )
            return self.outcome(trials, "broken", message, place=place, figures=figures)
        message = (
            f"{name}, stepped each {interval}, takes the learning rate from {rates[0]:.3g} to {rates[-1]:.3g} in "
            f"{len(rates)} steps; the largest is {largest:.3g}."
        )
        return self.outcome(trials, "met", message, figures=figures)
