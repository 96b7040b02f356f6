"""Selections of columns, by name or by position."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, TypeAlias

Name: TypeAlias = str | int
Span: TypeAlias = tuple[int | None, int | None]


class Columns(NamedTuple):
    """Some columns of a table.

    Attributes:
        names: only these, strings or positions; None is all.
        without: not these.
        span: only the positions from the first to before the second, as in a slice.
        known: whether that is all there is to say; otherwise more columns may be missing.
    """

    names: frozenset[Name] | None = None
    without: frozenset[Name] = frozenset()
    span: Span | None = None
    known: bool = True

    def holds(self, name: Name) -> Literal["yes", "no", "maybe"]:
        """Whether a column is among these."""
        if name in self.without:
            return "no"
        if self.names is not None:
            if name in self.names:
                return "yes" if self.known else "maybe"
            return (
                "no"
                if all(isinstance(each, type(name)) for each in self.names) and _same_end(name, self.names)
                else "maybe"
            )
        if self.span is not None:
            inside = _inside(name, self.span) if isinstance(name, int) else "maybe"
            return inside if self.known or inside == "no" else "maybe"
        if isinstance(name, int) and self.without:
            return "maybe"
        return "yes" if self.known else "maybe"

    def of(self, source: Columns) -> Columns:
        """These columns of what is itself a selection, as columns of the table that `source` selects from."""
        if self == EVERY_COLUMN:
            return source
        if source == EVERY_COLUMN:
            return self
        names = self.names if source.names is None else source.names
        if self.names is not None and source.names is not None:
            names = self.names & source.names
        by_name = self.span is None and source.span is None and all(isinstance(name, str) for name in names or ())
        return Columns(
            names if by_name else None, self.without | source.without, None, by_name and self.known and source.known
        )

    def hiding(self, other: Columns) -> Columns:
        """These columns without others, where those are known by name."""
        if other.names is None or not other.known:
            return self
        return self._replace(without=self.without | other.names)

    def overlaps(self, other: Columns) -> bool:
        """Whether a column may be in both."""
        if other.names is not None:
            return not other.known or any(self.holds(name) != "no" for name in other.names)
        if self.names is not None:
            return not self.known or any(other.holds(name) != "no" for name in self.names)
        return True


EVERY_COLUMN = Columns()
SOME_COLUMNS = Columns(known=False)


def only(names: Iterable[Name]) -> Columns:
    """The columns with these names."""
    return Columns(frozenset(names))


def _same_end(name: Name, others: Iterable[Name]) -> bool:
    """Whether positions are all counted from the same end, so that different ones are different columns."""
    return isinstance(name, str) or all((name < 0) == (other < 0) for other in others if isinstance(other, int))


def _inside(position: int, span: Span) -> Literal["yes", "no", "maybe"]:
    start, stop = span
    after = _before(position, start, True)
    before = _before(position, stop, False)
    if "no" in (after, before):
        return "no"
    return "maybe" if "maybe" in (after, before) else "yes"


def _before(position: int, bound: int | None, is_start: bool) -> Literal["yes", "no", "maybe"]:
    """Whether a position is on the inner side of a slice's bound."""
    if bound is None or (is_start and bound == 0):
        return "yes"
    if (position < 0) != (bound < 0):
        # Counted from different ends: the last column is behind any start, as tables go.
        return "yes" if is_start and position == -1 else "maybe"
    inner = position >= bound if is_start else position < bound
    return "yes" if inner else "no"
