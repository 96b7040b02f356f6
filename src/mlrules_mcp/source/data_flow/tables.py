"""What pandas, NumPy and SciPy do to data: selections, statistics, joins, changes in place."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from mlrules_mcp.source.data_flow.columns import EVERY_COLUMN, SOME_COLUMNS, Columns, only
from mlrules_mcp.source.data_flow.lineage import ancestry, part_of, roles
from mlrules_mcp.source.data_flow.scopes import Arguments, Memory, known, role_of_name, strings
from mlrules_mcp.source.data_flow.values import (
    ColumnNames,
    Data,
    Either,
    How,
    Instance,
    Items,
    Known,
    Mapping,
    Method,
    Role,
    Unknown,
    Value,
    either,
    options,
)

# Methods of DataFrame, Series and ndarray by what they do (pandas 2.3, NumPy 2.3, the older names included).
_SAME = frozenset(
    "A A1 T array as_matrix asfreq astype cache collect compute convert_dtypes copy cpu detach fetchall flatten float "
    "index infer_objects iteritems items itertuples iterrows long numpy persist ravel rename_axis reset_index reshape "
    "round set_index squeeze tocsc tocsr toarray todense to_frame to_list to_numpy to_sparse tolist toPandas "
    "transpose unpersist values view".split()
)
_ROWS = frozenset(
    "drop_duplicates explode head limit loc iloc nlargest nsmallest query reindex sample sort sort_index sort_values "
    "tail take truncate where_rows xs".split()
)
_COMPUTED = frozenset(
    "abs add add_prefix add_suffix agg_rows all_rows apply applymap at_time between bfill cat ceil clip combine_first "
    "cummax "
    "cummin cumprod cumsum diff div divide dot dt eq eval exp factorize ffill floor ge gt hash interpolate isin isna "
    "isnull le log lt map mask mod mul multiply ne notna notnull pad pct_change pow rank rename replace rolling "
    "set_axis "
    "shift sparse stack str sub subtract swaplevel to_datetime transform truediv unstack where ewm expanding cumcount "
    "lower upper strip split contains startswith endswith extract len slice get_dummies day month year hour dayofweek "
    "weekday date time minute second quarter week dayofyear total_seconds days codes title zfill lstrip rstrip".split()
)
_STATISTICS = frozenset("mean median std var min max mode quantile nanmean nanmedian nanstd percentile average".split())
_OTHER_AGGREGATES = frozenset(
    "sum count nunique unique value_counts corr cov describe any all argmax argmin idxmax idxmin size prod skew kurt "
    "sem "
    "agg aggregate first last nth pivot pivot_table melt resample crosstab cumall".split()
)
_ABOUT = frozenset(
    "shape dtypes dtype ndim info plot hist boxplot memory_usage empty name names nbytes itemsize to_csv to_excel "
    "to_pickle "
    "to_json to_sql to_parquet to_string to_markdown to_html to_latex style keys equals flags attrs strides".split()
)
_ROW_INDEX = re.compile(r"(?i)idx|ind(ex|ices)?(_|$)|mask|rows|fold|perm|sample")

# Functions that read, by the start of their qualified name (pandas 2.3, NumPy 2.3 …).
_READERS = (
    "pandas.read_",
    "polars.read_",
    "dask.dataframe.read_",
    "modin.pandas.read_",
    "cudf.read_",
    "geopandas.read_file",
    "numpy.load",
    "numpy.genfromtxt",
    "numpy.fromfile",
    "numpy.random.rand",
    "numpy.random.normal",
    "numpy.random.uniform",
    "seaborn.load_dataset",
    "scipy.io.loadmat",
    "scipy.io.arff.loadarff",
    "datasets.load_dataset",
)
_AS_DATA = frozenset(
    "numpy.array numpy.asarray numpy.asanyarray numpy.ascontiguousarray numpy.ravel numpy.reshape numpy.squeeze "
    "numpy.expand_dims numpy.copy numpy.float32 numpy.float64 numpy.nan_to_num numpy.transpose numpy.atleast_2d "
    "pandas.Series pandas.array scipy.sparse.csr_matrix scipy.sparse.csc_matrix scipy.sparse.coo_matrix "
    "torch.tensor torch.from_numpy torch.Tensor torch.FloatTensor torch.LongTensor torch.as_tensor "
    "xgboost.DMatrix lightgbm.Dataset builtins.list builtins.tuple builtins.int builtins.float builtins.round "
    "builtins.abs builtins.sorted_rows copy.copy copy.deepcopy pandas.to_numeric pandas.to_datetime".split()
)
_STACKED = frozenset("numpy.concatenate numpy.vstack numpy.row_stack numpy.append".split())
_JOINED = frozenset("numpy.hstack numpy.column_stack numpy.dstack scipy.sparse.hstack pandas.merge".split())
_REPEATING = frozenset("numpy.repeat numpy.tile".split())
_SHUFFLING = frozenset(
    "sklearn.utils.shuffle numpy.random.permutation random.sample numpy.random.choice random.choices".split()
)
_ELEMENTWISE = frozenset(
    "abs absolute add arcsinh ceil clip cos cosh divide exp exp2 expm1 fabs floor isnan log log10 log1p log2 "
    "logical_and "
    "logical_not logical_or maximum minimum mod multiply negative power reciprocal round sign sin sqrt square subtract "
    "tan tanh where isin isfinite isinf digitize vectorize select".split()
)


def selected(index: Value | None) -> Columns | None:
    """The columns that an index selects, where it is one for columns; None for rows."""
    names = strings(index)
    if names is not None:
        return only(names)
    match index:
        case ColumnNames(columns=columns):
            return columns
        case Items(values=values):
            return None if any(isinstance(known(each), int) for each in values) else SOME_COLUMNS
    return None


class Tables(Memory):
    """A memory that knows what happens to tables and arrays."""

    # Selections

    def subscript(self, owner: Data, index: Value, node: ast.expr, method: str = "") -> Value:
        """`owner[index]`, or `owner.loc[index]` and the like."""
        if owner.how == "derived" and isinstance(index, Known) and isinstance(index.value, int) and not method:
            return Data("derived", node, owner.sources)
        if (
            isinstance(index, Items)
            and len(index.values) > 2
            and isinstance(node, ast.Subscript)
            and isinstance(node.slice, ast.Tuple)
        ):
            return self._rows(owner, index.values[0], node)
        if isinstance(index, Items) and len(index.values) == 2 and (method or not strings(index)):
            rows, columns = index.values
            if not method and isinstance(columns, Known) and isinstance(columns.value, str):
                return Data("columns", node, (owner,), only([columns.value]))
            taken = self._rows(owner, rows, node)
            selection = self._positions(columns)
            return taken if selection is None else Data("columns", node, (taken,), selection)
        if not method and (columns_selected := selected(index)) is not None:
            if (
                isinstance(index, ColumnNames)
                and columns_selected.names is None
                and not _has_columns_of(owner, index.data)
            ):
                columns_selected = columns_selected._replace(known=False, span=None)
            return Data("columns", node, (owner,), columns_selected)
        if isinstance(index, Unknown):
            if role := role_of_name(index.name):
                return self._named_part(owner, owner, role, node)
            if not method and not index.parts and not _ROW_INDEX.search(index.name):
                return Data("columns", node, (owner,), SOME_COLUMNS)
        return self._rows(owner, index, node)

    def _positions(self, index: Value) -> Columns | None:
        """The columns that the second index of an array, or of `loc` and `iloc`, selects; None for all."""
        match index:
            case Known(value=int(position)) if not isinstance(position, bool):
                return only([position])
            case Known(value=slice(start=None, stop=None)):
                return None
            case Known(value=slice(start=start, stop=stop, step=None)):
                if all(bound is None or isinstance(bound, int) for bound in (start, stop)):
                    return Columns(span=(start, stop))
                return SOME_COLUMNS
            case Items(values=values) if values and all(isinstance(known(each), int) for each in values):
                return only(known(each) for each in values)  # type: ignore[misc]
        found = selected(index)
        return SOME_COLUMNS if found is None else found

    def _rows(self, owner: Data, index: Value, node: ast.expr) -> Data:
        if isinstance(index, Known) and (index.value in (None, ...) or index.value == slice(None)):
            return owner
        if isinstance(index, Known) and isinstance(index.value, int):
            return Data("derived", node, (owner,))
        if isinstance(index, Data) and index.how != "computed" and not _is_of(index, owner):
            return Data("derived", node, (owner,))
        if isinstance(index, Data) and (part := part_of(index)) is not None and part not in _parts(owner):
            return Data("part", node, (owner,), split=part.split, role=part.role)
        return Data("rows", node, (owner,))

    # Attributes and methods

    def table_attribute(self, owner: Data, name: str, node: ast.expr) -> Value:
        """`owner.name`, without a call."""
        if name in ("columns", "feature_names"):
            return ColumnNames(owner, owner.columns if owner.how == "columns" else EVERY_COLUMN)
        if name in ("values", "T", "A", "index", "dt", "str", "cat", "array"):
            return Data("copy", node, (owner,))
        if name in ("iloc", "loc", "ix", "at", "iat") or name in _ABOUT or self._is_called(node):
            return Method(owner, name)
        if isinstance(owner.node, ast.Attribute) and owner.node.attr in ("dt", "str", "cat"):
            return Data("computed", node, (owner,))
        return Data("columns", node, (owner,), only([name]))

    def _is_called(self, node: ast.expr) -> bool:
        parent = self.module.parent(node)
        return isinstance(parent, ast.Call) and parent.func is node

    def table_method(self, owner: Data, name: str, arguments: Arguments) -> Value:
        """`owner.name(…)`."""
        node = arguments.node
        if owner.how == "statistic" and name not in _STATISTICS:
            return Data("copy", node, (owner,)) if name not in _ABOUT else Unknown(node)
        if (special := _METHODS.get(name)) is not None:
            return special(self, owner, arguments)
        others = self.data_in(arguments.values)
        if name in _SAME:
            return Data("copy", node, (owner,))
        if name in _ROWS:
            return Data("rows", node, (owner,))
        if name in _STATISTICS:
            return self._aggregate(owner, arguments, 0)
        if name in _ABOUT:
            return Unknown(node)
        if name in _OTHER_AGGREGATES:
            return Data("derived", node, (owner,))
        if name in _COMPUTED:
            return Data("computed", node, (owner, *others))
        return Data("derived", node, (owner, *others))

    def _aggregate(self, owner: Data, arguments: Arguments, position: int) -> Value:
        """A statistic over the rows, or of each row for itself."""
        axis = arguments.constant("axis", position)
        if arguments.get("axis") is None and axis not in (1, -1, "columns"):
            axis = 0
        if axis in (1, -1, "columns"):
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
        statistics = [data for data in self.data_in(values) if (found := _statistic(data)) and _is_of(found, owner)]
        if not statistics:
            return Data("computed", node, (owner, *(data for data in self.data_in(values))))
        fits = tuple(
            self.fit(_expression(found.node, node), None, "statistics", found.sources[0], None, "fillna")
            for data in statistics
            if (found := _statistic(data)) is not None
        )
        return Data("transformed", node, (owner,), fits=fits)

    def _sample(self, owner: Data, arguments: Arguments) -> Value:
        repeats = arguments.constant("replace") is True
        return Data("repeated" if repeats else "rows", arguments.node, (owner,))

    def _append(self, owner: Data, arguments: Arguments) -> Value:
        return Data("stacked", arguments.node, (owner, *self.data_in(arguments.values)))

    def _join(self, owner: Data, arguments: Arguments) -> Value:
        return Data("joined", arguments.node, (owner, *self.data_in(arguments.values)))

    def _assign(self, owner: Data, arguments: Arguments) -> Value:
        result = owner
        for name, value in arguments.keywords.items():
            data = self.data_in([value])
            result = Data("assigned", arguments.node, (result, *data), only([name]))
        return result

    def _groupby(self, owner: Data, arguments: Arguments) -> Value:
        return Instance(None, {"grouped": owner})

    def _windows(self, owner: Data, arguments: Arguments) -> Value:
        return Instance(None, {"windows": owner})

    def grouped(self, owner: Data, name: str, arguments: Arguments) -> Value:
        """A method of `df.groupby(…)`, or of columns of it."""
        what = arguments.constant("func", 0)
        if name == "transform" and what not in ("count", "size", "nunique"):
            return Data("statistic", arguments.node, (owner,))
        if name in ("apply", "head", "tail", "shift", "cumsum", "cumcount", "rank", "ffill", "diff"):
            return Data("computed", arguments.node, (owner,))
        return Data("derived", arguments.node, (owner,))

    def _repeat(self, owner: Data, arguments: Arguments) -> Value:
        return Data("repeated", arguments.node, (owner,))

    # Functions

    def table_function(self, name: str, arguments: Arguments) -> Value | None:
        """What a function of pandas, NumPy and the like gives; None for one that isn't known."""
        node = arguments.node
        if name.startswith(_READERS):
            return Data("read", node)
        found = self.data_in(arguments.values)
        if name == "pandas.DataFrame":
            return self._frame(arguments)
        if not found and not any(isinstance(value, Unknown) for value in arguments.values):
            return None
        first = arguments.positional[0] if arguments.positional else None
        if name in _AS_DATA:
            if isinstance(first, Unknown | Items | Mapping) and not isinstance(first, Unknown):
                return first if name in ("builtins.list", "builtins.tuple") else self.data(first, node)
            return Data("copy", node, (data,)) if (data := self.data(first, node)) else None
        if name == "pandas.concat":
            axis = arguments.constant("axis", 1)
            return Data("joined" if axis in (1, "columns") else "stacked", node, found)
        if name in _STACKED:
            axis = arguments.constant("axis", 2 if name.endswith("append") else 1)
            return Data("joined" if axis in (1, -1) else "stacked", node, found)
        if name in _JOINED:
            return Data("joined", node, found)
        if name in _REPEATING:
            return Data("repeated", node, found)
        if name in _SHUFFLING:
            shuffled = [Data("rows", node, (data,)) for value in arguments.positional if (data := self.data(value))]
            return shuffled[0] if len(shuffled) == 1 else Items(list(shuffled))
        if name.startswith(("numpy.", "torch.", "pandas.", "scipy.")):
            return self._numeric(name.rpartition(".")[2], arguments, found)
        return None

    def _numeric(self, last: str, arguments: Arguments, found: list[Data]) -> Value | None:
        node = arguments.node
        owner = self.data(arguments.positional[0]) if arguments.positional else None
        if last in _STATISTICS and owner is not None:
            return self._aggregate(owner, arguments, 2 if last in ("percentile", "quantile") else 1)
        if last == "split" and owner is not None:
            return Items([Data("rows", node, (owner,)) for _ in range(3)], exact=False)
        if last == "where" and any(map(_statistic, found)) and len(arguments.positional) == 3:
            kept = [data for data in found if not _statistic(data)]
            return self.filled(kept[-1], arguments.positional, node) if kept else None
        if last in _ELEMENTWISE:
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
        if isinstance(operator, ast.Sub | ast.Div) and isinstance(left, Data) and not _statistic(left):
            statistics = [found for data in self.data_in([right]) for found in _statistics_in(data)]
            statistics = [each for each in statistics if _is_of(each, left) and not _is_a_constant(each, left)]
            if statistics:
                fits = tuple(
                    self.fit(_expression(each.node, node), None, "statistics", each.sources[0], None, "statistics")
                    for each in statistics
                )
                return Data("transformed", node, (left,), fits=fits)
        if found and all(map(_statistic, found)):
            return Data("copy", node, (found[0],)) if len(found) == 1 else Data("computed", node, found)
        return Data("computed", node, [data for data in found if not _statistic(data)] or found)

    # Names

    def named(self, name: str, value: Value, node: ast.AST) -> Value:
        """A value as it is known once a variable holds it: the name may tell which part of the data it is."""
        role = role_of_name(name)
        if role == "validation" and isinstance(value, Data) and value.how == "part" and value.role == "test":
            return Data("part", value.node, value.sources, split=value.split, role=role)
        if role is None or not isinstance(value, Data) or value.how in ("statistic", "predicted") or roles(value):
            return value
        rows = _cut(value)
        if rows is not None and not _from_separate_sets(rows):
            return self._named_part(value, rows.sources[0], role, rows.node)
        return Data("named", value.node, (value,), role=role)

    def _named_part(self, data: Data, source: Data, role: Role, node: ast.AST) -> Data:
        """A part of a source that its name tells; the other parts, which come later, are of the same split."""
        split = next((each for each in self.events.splits if each.kind == "named" and source in each.inputs), None)
        if split is None:
            split = self.split(_expression(node, ast.Name("")), "named", (source,))
        return Data("part", data.node, (data,), split=split, role=role)


def _parts(data: Data) -> list[Data]:
    """The parts, nearest first, that some data lies in by its first sources."""
    parts: list[Data] = []
    current: Data | None = data
    while current is not None:
        if current.how == "part":
            parts.append(current)
        current = current.sources[0] if current.sources else None
    return parts


def _cut(data: Data) -> Data | None:
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


def _from_separate_sets(rows: Data) -> bool:
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


def _statistic(data: Data) -> Data | None:
    """The statistic that data is, through what only takes it out or rounds it."""
    current = data
    while current.how in ("copy", "columns", "rows") and current.sources:
        current = current.sources[0]
    return current if current.how == "statistic" else None


def _statistics_in(data: Data) -> list[Data]:
    """The statistics in `std`, `max - min`, `std + 1e-8`."""
    if (found := _statistic(data)) is not None:
        return [found]
    if data.how == "computed":
        parts = [_statistics_in(source) for source in data.sources]
        return [found for part in parts for found in part] if all(parts) else []
    return []


def _is_of(data: Data, owner: Data) -> bool:
    """Whether a statistic, or an index, is of rows that come from where those of the owner come from."""
    origins = {each for each in ancestry(owner) if not each.sources}
    return any(each in origins for source in data.sources for each in ancestry(source))


def _has_columns_of(data: Data, other: Data) -> bool:
    """Whether data has the columns of another table: it is that, or some of its rows."""
    current = data
    while current is not other and current.how in ("rows", "copy", "part", "named") and current.sources:
        current = current.sources[0]
    return current is other


def _is_a_constant(statistic: Data, owner: Data) -> bool:
    """Whether a statistic is the largest value of a whole array: 255 in pictures."""
    func = statistic.node.func if isinstance(statistic.node, ast.Call) else None
    last = func.attr if isinstance(func, ast.Attribute) else ""
    return last in ("max", "amax") and not any(each.how == "columns" for each in ancestry(owner))


def _expression(node: ast.AST, default: ast.expr) -> ast.expr:
    return node if isinstance(node, ast.expr) else default


_METHODS = {
    "append": Tables._append,
    "assign": Tables._assign,
    "drop": Tables._drop,
    "dropna": Tables._dropna,
    "fillna": Tables._fillna,
    "filter": Tables._select,
    "get": Tables._get,
    "groupby": Tables._groupby,
    "join": Tables._join,
    "merge": Tables._join,
    "pop": Tables._get,
    "repeat": Tables._repeat,
    "resample": Tables._windows,
    "rolling": Tables._windows,
    "expanding": Tables._windows,
    "ewm": Tables._windows,
    "sample": Tables._sample,
    "select_dtypes": Tables._select,
}

__all__ = ["Either", "How", "Tables", "either", "options"]
