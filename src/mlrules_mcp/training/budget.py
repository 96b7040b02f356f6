"""Shares what time there is among checks, so that a slow one doesn't take what the others said."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

# What a check may take of the time that is left.
SHARE = 0.4
AGAIN = 0.5  # seconds


class OutOfTime(BaseException):
    """A check took more than its share; no `except Exception` of anyone's holds it up."""


class Budget:
    """The time for a whole run.

    Args:
        seconds: from now on; None is no limit.
    """

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    @contextmanager
    def share(self) -> Iterator[None]:
        """Raise OutOfTime in the block once it has taken its share of what is left, as soon as Python runs code.

        Only the main thread of a platform with timers can be interrupted so; elsewhere nothing is.
        """
        interrupts = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
        if self._end is None or not interrupts:
            yield
            return
        usual = signal.signal(signal.SIGALRM, _raise)
        seconds = max(0.001, SHARE * (self._end - time.monotonic()))
        # Again and again: a signal that comes just before something blocks does not wake it.
        signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, usual)


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    raise OutOfTime
