"""How much of a project is read at most, and what to say once that is reached."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one review. What is beyond them is left out, and the review says so.

    Attributes:
        files: files and folders that are listed.
        python: Python files and notebooks that are read.
        bytes_read: of all files together.
        seconds: for reading the code.
    """

    files: int = 100_000
    python: int = 5_000
    bytes_read: int = 500_000_000
    seconds: float = 120.0


class Budget:
    """What is left of some limits.

    Attributes:
        reached: the limits that were reached, each in a sentence.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.bytes_read = 0
        self.reached: dict[str, str] = {}
        self._end = time.monotonic() + limits.seconds

    def read(self, size: int) -> bool:
        """Take note of bytes about to be read; False where they are too many."""
        if self.bytes_read + size > self.limits.bytes_read:
            self.reached["bytes"] = f"Reading stopped after {self.bytes_read:,} bytes: the rest was not looked at."
            return False
        self.bytes_read += size
        return True

    def late(self, left: int) -> bool:
        """Whether the time is up, with so many files left."""
        if time.monotonic() < self._end:
            return False
        self.reached["seconds"] = (
            f"Reading the code stopped after {self.limits.seconds:g} s: {left:,} Python files and notebooks "
            "were not looked at. Review a part of the project, or raise --time-limit."
        )
        return True
