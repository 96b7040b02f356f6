"""How values of later rows get into earlier ones, and what shows that rows follow each other in time."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from mlrules_mcp.source import Module
from mlrules_mcp.source.data_flow.lineage import ancestry, visible
from mlrules_mcp.source.data_flow.values import Data
from mlrules_mcp.source.names import argument

_SHIFTS = frozenset({"shift", "diff", "pct_change", "tshift"})
# What is made of a column row by row, so that it still holds what the column holds.
_KEEPS = frozenset({"computed", "copy", "columns", "rows"})
_MOST = 40
_TIME_NAME = re.compile(r"(?i)(^|_)(date|dates|datetime|timestamp|time|day)s?$|^(date|ds)")
_SUMS = frozenset("agg aggregate mean sum count nunique size median min max std first last pivot_table pivot".split())
_LAGS = frozenset({"shift", "rolling", "expanding", "ewm", "pct_change", "tshift"})


class Looks(NamedTuple):
    """An expression that gives each row something of later rows.

    Attributes:
        name: the function, for people.
        only_fills: whether it only fills what is missing.
    """

    node: ast.AST
    name: str
    only_fills: bool = False


def looks_ahead(module: Module, value: Data) -> Iterator[Looks]:
    """Where a column looks ahead, back to the columns that it is made of."""
    pending, seen = [value], {value}
    for current in pending:
        found = _look(module, current.node)
        if found is not None and (not found.only_fills or is_ordered_by_time(module, value)):
            yield found
            return
        if current.how in _KEEPS and len(seen) < _MOST and current.how != "columns":
            for source in current.sources:
                if source not in seen:
                    seen.add(source)
                    pending.append(source)


def filled_backwards(module: Module, table: Data) -> Iterator[Looks]:
    """Where a whole table whose rows follow each other in time is filled backwards."""
    for current in ancestry(table):
        found = _look(module, current.node) if current.how == "computed" else None
        if found is not None and found.only_fills and is_ordered_by_time(module, current):
            yield found
            return


def _look(module: Module, node: ast.AST) -> Looks | None:
    """How a call looks ahead: the call itself, or what its method is called on (`x.rolling(7, center=True).mean()`)."""
    current = node
    while isinstance(current, ast.Call):
        name = module.called_name(current) or ""
        if name in _SHIFTS and _is_negative(argument(current, "periods", 0)):
            return Looks(node, f"{name}({module.text(argument(current, 'periods', 0) or current)})")
        if name == "rolling" and _is_true(argument(current, "center")):
            return Looks(node, "rolling(…, center=True)")
        if name in ("bfill", "backfill") or (name == "fillna" and _fills_back(current)):
            return Looks(node, "bfill", only_fills=True)
        if module.qualified_name(current.func) == "numpy.roll" and _is_negative(argument(current, "shift", 1)):
            return Looks(node, "np.roll")
        current = current.func.value if isinstance(current.func, ast.Attribute) else None  # type: ignore[assignment]
    return None


def _is_negative(value: ast.expr | None) -> bool:
    match value:
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(number))):
            return number > 0
        case ast.UnaryOp(op=ast.USub(), operand=ast.Name()):
            return True
    return False


def _is_true(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


def _fills_back(call: ast.Call) -> bool:
    method = argument(call, "method")
    return isinstance(method, ast.Constant) and method.value in ("bfill", "backfill")


def lags_in(module: Module, data: Data) -> Iterator[ast.AST]:
    """Where data gets values of earlier rows: the calls that shift or take windows that look back."""
    columns = {current for current, _ in visible(data, through_parts=True)}
    for current in _made_of(data):
        node = current.node if current in columns else None
        while isinstance(node, ast.Call):
            name = module.called_name(node) or ""
            if name in _LAGS and isinstance(node.func, ast.Attribute):
                yield node
                break
            node = node.func.value if isinstance(node.func, ast.Attribute) else None


def _made_of(data: Data) -> Iterator[Data]:
    """Data and all that its rows and columns come from."""
    pending, seen = [data], {data}
    for current in pending:
        yield current
        if len(pending) > _MOST * 10:
            return
        # A row that is merged in, or sums up others, is no neighbour of the rows that it comes to.
        sources = current.sources[:1] if current.how == "joined" else current.sources
        for source in () if _sums_up(current) else sources:
            if source not in seen:
                seen.add(source)
                pending.append(source)


def _sums_up(data: Data) -> bool:
    """Whether rows are made from many others each, as by grouping."""
    if data.how == "statistic":
        return True
    func = data.node.func if isinstance(data.node, ast.Call) else None
    return data.how == "derived" and isinstance(func, ast.Attribute) and func.attr in _SUMS


def is_ordered_by_time(module: Module, data: Data) -> bool:
    """Whether rows are seen to follow each other in time: a date is the index, or what they are sorted by."""
    return any(_orders(module, current.node) for current in _made_of(data) if isinstance(current.node, ast.Call))


def _orders(module: Module, call: ast.Call) -> bool:
    name = module.called_name(call) or ""
    if name in ("set_index", "sort_values"):
        key = argument(call, "keys" if name == "set_index" else "by", 0)
        return any(_TIME_NAME.search(text) for text in _texts(key))
    if name.startswith("read_"):
        index, dates = argument(call, "index_col"), argument(call, "parse_dates")
        if index is None:
            return False
        return any(_TIME_NAME.search(text) for text in _texts(index)) or _is_true(dates)
    if name in ("resample", "asfreq"):
        return module.qualified_name(call.func) is None and bool(_texts(call.args[0] if call.args else None))
    return False


def _texts(expression: ast.expr | None) -> list[str]:
    if expression is None:
        return []
    return [
        node.value for node in ast.walk(expression) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
