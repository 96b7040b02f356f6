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

from mlrules_mcp.training.result import CheckOutcome, Figure, Status

if TYPE_CHECKING:
    from mlrules_mcp.training.places import Place
    from mlrules_mcp.training.trials import Trials


class TrainingCheck(ABC):
    """One thing that a training shows.

    Attributes:
        name: what has to hold, such as `gradients-reach-parameters`.
        rule: the key of the rule that it is evidence for, `block.id`.
    """

    name: ClassVar[str]
    rule: ClassVar[str]

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
