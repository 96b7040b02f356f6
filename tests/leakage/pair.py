"""A script with a leak planted in it, and its clean twin."""

from __future__ import annotations

from typing import NamedTuple


class Pair(NamedTuple):
    """Two versions of a script. Lines that start with `# %%` begin a cell where it is read as a notebook.

    Attributes:
        name: how the data leaks.
        check: the check that finds it.
        leaky: the script with the leak; the statement that leaks, or starts to, ends with `# LEAK`.
        clean: the same work done right.
    """

    name: str
    check: str
    leaky: str
    clean: str
