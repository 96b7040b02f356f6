"""Whether rows follow each other in time, belong to groups, or have been shuffled."""

from __future__ import annotations

import ast
import re

from mlrules_mcp.checks._leakage import data_flow
from mlrules_mcp.source import Module
from mlrules_mcp.source.data_flow.lineage import visible
from mlrules_mcp.source.data_flow.values import Data
from mlrules_mcp.source.names import argument

_TIME = re.compile(
    r"^(?!has_|is_|pickup|dropoff|birth|hire)(.*_)?(date|dates|datetime|timestamp|time_?stamp|date_?time)$",
    re.IGNORECASE,
)
_GROUP = re.compile(
    r"^(groups?|group_id|subject(_?id)?|patient(_?id)?|speaker(_?id)?|session(_?id)?|household(_?id)?|participant(_?id)?)$",
    re.IGNORECASE,
)


def ordered_columns(module: Module) -> frozenset[str]:
    """The names of columns with a date or time among those that cross-validated data comes with."""
    return frozenset(name for name in module.fact(_columns) if _TIME.search(name))


def group_columns(module: Module) -> frozenset[str]:
    """The names of columns that say which rows belong together."""
    return frozenset(name for name in module.fact(_columns) if _GROUP.search(name))


def _columns(module: Module) -> frozenset[str]:
    """The names of columns that the tables behind cross-validated data are seen to have."""
    events = module.fact(data_flow)
    validated = [data for split in events.splits if split.kind == "folds" for data in split.inputs[:1]]
    validated += [each.features for each in events.validations if each.features is not None]
    names: set[str] = set()
    for data in validated:
        for table, selection in visible(data, through_parts=True):
            names |= {name for name in (selection.names or frozenset()) | selection.without if isinstance(name, str)}
            names |= _parsed(table)
    return frozenset(names)


def _parsed(table: Data) -> set[str]:
    """The columns that are read as dates, or that a column is made of."""
    if table.how == "assigned":
        return {name for name in table.columns.names or () if isinstance(name, str)}
    if table.how != "read" or not isinstance(table.node, ast.Call):
        return set()
    dates = argument(table.node, "parse_dates")
    return (
        {each.value for each in ast.walk(dates) if isinstance(each, ast.Constant) and isinstance(each.value, str)}
        if dates
        else set()
    )


def shuffles(module: Module) -> bool:
    """Whether anything in a module puts rows in a random order."""
    if module.calls("shuffle", "permutation", "randperm"):
        return True
    return any(argument(call, "frac") is not None for call in module.calls("sample"))
