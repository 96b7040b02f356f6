"""What a fix changes, as a unified diff."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from mlrules_mcp.source import SourceFile


def unified_diff(before: SourceFile, after: SourceFile, context: int = 3) -> Iterator[str]:
    """The lines of the diff between two states of a source, without line ends; none where they are equal.

    Args:
        context: how many unchanged lines are shown around a change.
    """
    path = before.path.removeprefix("/")
    lines = difflib.unified_diff(
        before.text.splitlines(keepends=True),
        after.text.splitlines(keepends=True),
        f"a/{path}",
        f"b/{path}",
        n=context,
    )
    for line in lines:
        text = line.rstrip("\r\n")
        yield text
        if text == line:
            yield "\\ No newline at end of file"
