"""The names of pandas, NumPy and SciPy by what they do to data."""

from __future__ import annotations

# Methods of DataFrame, Series and ndarray by what they do (pandas 2.3, NumPy 2.3, the older names included).
SAME = frozenset(
    "A A1 T array as_matrix asfreq astype cache collect compute convert_dtypes copy cpu detach fetchall flatten float "
    "index infer_objects iteritems items itertuples iterrows long numpy persist ravel rename_axis reset_index reshape "
    "round set_index squeeze tocsc tocsr toarray todense to_frame to_dict to_list to_numpy to_sparse tolist toPandas "
    "transpose unpersist values view".split()
)
ROWS = frozenset(
    "drop_duplicates explode head limit loc iloc nlargest nsmallest query reindex sample sort sort_index sort_values "
    "tail take truncate where_rows xs".split()
)
COMPUTED = frozenset(
    "abs add add_prefix add_suffix agg_rows all_rows apply applymap at_time between bfill cat ceil clip combine_first "
    "cummax "
    "cummin cumprod cumsum diff div divide dot dt eq eval exp factorize ffill floor ge gt hash interpolate isin isna "
    "isnull le log lt map mask mod mul multiply ne notna notnull pad pct_change pow rank rename replace rolling "
    "set_axis "
    "shift sparse stack str sub subtract swaplevel to_datetime transform truediv unstack where ewm expanding cumcount "
    "lower upper strip split contains startswith endswith extract len slice get_dummies day month year hour dayofweek "
    "weekday date time minute second quarter week dayofyear total_seconds days codes title zfill lstrip rstrip".split()
)
STATISTICS = frozenset("mean median std var min max mode quantile nanmean nanmedian nanstd percentile average".split())
OTHER_AGGREGATES = frozenset(
    "sum count nunique unique value_counts corr cov describe any all argmax argmin idxmax idxmin size prod skew kurt "
    "sem "
    "agg aggregate first last nth pivot pivot_table melt resample crosstab cumall".split()
)
ABOUT = frozenset(
    "shape dtypes dtype ndim info plot hist boxplot memory_usage empty name names nbytes itemsize to_csv to_excel "
    "to_pickle "
    "to_json to_sql to_parquet to_string to_markdown to_html to_latex style keys equals flags attrs strides".split()
)

# Functions that read, by the start of their qualified name (pandas 2.3, NumPy 2.3 …).
READERS = (
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
AS_DATA = frozenset(
    "numpy.array numpy.asarray numpy.asanyarray numpy.ascontiguousarray numpy.ravel numpy.reshape numpy.squeeze "
    "numpy.expand_dims numpy.copy numpy.float32 numpy.float64 numpy.nan_to_num numpy.transpose numpy.atleast_2d "
    "pandas.Series pandas.array scipy.sparse.csr_matrix scipy.sparse.csc_matrix scipy.sparse.coo_matrix "
    "torch.tensor torch.from_numpy torch.Tensor torch.FloatTensor torch.LongTensor torch.as_tensor "
    "xgboost.DMatrix lightgbm.Dataset builtins.list builtins.tuple builtins.int builtins.float builtins.round "
    "builtins.abs builtins.sorted_rows copy.copy copy.deepcopy pandas.to_numeric pandas.to_datetime".split()
)
STACKED = frozenset("numpy.concatenate numpy.vstack numpy.row_stack numpy.append".split())
JOINED = frozenset("numpy.hstack numpy.column_stack numpy.dstack scipy.sparse.hstack pandas.merge".split())
REPEATING = frozenset("numpy.repeat numpy.tile".split())
SHUFFLING = frozenset(
    "sklearn.utils.shuffle numpy.random.permutation random.sample numpy.random.choice random.choices".split()
)
ELEMENTWISE = frozenset(
    "abs absolute add arcsinh ceil clip cos cosh divide exp exp2 expm1 fabs floor isnan log log10 log1p log2 "
    "logical_and "
    "logical_not logical_or maximum minimum mod multiply negative power reciprocal round sign sin sqrt square subtract "
    "tan tanh where isin isfinite isinf digitize vectorize select".split()
)
# Methods that tell that what has them is a table or an array.
TABLE_METHODS = frozenset(
    "drop dropna fillna copy head tail sample groupby merge astype select_dtypes reset_index set_index drop_duplicates "
    "sort_values apply map isnull isna mean median std values to_numpy reshape toarray query assign rename "
    "iterrows".split()
)
