from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import data_flow
from mlrules_mcp.checks._refits import refitted_for_prediction, transform_instead
from mlrules_mcp.checks._sklearn import SKLEARN
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module


class TransformerRefittedForPrediction(Check[ast.Module]):
    """A transformer that is fitted again on the data to predict.

    ## What it does
    Finds transformers that are fitted on data which a model then predicts, where the model was trained on data from
    another fit, or was loaded from a file.

    ## Why it matters
    The model has learnt from numbers that were made otherwise: the mean of the new data becomes 0, and its first
    category number 0, whatever they were in training. A single row is scaled to zeros.

    ## Do not flag
    Data that is known to be a test part (`fitted-on-test` speaks of that), what learns nothing from the data, and
    models that were trained on the same fit.

    ## Fix safety
    Safe where the same object was fitted for training before and this call sees the new data only: `fit_transform`
    becomes `transform`.

    ## References
    - https://scikit-learn.org/stable/common_pitfalls.html#inconsistent-preprocessing
    """

    packages = SKLEARN
    examples = (
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression
            from sklearn.preprocessing import StandardScaler

            df = pd.read_csv("customers.csv")
            scaler = StandardScaler()
            model = LogisticRegression().fit(scaler.fit_transform(df[["age", "income"]]), df["churn"])

            new = pd.read_csv("new_customers.csv")
            print(model.predict(«scaler.fit_transform(new)»))
            """,
            safe_fix="""
            import pandas as pd
            from sklearn.linear_model import LogisticRegression
            from sklearn.preprocessing import StandardScaler

            df = pd.read_csv("customers.csv")
            scaler = StandardScaler()
            model = LogisticRegression().fit(scaler.fit_transform(df[["age", "income"]]), df["churn"])

            new = pd.read_csv("new_customers.csv")
            print(model.predict(scaler.transform(new)))
            """,
        ),
        Bad(
            """
            import joblib
            from sklearn.preprocessing import StandardScaler

            model = joblib.load("model.joblib")

            def predict(rows):
                X = «StandardScaler().fit_transform(rows)»
                return model.predict(X)
            """
        ),
        Bad(
            """
            from sklearn.ensemble import RandomForestRegressor
            from sklearn.impute import SimpleImputer

            class Prices:
                def __init__(self):
                    self.imputer = SimpleImputer()
                    self.model = RandomForestRegressor(random_state=0)

                def fit(self, X, y):
                    self.model.fit(self.imputer.fit_transform(X), y)

                def predict(self, X):
                    return self.model.predict(«self.imputer.fit_transform(X)»)
            """,
            safe_fix="""
            from sklearn.ensemble import RandomForestRegressor
            from sklearn.impute import SimpleImputer

            class Prices:
                def __init__(self):
                    self.imputer = SimpleImputer()
                    self.model = RandomForestRegressor(random_state=0)

                def fit(self, X, y):
                    self.model.fit(self.imputer.fit_transform(X), y)

                def predict(self, X):
                    return self.model.predict(self.imputer.transform(X))
            """,
        ),
        Good(
            """
            import pandas as pd
            from sklearn.cluster import KMeans
            from sklearn.linear_model import LogisticRegression
            from sklearn.preprocessing import PolynomialFeatures, StandardScaler

            df = pd.read_csv("customers.csv")
            scaler = StandardScaler()
            X = scaler.fit_transform(df[["age", "income"]])
            model = LogisticRegression().fit(X, df["churn"])
            print(model.predict(scaler.transform(new)))
            print(model.predict(X))
            curve = PolynomialFeatures(2).fit_transform(new)
            print(model.predict(curve))
            groups = KMeans(3).fit_predict(StandardScaler().fit_transform(new))
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge
            from sklearn.preprocessing import StandardScaler

            old, new, query = pd.read_csv("old.csv"), pd.read_csv("new.csv"), pd.read_csv("query.csv")
            scaler = StandardScaler()
            model = Ridge().fit(scaler.fit_transform(old[["size"]]), old["price"])
            if len(new) > 1000:
                scaler = StandardScaler()
                model = Ridge().fit(scaler.fit_transform(new[["size"]]), new["price"])
            print(model.predict(scaler.transform(query[["size"]])))
            """,
            "the scaler never saw what is predicted",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if not module.fact(data_flow).predictions:
            return
        for fit, other in refitted_for_prediction(module):
            yield self.finding(
                module,
                fit.node,
                "A transformer is fitted on the data that is to be predicted, so the model gets numbers that mean "
                "something else "
                "than those it was trained on. Keep the transformer that was fitted for training, and `transform` "
                "with it.",
                fix=transform_instead(module, fit, other),
                related=[(other.node, "the fit for training")] if other is not None else (),
            )
