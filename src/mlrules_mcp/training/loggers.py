"""A logger that keeps nothing, for models that talk to theirs."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch.loggers.logger import DummyLogger


class QuietLogger(DummyLogger):
    """Takes whatever a model gives its logger, by any method, and has a folder to write files into.

    Args:
        folder: that folder.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = str(folder)

    @property
    def save_dir(self) -> str:
        """The folder."""
        return self._folder

    @property
    def root_dir(self) -> str:
        """The folder."""
        return self._folder

    @property
    def log_dir(self) -> str:
        """The folder."""
        return self._folder
