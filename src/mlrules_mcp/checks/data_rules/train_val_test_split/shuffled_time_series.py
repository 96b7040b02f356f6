from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._future import is_ordered_by_time, lags_in
from mlrules_mcp.checks._leakage import data_flow, is_test
from mlrules_mcp.checks._windows import overlapping_windows
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.findings import Finding, Fix, SetArgument, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.data_flow.events import Split
from mlrules_mcp.source.names import argument, passes_unseen_arguments


class ShuffledTimeSeries(Check[ast.Module]):
    """Rows that follow each other in time, shuffled before they are split.

    ## What it does
    Finds `train_test_split` with shuffling, its default, of data with lags or moving windows over earlier rows
    (`shift`, `rolling`), or of windows that overlap (`X.append(data[i : i + n])`). Where only the order shows (a date
    is the index, or the rows are sorted by it) it is advice.

    ## Why it matters
    Between two training rows lies a test row that shares most of its values with them: the model looks its answer up.
    In use it has to predict what comes after all that it has seen, and is much worse at that.

    ## Do not flag
    `shuffle=False`, cuts by a position or a date, `TimeSeriesSplit`, windows that don't overlap.

    ## Fix safety
    Suggested: the test part becomes the last rows.

    ## References
    - https://scikit-learn.org/stable/modules/cross_validation.html#time-series-split
    """

    packages = frozenset({"sklearn", "cuml", "sklearnex"})
    examples = (
        Bad(
            """
            import pandas as pd
            from sklearn.ensemble import RandomForestRegressor
            from sklearn.model_selection import train_test_split

            df = pd.read_csv("sales.csv")
            df["yesterday"] = df["sales"].shift(1)
            df["week"] = df["sales"].rolling(7).mean()
            df = df.dropna()
            X, y = df[["yesterday", "week"]], df["sales"]
            X_train, X_test, y_train, y_test = «train_test_split(X, y, test_size=0.2, random_state=42)»
            RandomForestRegressor().fit(X_train, y_train)
            """,
            suggested_fix="""
            import pandas as pd
            from sklearn.ensemble import RandomForestRegressor
            from sklearn.model_selection import train_test_split

            df = pd.read_csv("sales.csv")
            df["yesterday"] = df["sales"].shift(1)
            df["week"] = df["sales"].rolling(7).mean()
            df = df.dropna()
            X, y = df[["yesterday", "week"]], df["sales"]
            X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42, shuffle=False)
            RandomForestRegressor().fit(X_train, y_train)
            """,
        ),
        Bad(
            """
            import numpy as np
            from sklearn.model_selection import train_test_split

            def windows(series, n):
                X, y = [], []
                for i in range(len(series) - n):
                    X.append(series[i : i + n])
                    y.append(series[i + n])
                return np.array(X), np.array(y)

            X, y = windows(prices, 60)
            X_train, X_test, y_train, y_test = «train_test_split(X, y, test_size=0.2)»
            """,
            suggested_fix="""
            import numpy as np
            from sklearn.model_selection import train_test_split

            def windows(series, n):
                X, y = [], []
                for i in range(len(series) - n):
                    X.append(series[i : i + n])
                    y.append(series[i + n])
                return np.array(X), np.array(y)

            X, y = windows(prices, 60)
            X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, shuffle=False)
            """,
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import train_test_split

            df = pd.read_csv("load.csv").sort_values("date")
            train, test = «train_test_split(df, random_state=0)»
            Ridge().fit(train[["temperature"]], train["load"])
            """,
            advice=True,
            suggested_fix="""
            import pandas as pd
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import train_test_split

            df = pd.read_csv("load.csv").sort_values("date")
            train, test = train_test_split(df, random_state=0, shuffle=False)
            Ridge().fit(train[["temperature"]], train["load"])
            """,
        ),
        Good(
            """
            import pandas as pd
            from sklearn.model_selection import train_test_split

            df = pd.read_csv("sales.csv").sort_values("date")
            df["yesterday"] = df["sales"].shift(1)
            train, test = train_test_split(df, test_size=0.2, shuffle=False)
            early, late = df.iloc[:800], df.iloc[800:]
            """
        ),
        Good(
            """
            import numpy as np
            from sklearn.model_selection import train_test_split

            pieces = []
            for start in range(0, len(recording), 256):
                pieces.append(recording[start : start + 256])
            train, test = train_test_split(np.array(pieces), random_state=0)
            """,
            why="windows that do not overlap",
        ),
        Good(
            """
            import pandas as pd
            from sklearn.model_selection import train_test_split

            df = pd.read_csv("houses.csv").sort_values("price")
            train, test = train_test_split(df, random_state=0)
            df["before"] = df["price"].shift(1)
            X_train, X_test = train_test_split(df[["area", "rooms"]], random_state=0)
            """
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if not module.calls("train_test_split") or is_test(module):
            return
        for split in module.fact(data_flow).splits:
            if split.kind != "holdout" or not _shuffles(split.node):
                continue
            windows = overlapping_windows(module, split.node)
            lags = next((lag for data in split.inputs for lag in lags_in(module, data)), None)
            if windows is None and lags is None and not _is_ordered(module, split):
                continue
            place = windows if windows is not None else lags
            yield self.finding(
                module,
                split.node,
                "Shuffled rows that follow each other in time put into the test part what lies between two training "
                "rows, so that the score is too good for a forecast. Split by time, with `shuffle=False`.",
                advice=place is None,
                related=[(place, "what ties a row to the rows before it")] if isinstance(place, ast.expr) else (),
                fix=_fix(split.node),
            )


def _shuffles(call: ast.expr) -> bool:
    if not isinstance(call, ast.Call) or passes_unseen_arguments(call):
        return False
    shuffle = argument(call, "shuffle")
    return shuffle is None or (isinstance(shuffle, ast.Constant) and shuffle.value is True)


def _is_ordered(module: Module, split: Split) -> bool:
    return any(is_ordered_by_time(module, data) for data in split.inputs)


def _fix(call: ast.expr) -> Fix | None:
    if argument(call, "stratify") is not None if isinstance(call, ast.Call) else True:
        return None
    return suggested("Split by time", SetArgument(Span.of(call), "shuffle", "False"))
