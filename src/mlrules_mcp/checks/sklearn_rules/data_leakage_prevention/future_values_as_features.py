from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._future import Looks, filled_backwards, looks_ahead
from mlrules_mcp.checks._leakage import data_flow
from mlrules_mcp.checks._scores import is_predictor
from mlrules_mcp.checks._sklearn import SKLEARN
from mlrules_mcp.checks._targets import held
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.data_flow.columns import Name
from mlrules_mcp.source.data_flow.values import Data

_PACKAGES = SKLEARN | frozenset({"keras", "tensorflow", "torch", "lightning"})


class FutureValuesAsFeatures(Check[ast.Module]):
    """Features that hold what happens after the moment of prediction.

    ## What it does
    Finds columns made with `shift(-n)`, `rolling(…, center=True)`, `np.roll(x, -n)`, a negative `diff` or `pct_change`
    that are among the features of a model, and, as advice, columns of data in order of time that are filled backwards
    (`bfill`).

    ## Why it matters
    The value of a later row stands in an earlier one. In the test part it is there too, so that the score is very good;
    in use the later row does not exist yet.

    ## Do not flag
    Targets made that way, which is how forecasts are set up, columns that are dropped before the fit, and windows that
    look back.

    ## Fix safety
    No fix: a window that looks back gives other features.

    ## References
    - https://scikit-learn.org/stable/common_pitfalls.html#data-leakage
    - https://pandas.pydata.org/docs/reference/api/pandas.DataFrame.rolling.html
    """

    packages = _PACKAGES
    examples = (
        Bad(
            """
            import pandas as pd
            from sklearn.ensemble import RandomForestRegressor

            df = pd.read_csv("prices.csv")
            df["next_open"] = «df["open"].shift(-1)»
            df["target"] = df["close"].shift(-1)
            df = df.dropna()
            X, y = df.drop(columns=["target"]), df["target"]
            RandomForestRegressor().fit(X[:800], y[:800])
            """
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import train_test_split

            df = pd.read_csv("sales.csv")
            df["trend"] = «df["sales"].rolling(7, center=True).mean()»
            df["change"] = «df["sales"].pct_change(-1)»
            X_train, X_test, y_train, y_test = train_test_split(df[["trend", "change"]], df["sold_out"], shuffle=False)
            model = Ridge().fit(X_train, y_train)
            """
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            df = pd.read_csv("power.csv", parse_dates=["date"], index_col="date")
            df["load"] = «df["load"].bfill()»
            Ridge().fit(df[["load", "hour"]], df["price"])
            """,
            advice=True,
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            df = «pd.read_csv("power.csv").set_index("date").fillna(method="bfill")»
            Ridge().fit(df[["hour"]], df["price"])
            """,
            advice=True,
        ),
        Bad(
            """
            import numpy as np
            import pandas as pd
            from lightgbm import LGBMClassifier

            df = pd.read_csv("clicks.csv")
            df["next_gap"] = «df.groupby("user")["gap"].shift(periods=-2)»
            features = ["gap", "next_gap"]
            LGBMClassifier().fit(df[features], df["bought"])
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.ensemble import RandomForestRegressor

            df = pd.read_csv("prices.csv")
            df["yesterday"] = df["close"].shift(1)
            df["mean"] = df["close"].rolling(7).mean()
            df["target"] = df["close"].shift(-1)
            df = df.dropna()
            RandomForestRegressor().fit(df.drop(columns="target"), df["target"])
            """,
            why="only the target looks ahead",
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression

            df = pd.read_csv("prices.csv")
            df["tomorrow"] = df["close"].shift(-1)
            df["up"] = (df["tomorrow"] > df["close"]).astype(int)
            LogisticRegression().fit(df[["open", "close"]], df["up"])
            """,
            why="the column is only used to make the target",
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            df = pd.read_csv("houses.csv")
            df["area"] = df["area"].bfill()
            Ridge().fit(df[["area"]], df["price"])
            """,
            why="nothing says that the rows follow each other in time",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if not any(word in module.source.code for word in ("shift(", "center=", "roll(", "bfill", "diff(", "change(")):
            return
        seen: set[ast.AST] = set()
        for fit in module.fact(data_flow).fits:
            if fit.learner is None or fit.features is None or not _learns_to_predict(fit.learner):
                continue
            targets = _names_of(fit.target)
            for look in _looks_in(module, fit.features, targets):
                if look.node in seen or not isinstance(look.node, ast.expr):
                    continue
                seen.add(look.node)
                yield self.finding(
                    module,
                    look.node,
                    f"`{look.name}` brings values of later rows into the features, which are not known yet when the "
                    "model predicts: its score is too good. Look back only, with a positive `shift` or a window that "
                    "ends at the row.",
                    advice=look.only_fills,
                    related=[(fit.node, "the model that learns from them")],
                )


def _learns_to_predict(learner: object) -> bool:
    trade = getattr(learner, "trade", None)
    return trade is not None and (trade.kind == "network" or is_predictor(learner))  # type: ignore[arg-type]


def _names_of(target: Data | None) -> frozenset[Name]:
    """The name of the column that is predicted."""
    current = target
    while current is not None and current.how in ("copy", "rows", "part", "named", "computed") and current.sources:
        current = current.sources[0]
    return current.columns.names or frozenset() if current is not None and current.how == "columns" else frozenset()


def _looks_in(module: Module, features: Data, targets: frozenset[Name]) -> Iterator[Looks]:
    """How the columns that are for certain among the features look ahead."""
    tables = list(held(features))
    for table, columns in tables:
        if table.how != "assigned" or table.columns.names is None or not table.columns.known:
            continue
        names = [name for name in table.columns.names if columns.holds(name) == "yes" and name not in targets]
        if names:
            for value in table.sources[1:]:
                yield from looks_ahead(module, value)
    yield from filled_backwards(module, features)
