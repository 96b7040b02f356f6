"""Questions about where data comes from: which rows it holds, which parts of a split, what was learnt to make it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from mlrules_mcp.source.data_flow.columns import EVERY_COLUMN, Columns, Name
from mlrules_mcp.source.data_flow.events import Fit, Split
from mlrules_mcp.source.data_flow.values import Data, Role

_SAME_ROWS = frozenset({"copy", "columns", "computed", "transformed", "predicted"})
# What is set or merged into a table comes to the table's own rows.
_ROWS_OF_THE_FIRST = frozenset({"assigned", "joined"})
_MOST = 3000


def row_sources(data: Data) -> tuple[Data, ...]:
    """The sources that a data set has its rows from; none for an aggregate."""
    if data.how in _ROWS_OF_THE_FIRST:
        return data.sources[:1]
    if data.how == "statistic":
        return ()
    return data.sources


def ancestry(data: Data, *, through_parts: bool = True) -> Iterator[Data]:
    """Data and all that its rows come from, the nearest first; without `through_parts` no further than parts of
    splits.
    """
    pending = [data]
    seen = {data}
    for current in pending:
        yield current
        if len(pending) > _MOST or (current.how == "part" and not through_parts):
            continue
        for source in row_sources(current):
            if source not in seen:
                seen.add(source)
                pending.append(source)


def origins(data: Data) -> frozenset[Data]:
    """Where the rows of data come from in the end: what was read, or given."""
    if data.origins is None:
        data.origins = frozenset(each for each in ancestry(data) if not each.sources)
    return data.origins


def predictions_in(data: Iterable[Data]) -> Iterator[Data]:
    """The predictions that some data comes from, the last ones where predictions are made from others."""
    pending = list(data)
    seen = set(pending)
    for current in pending:
        if current.how == "predicted":
            yield current
        elif len(pending) < _MOST:
            for source in row_sources(current):
                if source not in seen:
                    seen.add(source)
                    pending.append(source)


def roles(data: Data) -> frozenset[Role]:
    """The parts of a split that data consists of, by the nearest split or name on every way to where it comes from."""
    found: set[Role] = set()
    pending = [data]
    seen = {data}
    for current in pending:
        if current.how in ("part", "named") and current.role is not None:
            found.add(current.role)
            continue
        if len(pending) > _MOST:
            break
        for source in row_sources(current):
            if source not in seen:
                seen.add(source)
                pending.append(source)
    return frozenset(found)


def part_of(data: Data) -> Data | None:
    """The nearest part of a split that an index is, or is taken from."""
    current = data
    while current.how in ("copy", "rows", "columns", "named") and current.sources:
        current = current.sources[0]
    return current if current.how == "part" else None


def row_sets(data: Data) -> set[Data]:
    """The sets of rows that data consists of: what was read, the parts of splits and selections of rows.

    Only where every step shows; what an unseen function makes is a set of its own.
    """
    found: set[Data] = set()
    pending = [data]
    seen = {data}
    for current in pending:
        if current.how in _SAME_ROWS or current.how == "stacked":
            sources = current.sources
        elif current.how in _ROWS_OF_THE_FIRST or (
            current.how == "either" and len({frozenset(row_sets(each)) for each in current.sources}) == 1
        ):
            sources = current.sources[:1]
        else:
            sources = ()
        if not sources or len(pending) > _MOST:
            found.add(current)
            continue
        for source in sources:
            if source not in seen:
                seen.add(source)
                pending.append(source)
    return found


def is_within(data: Data, other: Data) -> bool:
    """Whether `data` shares rows with `other` for certain: a part of what `other` holds as a whole, or the same
    rows.
    """
    outer = row_sets(other)
    pending = list(row_sets(data))
    seen = set(pending)
    for current in pending:
        if current in outer:
            return True
        for source in current.sources:
            if current.how in ("rows", "part", "named"):
                for each in row_sets(source):
                    if each not in seen:
                        seen.add(each)
                        pending.append(each)
    return False


def learnt(data: Data, *, through_parts: bool = False) -> Iterator[tuple[Data, Fit]]:
    """What was learnt to make data, or the columns of it that are still there, back to the split that made it."""
    if data.is_learnt:
        for current, _ in _looked_up(data, through_parts, True):
            if current.how == "transformed":
                for fit in current.fits:
                    yield current, fit


def visible(data: Data, *, through_parts: bool = False) -> tuple[tuple[Data, Columns], ...]:
    """Data and all that its columns come from, with the columns that are of interest at each."""
    return _looked_up(data, through_parts, False)


def _looked_up(data: Data, through_parts: bool, only_learnt: bool) -> tuple[tuple[Data, Columns], ...]:
    """What data comes from, kept: many models are fitted on the same data."""
    key = through_parts, only_learnt
    if (found := data.looked_up.get(key)) is None:
        found = data.looked_up[key] = tuple(_followed_back(data, through_parts, only_learnt))
    return found


def _followed_back(data: Data, through_parts: bool, only_learnt: bool) -> Iterator[tuple[Data, Columns]]:
    pending = [(data, EVERY_COLUMN)]
    seen = {(data, EVERY_COLUMN)}
    for current, selection in pending:
        yield current, selection
        if len(pending) > _MOST or (current.how == "part" and not through_parts):
            continue
        for step in _visible_sources(current, selection):
            if step not in seen and (step[0].is_learnt or not only_learnt):
                seen.add(step)
                pending.append(step)


def _visible_sources(data: Data, selection: Columns) -> Iterator[tuple[Data, Columns]]:
    match data.how:
        case "columns":
            yield data.sources[0], selection.of(data.columns)
        case "assigned":
            if selection.overlaps(data.columns):
                for source in data.sources[1:]:
                    yield source, EVERY_COLUMN
            yield data.sources[0], selection.hiding(data.columns)
        case (
            "copy"
            | "rows"
            | "part"
            | "named"
            | "joined"
            | "stacked"
            | "repeated"
            | "transformed"
            | "computed"
            | "either"
        ):
            single = len(data.sources) == 1 or data.how in ("joined", "stacked", "either")
            for source in data.sources:
                yield source, selection if single else EVERY_COLUMN
        case "derived" | "aggregate":
            for source in data.sources:
                yield source, EVERY_COLUMN


def named_column(data: Data) -> tuple[Data, Name] | None:
    """The table and the name, where data is one column of it as it stands there."""
    current = data
    while current.how in ("copy", "rows", "named", "part", "computed") and len(current.sources) == 1:
        current = current.sources[0]
    if current.how != "columns" or current.columns.names is None or not current.columns.known:
        return None
    if len(current.columns.names) != 1:
        return None
    return current.sources[0], next(iter(current.columns.names))


def split_inputs(data: Data) -> Iterator[Split]:
    """The splits that made data what it is, the nearest first."""
    for current in ancestry(data):
        if current.how == "part" and current.split is not None:
            yield current.split


def parts(data: Data) -> list[Data]:
    """The parts, nearest first, that some data lies in by its first sources."""
    parts: list[Data] = []
    current: Data | None = data
    while current is not None:
        if current.how == "part":
            parts.append(current)
        current = current.sources[0] if current.sources else None
    return parts


def cut(data: Data) -> Data | None:
    """The selection of rows that data is, through selections of columns and copies."""
    current = data
    while current.how in ("copy", "columns", "computed") and current.sources:
        current = current.sources[0]
    if current.how != "rows" or not _cuts(current.node):
        return None
    return current


def _cuts(node: ast.AST) -> bool:
    """Whether rows are taken by an index, a mask or a query, rather than put in order or cleaned."""
    match node:
        case ast.Subscript():
            return True
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in ("query", "head", "tail", "sample", "drop", "truncate", "split", "take")
    return False


def is_from_separate_sets(rows: Data) -> bool:
    """Whether rows are taken back out of what was put together from several sets: no split."""
    pending, seen = [rows], set()
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        if current.how == "stacked":
            return True
        pending.extend(current.sources)
    return False


def statistic(data: Data) -> Data | None:
    """The statistic that data is, through what only takes it out or rounds it."""
    current = data
    while current.how in ("copy", "columns", "rows") and current.sources:
        current = current.sources[0]
    return current if current.how == "statistic" else None


def aggregate(data: Data) -> Data | None:
    """The aggregate over groups that data is, through what only takes it out or puts it into another form."""
    current = data
    while current.how in ("copy", "columns", "computed") and current.sources:
        current = current.sources[0]
    return current if current.how == "aggregate" else None


def statistics_in(data: Data) -> list[Data]:
    """The statistics in `std`, `max - min`, `std + 1e-8`."""
    if (found := statistic(data)) is not None:
        return [found]
    if data.how == "computed":
        parts = [statistics_in(source) for source in data.sources]
        return [found for part in parts for found in part] if all(parts) else []
    return []


def is_of(data: Data, owner: Data) -> bool:
    """Whether a statistic, or an index, is of rows that come from where those of the owner come from."""
    return any(not origins(owner).isdisjoint(origins(source)) for source in data.sources)


def has_columns_of(data: Data, other: Data) -> bool:
    """Whether data has the columns of another table: it is that, or some of its rows."""
    current = data
    while current is not other and current.how in ("rows", "copy", "part", "named") and current.sources:
        current = current.sources[0]
    return current is other
