"""What pandas, NumPy and SciPy do to data: statistics, joins, changes in place."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from mlrules_mcp.source.data_flow.columns import SOME_COLUMNS, Columns, only
from mlrules_mcp.source.data_flow.events import GROUPED
from mlrules_mcp.source.data_flow.lineage import aggregate, ancestry, is_of, part_of, statistic, statistics_in
from mlrules_mcp.source.data_flow.operations import (
    ABOUT,
    AS_DATA,
    COMPUTED,
    ELEMENTWISE,
    JOINED,
    OTHER_AGGREGATES,
    READERS,
    REPEATING,
    ROWS,
    SAME,
    SHUFFLING,
    STACKED,
    STATISTICS,
)
from mlrules_mcp.source.data_flow.scopes import Arguments, strings
from mlrules_mcp.source.data_flow.selections import Selections, expression, selected
from mlrules_mcp.source.data_flow.values import ColumnNames, Data, Function, Instance, Items, Mapping, Unknown, Value


class Tables(Selections):
    """Selections, and what methods and functions make of tables and arrays."""

    # Methods

    def table_method(self, owner: Data, name: str, arguments: Arguments) -> Value:
        """`owner.name(…)`."""
        node = arguments.node
        if owner.how == "statistic" and name not in STATISTICS:
            return Data("copy", node, (owner,)) if name not in ABOUT else Unknown(node)
        if (special := _METHODS.get(name)) is not None:
            return special(self, owner, arguments)
        others = self.data_in(arguments.values)
        if name in SAME:
            return Data("copy", node, (owner,))
        if name in ROWS:
            return Data("rows", node, (owner,))
        if name in STATISTICS:
            return self._aggregate(owner, arguments, 0)
        if name in ABOUT:
            return Unknown(node)
        if name in OTHER_AGGREGATES:
            return Data("derived", node, (owner,))
        if name in COMPUTED:
            return Data("computed", node, (owner, *others))
        return Data("derived", node, (owner, *others))

    def _aggregate(self, owner: Data, arguments: Arguments, position: int) -> Value:
        """A statistic over the rows, or of each row for itself."""
        axis = arguments.constant("axis", position)
        if arguments.get("axis") is None and axis not in (1, -1, "columns"):
            axis = 0
        if axis in (1, -1, "columns") or any(each.how == "row" for each in ancestry(owner, through_parts=False)):
            return Data("computed", arguments.node, (owner,))
        return Data("statistic", arguments.node, (owner,))

    def _drop(self, owner: Data, arguments: Arguments) -> Value:
        node = arguments.node
        columns = arguments.get("columns")
        labels = arguments.get("labels", 0)
        axis = arguments.constant("axis", 1)
        if columns is None and axis in (1, "columns", "1"):
            columns = labels
        if columns is None:
            if isinstance(labels, Data) and (part := part_of(labels)) is not None and part.split is not None:
                return Data("rows", node, (owner,))
            # A list of names dropped without an axis can't be rows with numbers; it raises, so it is not followed.
            return Data("rows", node, (owner,))
        names = strings(columns)
        if names is None and isinstance(columns, ColumnNames) and columns.columns.known:
            kept = columns.columns.names
            names = None if kept is None else [name for name in kept if isinstance(name, str)]
        if names is None:
            return Data("columns", node, (owner,), SOME_COLUMNS)
        return Data("columns", node, (owner,), Columns(without=frozenset(names)))

    def _dropna(self, owner: Data, arguments: Arguments) -> Value:
        if arguments.constant("axis", 0) in (1, "columns"):
            return Data("columns", arguments.node, (owner,), SOME_COLUMNS)
        return Data("rows", arguments.node, (owner,))

    def _select(self, owner: Data, arguments: Arguments) -> Value:
        return Data("columns", arguments.node, (owner,), SOME_COLUMNS)

    def _get(self, owner: Data, arguments: Arguments) -> Value:
        columns = selected(arguments.get("key", 0))
        return Data("columns", arguments.node, (owner,), SOME_COLUMNS if columns is None else columns)

    def _fillna(self, owner: Data, arguments: Arguments) -> Value:
        return self.filled(owner, arguments.values, arguments.node)

    def filled(self, owner: Data, values: Sequence[Value], node: ast.expr) -> Data:
        """Data with values put in; they are learnt where they are statistics."""
        statistics = [data for data in self.data_in(values) if (found := statistic(data)) and is_of(found, owner)]
        if not statistics:
            return Data("computed", node, (owner, *(data for data in self.data_in(values))))
        fits = tuple(
            self.fit(expression(found.node, node), None, "statistics", found.sources[0], None, "fillna")
            for data in statistics
            if (found := statistic(data)) is not None
        )
        return Data("transformed", node, (owner,), fits=fits)

    def _sample(self, owner: Data, arguments: Arguments) -> Value:
        repeats = arguments.constant("replace") is True
        return Data("repeated" if repeats else "rows", arguments.node, (owner,))

    def _append(self, owner: Data, arguments: Arguments) -> Value:
        return Data("stacked", arguments.node, (owner, *self.data_in(arguments.values)))

    def _join(self, owner: Data, arguments: Arguments) -> Value:
        others = self.data_in(arguments.values)
        if (arguments.constant("how", 1) or "left") == "inner":
            owner = Data("rows", arguments.node, (owner,))
        return Data("joined", arguments.node, (owner, *others))

    def _merge(self, owner: Data, arguments: Arguments) -> Value:
        """`owner.merge(…)`, which drops the rows without a match unless it is told to keep them."""
        others = self.data_in(arguments.values)
        owner = self._encoded(owner, others, arguments.node) or owner
        if (arguments.constant("how", 1) or "inner") == "inner":
            owner = Data("rows", arguments.node, (owner,))
        return Data("joined", arguments.node, (owner, *others))

    def _assign(self, owner: Data, arguments: Arguments) -> Value:
        result = owner
        for name, value in arguments.keywords.items():
            given = Arguments([result], {}, arguments.node)
            data = self.data_in([self.call(value, given) if isinstance(value, Function) else value])
            if data and statistic(data[0]):
                data = [self.filled(result, data, arguments.node)]
            result = Data("assigned", arguments.node, (result, *data), only([name]))
        return result

    def _applied(self, owner: Data, arguments: Arguments) -> Value:
        """`df.apply(function)`, column by column, or row by row."""
        function = arguments.get("func", 0)
        by_row = arguments.constant("axis", 1) in (1, "columns")
        if isinstance(function, Function):
            given = Data("row", arguments.node, (owner,)) if by_row else owner
            made = self.call(function, Arguments([given], {}, arguments.node))
            if isinstance(made, Data) and made.how == "transformed":
                return made
        return Data("computed", arguments.node, (owner, *self.data_in(arguments.values)))

    def _piped(self, owner: Data, arguments: Arguments) -> Value:
        """`df.pipe(function, …)`."""
        if not arguments.positional:
            return Data("derived", arguments.node, (owner,))
        function, *rest = arguments.positional
        return self.call(function, Arguments([owner, *rest], arguments.keywords, arguments.node))

    def _mapped(self, owner: Data, arguments: Arguments) -> Value:
        """`df["city"].map(means)`: where the means are taken over groups of the same rows, they are learnt."""
        others = self.data_in(arguments.values)
        return self._encoded(owner, others, arguments.node) or Data("computed", arguments.node, (owner, *others))

    def _encoded(self, owner: Data, others: Sequence[Data], node: ast.expr) -> Data | None:
        """Data with aggregates over groups of the same rows put to each row, as in target encoding."""
        found = [each for data in others if (each := aggregate(data)) is not None and is_of(each, owner)]
        if not found:
            return None
        fits = tuple(
            self.fit(expression(each.node, node), None, "target", each.sources[0], None, GROUPED) for each in found
        )
        return Data("transformed", node, (owner,), fits=fits)

    def _groupby(self, owner: Data, arguments: Arguments) -> Value:
        return Instance(None, {"grouped": owner})

    def _windows(self, owner: Data, arguments: Arguments) -> Value:
        return Instance(None, {"windows": owner})

    def grouped(self, owner: Data, name: str, arguments: Arguments) -> Value:
        """A method of `df.groupby(…)`, or of columns of it."""
        what = arguments.constant("func", 0)
        if name == "transform" and what not in ("count", "size", "nunique"):
            return Data("statistic", arguments.node, (owner,))
        function = arguments.get("func", 0)
        if name == "apply" and isinstance(function, Function):
            made = self.call(function, Arguments([owner], {}, arguments.node))
            if isinstance(made, Data) and made.how == "transformed":
                return made
        if name in ("apply", "head", "tail", "shift", "cumsum", "cumcount", "rank", "ffill", "diff"):
            return Data("computed", arguments.node, (owner,))
        if name in STATISTICS or (name in ("agg", "aggregate") and what in STATISTICS):
            return Data("aggregate", arguments.node, (owner,))
        return Data("derived", arguments.node, (owner,))

    def _repeat(self, owner: Data, arguments: Arguments) -> Value:
        return Data("repeated", arguments.node, (owner,))

    # Functions

    def table_function(self, name: str, arguments: Arguments) -> Value | None:
        """What a function of pandas, NumPy and the like gives; None for one that isn't known."""
        node = arguments.node
        if name.startswith(READERS):
            return Data("read", node)
        found = self.data_in(arguments.values)
        if name == "pandas.DataFrame":
            return self._frame(arguments)
        if not found and not any(isinstance(value, Unknown) for value in arguments.values):
            return None
        first = arguments.positional[0] if arguments.positional else None
        if name in AS_DATA:
            if isinstance(first, Unknown | Items | Mapping) and not isinstance(first, Unknown):
                return first if name in ("builtins.list", "builtins.tuple") else self.data(first, node)
            return Data("copy", node, (data,)) if (data := self.data(first, node)) else None
        if name == "pandas.concat":
            axis = arguments.constant("axis", 1)
            return Data("joined" if axis in (1, "columns") else "stacked", node, found)
        if name in STACKED:
            axis = arguments.constant("axis", 2 if name.endswith("append") else 1)
            return Data("joined" if axis in (1, -1) else "stacked", node, found)
        if name in JOINED:
            return Data("joined", node, found)
        if name in REPEATING:
            return Data("repeated", node, found)
        if name in SHUFFLING:
            shuffled = [Data("rows", node, (data,)) for value in arguments.positional if (data := self.data(value))]
            return shuffled[0] if len(shuffled) == 1 else Items(list(shuffled))
        if name.startswith(("numpy.", "torch.", "pandas.", "scipy.")):
            return self._numeric(name.rpartition(".")[2], arguments, found)
        return None

    def _numeric(self, last: str, arguments: Arguments, found: list[Data]) -> Value | None:
        node = arguments.node
        owner = self.data(arguments.positional[0]) if arguments.positional else None
        if last in STATISTICS and owner is not None:
            return self._aggregate(owner, arguments, 2 if last in ("percentile", "quantile") else 1)
        if last == "split" and owner is not None:
            return Items([Data("rows", node, (owner,)) for _ in range(3)], exact=False)
        if last == "where" and any(map(statistic, found)) and len(arguments.positional) == 3:
            kept = [data for data in found if not statistic(data)]
            return self.filled(kept[-1], arguments.positional, node) if kept else None
        if last in ELEMENTWISE:
            return Data("computed", node, found)
        if last in ("get_dummies", "cut", "to_timedelta", "isnull", "isna", "notnull", "qcut"):
            return Data("computed", node, found)
        if last in ("zeros_like", "ones_like", "empty_like", "zeros", "ones", "arange", "linspace"):
            return Unknown(node)
        return Data("derived", node, found) if found else None

    def _frame(self, arguments: Arguments) -> Value:
        value = arguments.get("data", 0)
        node = arguments.node
        if value is None:
            return Data("read", node)
        if isinstance(value, Mapping):
            result = Data("read", node)
            for key, each in value.keys.items():
                columns = only([key]) if isinstance(key, str) else SOME_COLUMNS
                result = Data("assigned", node, (result, *self.data_in([each])), columns)
            return result
        data = self.data(value, node)
        if data is None:
            return Data("read", node)
        renamed = arguments.get("columns", 2) is not None
        return Data("computed" if renamed else "copy", node, (data,))

    # Arithmetic

    def arithmetic(self, left: Value, operator: ast.operator, right: Value, node: ast.expr) -> Data:
        """`left operator right` where at least one is data. Centring and scaling by statistics is learning."""
        found = self.data_in((left, right))
        if isinstance(operator, ast.Sub | ast.Div) and isinstance(left, Data) and not statistic(left):
            statistics = [found for data in self.data_in([right]) for found in statistics_in(data)]
            statistics = [each for each in statistics if is_of(each, left) and not _is_a_constant(each, left)]
            if statistics:
                fits = tuple(
                    self.fit(expression(each.node, node), None, "statistics", each.sources[0], None, "statistics")
                    for each in statistics
                )
                return Data("transformed", node, (left,), fits=fits)
        if found and all(map(statistic, found)):
            return Data("copy", node, (found[0],)) if len(found) == 1 else Data("computed", node, found)
        return Data("computed", node, [data for data in found if not statistic(data)] or found)


def _is_a_constant(statistic: Data, owner: Data) -> bool:
    """Whether a statistic is the largest value of a whole array: 255 in pictures."""
    func = statistic.node.func if isinstance(statistic.node, ast.Call) else None
    last = func.attr if isinstance(func, ast.Attribute) else ""
    return last in ("max", "amax") and not any(each.how == "columns" for each in ancestry(owner))


_METHODS = {
    "append": Tables._append,
    "apply": Tables._applied,
    "assign": Tables._assign,
    "drop": Tables._drop,
    "dropna": Tables._dropna,
    "fillna": Tables._fillna,
    "filter": Tables._select,
    "get": Tables._get,
    "groupby": Tables._groupby,
    "join": Tables._join,
    "map": Tables._mapped,
    "merge": Tables._merge,
    "pipe": Tables._piped,
    "pop": Tables._get,
    "repeat": Tables._repeat,
    "resample": Tables._windows,
    "rolling": Tables._windows,
    "expanding": Tables._windows,
    "ewm": Tables._windows,
    "sample": Tables._sample,
    "select_dtypes": Tables._select,
}
