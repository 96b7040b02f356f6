from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import data_flow
from mlrules_mcp.checks._refits import fitted_on_test, transform_instead
from mlrules_mcp.checks._sklearn import SKLEARN
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module


class FittedOnTest(Check[ast.Module]):
    """Preprocessing that is fitted on the test or validation part.

    ## What it does
    Finds `fit` and `fit_transform` of transformers, and statistics that fill or scale, on data that was split off for
    testing or validation, or is called after such a part, where the same was fitted on the training part too or where
    the result is predicted on.

    ## Why it matters
    The model has learnt from numbers that were made otherwise: after a second `fit`, a scaled value of 0.5, or the
    category number 3, does not mean what it meant in training. In use there is no test set to fit on.

    ## Do not flag
    What learns nothing from the data, pictures of the test part (`TSNE`), and fits on the training and test part
    together
    (`fitted-before-split` and competitions' test sets).

    ## Fix safety
    Safe where the same object was fitted on the training part before and this call sees the test part only:
    `fit_transform` becomes `transform`.

    ## References
    - https://scikit-learn.org/stable/common_pitfalls.html#inconsistent-preprocessing
    """

    packages = SKLEARN
    examples = (
        Bad(
            """
            from sklearn.model_selection import train_test_split
            from sklearn.preprocessing import StandardScaler

            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            scaler = StandardScaler()
            X_train = scaler.fit_transform(X_train)
            X_test = «scaler.fit_transform(X_test)»
            """,
            safe_fix="""
            from sklearn.model_selection import train_test_split
            from sklearn.preprocessing import StandardScaler

            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            scaler = StandardScaler()
            X_train = scaler.fit_transform(X_train)
            X_test = scaler.transform(X_test)
            """,
        ),
        Bad(
            """
            from sklearn.preprocessing import MinMaxScaler

            def prepare(X_train, X_val, X_test):
                X_train = MinMaxScaler().fit_transform(X_train)
                X_val = «MinMaxScaler().fit_transform(X_val)»
                X_test = ‹MinMaxScaler().fit_transform(X_test)›
                return X_train, X_val, X_test
            """
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.preprocessing import LabelEncoder

            train, test = pd.read_csv("train.csv"), pd.read_csv("test.csv")
            encoder = LabelEncoder()
            for frame in [train, test]:
                frame["Sex"] = «encoder.fit_transform(frame["Sex"])»
            """
        ),
        Bad(
            """
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import train_test_split

            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            model = Ridge().fit((X_train - X_train.mean()) / X_train.std(), y_train)
            print(model.score((X_test - «X_test.mean()») / ‹X_test.std()›, y_test))
            """
        ),
        Good(
            """
            from sklearn.manifold import TSNE
            from sklearn.model_selection import train_test_split
            from sklearn.preprocessing import StandardScaler

            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            scaler = StandardScaler().fit(X_train)
            X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
            model.fit(X_train, y_train)
            model.predict(X_test)
            picture = TSNE().fit_transform(X_test)
            """
        ),
        Good(
            """
            from sklearn.model_selection import train_test_split
            from sklearn.preprocessing import Normalizer, StandardScaler

            X_train, X_test = train_test_split(X, random_state=0)
            X_train, X_test = Normalizer().fit_transform(X_train), Normalizer().fit_transform(X_test)
            X_test = (X_test - X_train.mean()) / X_train.std()
            """,
            "Normalizer scales each row for itself, and the statistics are the training part's",
        ),
        Good(
            """
            from sklearn.preprocessing import OneHotEncoder

            encoder = OneHotEncoder(sparse_output=False)
            y_train = encoder.fit_transform(y_train.reshape(-1, 1))
            y_test = encoder.fit_transform(y_test.reshape(-1, 1))
            """,
            "the target's classes are the same in both parts, as a rule",
        ),
        Good(
            """
            import numpy as np
            import pandas as pd
            from sklearn.linear_model import LogisticRegression
            from sklearn.impute import SimpleImputer

            def pictures(frame):
                found = []
                for _, row in frame.iterrows():
                    band = np.array(row["band"])
                    found.append((band - band.min()) / (band.max() - band.min()))
                return np.array(found)

            train, test = pd.read_json("train.json"), pd.read_json("test.json")
            X_train, X_test = pictures(train), pictures(test)
            model = LogisticRegression().fit(X_train, train["is_ship"])
            print(model.score(X_test, test["is_ship"]))
            """,
            "each picture is scaled by itself",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if not module.fact(data_flow).fits:
            return
        for fit, other in fitted_on_test(module):
            yield self.finding(
                module,
                fit.node,
                "What prepares the training data is fitted again on data for testing, which then means something else "
                "to the "
                "model than what it was trained on. Fit on the training part only, and `transform` the rest with that.",
                fix=transform_instead(module, fit, other),
                related=[(other.node, "the fit for training")] if other is not None else (),
            )
