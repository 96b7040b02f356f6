"""The checks of the training check, one file each; what they are tied to can be asked without torch.

A check is a class that derives from `TrainingCheck`, in a file of its own in this folder. Its docstring says
what it shows and where it draws the line.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from mlrules_mcp.training.errors import NotApplicableError, TrainingFailedError
from mlrules_mcp.training.result import CheckOutcome, Figure, Status

if TYPE_CHECKING:
    from mlrules_mcp.training.bench import Bench
    from mlrules_mcp.training.places import Place
    from mlrules_mcp.training.trials import Trials


class TrainingCheck(ABC):
    """One thing that a training shows.

    Attributes:
        name: what has to hold, such as `gradients-reach-parameters`.
        rule: the key of the rule that it is evidence for, `block.id`.
        slow: it takes more than a few seconds, and is left to full runs.
        once: what it shows does not depend on the device; it is run on the first one alone.
        strategies: those of Lightning's strategies for several processes under which it can be run as well: all of
            the processes run it, and take the same steps.
    """

    name: ClassVar[str]
    rule: ClassVar[str]
    slow: ClassVar[bool] = False
    once: ClassVar[bool] = False
    strategies: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def run(self, trials: Trials) -> CheckOutcome:
        """Look at the trainings on one device; TrainingFailedError may pass through."""

    def outcome(
        self,
        trials: Trials,
        status: Status,
        message: str,
        *,
        place: Place | None = None,
        figures: Mapping[str, Figure] | None = None,
    ) -> CheckOutcome:
        """The outcome of this check on the device of these trainings."""
        path, line = place or (None, None)
        figures = figures or {}
        return CheckOutcome(self.name, self.rule, trials.device, status, message, path, line, figures)


class BatchCheck(TrainingCheck):
    """One thing that a fresh model and one batch show: a training that goes no further than its first step."""

    @abstractmethod
    def look(self, trials: Trials, bench: Bench) -> CheckOutcome:
        """Look at the model and the batch; NotApplicableError may pass through, and whatever the model raises."""

    def run(self, trials: Trials) -> CheckOutcome:
        """Look, if the model can be trained at all."""
        _ = trials.first
        try:
            return trials.on_first_batch(lambda bench: self.look(trials, bench))
        except NotApplicableError as error:
            return self.outcome(trials, "not_applicable", str(error))
        except TrainingFailedError as error:
            return self.failed(trials, error)

    def failed(self, trials: Trials, error: TrainingFailedError) -> CheckOutcome:
        """The outcome if looking raises and training does not: no fault, unless a check knows better."""
        return self.outcome(trials, "not_applicable", f"This can't be looked at: {error}")


@cache
def all_checks() -> tuple[TrainingCheck, ...]:
    """Every check of this folder, in the order of the files' names."""
    modules = [importlib.import_module(found.name) for found in pkgutil.iter_modules(__path__, f"{__name__}.")]
    return tuple(
        cls()
        for module in modules
        for cls in vars(module).values()
        if isinstance(cls, type) and issubclass(cls, TrainingCheck) and cls.__module__ == module.__name__
    )
