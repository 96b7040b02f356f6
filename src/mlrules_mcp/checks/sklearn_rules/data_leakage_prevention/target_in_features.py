from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import data_flow
from mlrules_mcp.checks._sklearn import SKLEARN
from mlrules_mcp.checks._targets import targets_in_features
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module


class TargetInFeatures(Check[ast.Module]):
    """A model that gets its target among the features.

    ## What it does
    Follows the features and the target of a `fit` or a cross-validation back to the table that both come from, through
    splits, selections and drops of columns, and finds features that still hold the target's column, or the column
    that the
    target was made of (`df["expensive"] = df["price"] > 100_000`).

    ## Why it matters
    The model needs to look at one column only. Its scores are perfect, and it can't be used: the column is what is not
    known when it predicts.

    ## Do not flag
    Features whose columns don't all show, targets made from other rows (`shift(-1)`), pipelines that select columns,
    and
    models that have the input as their target.

    ## Fix safety
    No fix: which columns are features is the author's choice.

    ## References
    - https://scikit-learn.org/stable/common_pitfalls.html#data-leakage
    """

    packages = SKLEARN
    examples = (
        Bad(
            """
            import pandas as pd
            from sklearn.ensemble import RandomForestClassifier
            from sklearn.model_selection import train_test_split

            df = pd.read_csv("titanic.csv")
            X = df.drop(columns=["Name", "Ticket"])
            y = df["Survived"]
            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            model = «RandomForestClassifier(random_state=0).fit(X_train, y_train)»
            """
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import cross_val_score
            from sklearn.pipeline import make_pipeline
            from sklearn.preprocessing import StandardScaler

            df = pd.read_csv("houses.csv")
            df["expensive"] = (df["price"] > 100_000).astype(int)
            features = [column for column in df.columns if column != "expensive"]
            model = make_pipeline(StandardScaler(), LogisticRegression())
            scores = «cross_val_score(model, df[features], df["expensive"])»
            """
        ),
        Bad(
            """
            import numpy as np
            from sklearn.svm import SVC

            data = np.loadtxt("diabetes.csv", delimiter=",")
            X, y = data[:, 1:], data[:, -1]
            «SVC().fit(X, y)»
            """
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge
            from sklearn.preprocessing import StandardScaler

            def load():
                train = pd.read_csv("train.csv")
                target = train["SalePrice"]
                train = train.fillna(0).select_dtypes("number")
                return train, target

            houses = pd.read_csv("houses.csv")
            price = houses.price
            X = StandardScaler().fit_transform(houses)
            «Ridge().fit(X, price)»
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.ensemble import RandomForestClassifier
            from sklearn.model_selection import train_test_split

            df = pd.read_csv("titanic.csv")
            train, test = train_test_split(df, random_state=0)
            y = train.pop("Survived")
            RandomForestClassifier(random_state=0).fit(train, y)

            y = df["Survived"]
            del df["Survived"]
            RandomForestClassifier(random_state=0).fit(df, y)

            X, y = df.iloc[:, 1:], df.iloc[:, 0]
            RandomForestClassifier(random_state=0).fit(X, y)
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.compose import ColumnTransformer
            from sklearn.linear_model import LinearRegression
            from sklearn.pipeline import make_pipeline

            df = pd.read_csv("prices.csv")
            LinearRegression().fit(df, df["close"].shift(-1))
            chosen = ColumnTransformer([("numbers", "passthrough", ["open"])])
            make_pipeline(chosen, LinearRegression()).fit(df, df["close"])
            LinearRegression().fit(df[columns], df["close"])
            """,
            "tomorrow's price is another row's; the pipeline selects columns; which columns there are does not show",
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression

            df = pd.read_csv("houses.csv")
            df["expensive"] = df["price"] > 100_000
            X = df.drop(["expensive", "price"], axis=1)
            LogisticRegression().fit(X, df["expensive"])
            """
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if not module.fact(data_flow).fits and not module.fact(data_flow).validations:
            return
        for place, taken, name in targets_in_features(module):
            column = f"the column `{name}`" if isinstance(name, str) else f"column {name}"
            yield self.finding(
                module,
                place,
                f"The features still hold {column}, which is the target or what it was made of, so the model only has "
                f"to copy it. "
                "Drop it from the features.",
                related=[(taken, "the target is taken here")] if isinstance(taken, ast.expr) else (),
            )
