"""Why a training check could not run, and why a model could not be trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from mlrules_mcp.training.places import Place

QUOTED_CHARACTERS = 300
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory")
INSTALL = 'pip install "mlrules-mcp[train]"'

Reason: TypeAlias = Literal[
    "bad-argument",
    "bad-target",
    "not-installed",
    "device-absent",
    "timed-out",
    "limit",
    "out-of-memory",
    "worker-died",
]


class TrainingError(Exception):
    """The training check could not run; the text says why and what to do next.

    Attributes:
        reason: the kind of failure, for programs.
        log: the last of what the worker printed, where that helps; else empty.
    """

    def __init__(self, reason: Reason, message: str, log: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.log = log

    def __str__(self) -> str:
        """The message, then the log."""
        message = str(self.args[0])
        return f"{message}\n{self.log}" if self.log else message


class TrainingFailedError(Exception):
    """The model raised while it was made or trained: a fault that the checks report.

    Attributes:
        place: the line of the model's own source to blame, None if it is none of them.
    """

    def __init__(self, message: str, place: Place | None) -> None:
        super().__init__(message)
        self.place = place


class NotApplicableError(Exception):
    """A check has nothing to say of this model; the text says why."""


class NotSimulatedError(Exception):
    """The simulated accelerator can't do what the model asks of it: nothing is shown, and nobody is to blame."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY)


def quote(error: BaseException) -> str:
    """An error's kind and text on one line, cut where it gets long."""
    text = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    cut = text if len(text) <= QUOTED_CHARACTERS else text[:QUOTED_CHARACTERS] + "…"
    return f"{type(error).__name__}: {cut}" if cut else type(error).__name__
