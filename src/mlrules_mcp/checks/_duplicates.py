"""Rows that occur more than once, or are made from others."""

from __future__ import annotations

import ast

from mlrules_mcp.checks._leakage import data_flow
from mlrules_mcp.source import Module
from mlrules_mcp.source.data_flow.columns import EVERY_COLUMN, Name
from mlrules_mcp.source.data_flow.events import CrossValidation, Split
from mlrules_mcp.source.data_flow.lineage import ancestry, is_within
from mlrules_mcp.source.data_flow.values import Data


def duplicated_before_split(module: Module) -> dict[ast.expr, tuple[Split | CrossValidation, bool]]:
    """Where rows are multiplied, or classes thinned out, before a split: with the split, and whether rows get fewer."""
    found: dict[ast.expr, tuple[Split | CrossValidation, bool]] = {}
    events = module.fact(data_flow)
    splits: list[tuple[Split | CrossValidation, Data]] = [
        (split, data) for split in events.splits for data in split.inputs[:1]
    ]
    splits += [(each, each.features) for each in events.validations if each.features is not None]
    for event, data in splits:
        for each in ancestry(data, through_parts=False):
            if not isinstance(each.node, ast.expr):
                continue
            if each.how == "repeated" or (each.how == "stacked" and _repeats(each)):
                found.setdefault(each.node, (event, False))
            elif each.how == "rows" and each.fits:
                found.setdefault(each.node, (event, True))
    return found


def _repeats(stacked: Data) -> bool:
    """Whether some of the rows put on top of each other are the same, in the same columns."""
    for number, source in enumerate(stacked.sources):
        for other in stacked.sources[:number]:
            if (is_within(source, other) or is_within(other, source)) and _columns(source) == _columns(other):
                return True
    return False


def _columns(data: Data) -> frozenset[Name] | None:
    """The names of the columns that data holds, of those that were read; None for all."""
    selection = EVERY_COLUMN
    current = data
    while current.sources and current.how not in ("rows", "part", "stacked"):
        if current.how == "columns":
            selection = selection.of(current.columns)
        current = current.sources[0]
    return selection.names
