"""Progress of long work, on terminals only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlrules_mcp.evidence.reading import OnProgress as OnFile
    from mlrules_mcp.training.run import OnProgress, Progress


@contextmanager
def training_progress() -> Iterator[OnProgress | None]:
    """A callback that draws the steps of the training check on stderr; None where that is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Starting", total=None)

        async def show(progress: Progress) -> None:
            bar.update(task, completed=progress.done, total=progress.total, description=progress.message)

        yield show


@contextmanager
def review_progress() -> Iterator[OnFile]:
    """A callback that draws the files of a review on stderr, or nothing where that is no terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _total, _what: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Reading", total=None)
        yield lambda done, total, what: bar.update(task, completed=done, total=total or None, description=what[-40:])
