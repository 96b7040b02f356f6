from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import data_flow
from mlrules_mcp.checks._preprocessing import by_hand, not_transformed
from mlrules_mcp.checks._sklearn import SKLEARN
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module


class PreprocessingOutsidePipeline(Check[ast.Module]):
    """Transformers that are fitted by hand beside the model that gets their output.

    ## What it does
    Finds models that are trained on the output of a transformer and predict or are scored on data that never went
    through
    it, and models that are saved without the transformer whose output they were trained on: errors. Transformers that
    are fitted by hand and reused correctly on the test data are advice.

    ## Why it matters
    What has to be repeated by hand is forgotten: a model that was trained on scaled numbers gives nonsense for
    others. A
    Pipeline is fitted, applied, cross-validated and saved as one.

    ## Do not flag
    Transformers in a Pipeline or ColumnTransformer, what only serves pictures, encoders of the target, clustering,
    models of
    other libraries, and transformers that leak into a test part (`fitted-before-split` speaks of those).

    ## Fix safety
    No fix: the steps have to be put together.

    ## References
    - https://scikit-learn.org/stable/modules/compose.html#pipeline
    """

    packages = SKLEARN
    examples = (
        Bad(
            """
            from sklearn.model_selection import train_test_split
            from sklearn.preprocessing import StandardScaler
            from sklearn.svm import SVC

            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            scaler = StandardScaler()
            model = SVC().fit(scaler.fit_transform(X_train), y_train)
            print(model.score(«X_test», y_test))
            """
        ),
        Bad(
            """
            import joblib
            import pandas as pd
            from sklearn.linear_model import Ridge
            from sklearn.preprocessing import StandardScaler

            df = pd.read_csv("houses.csv")
            X = «StandardScaler().fit_transform(df[["size", "age"]])»
            model = Ridge().fit(X, df["price"])
            joblib.dump(model, "model.joblib")
            """
        ),
        Bad(
            """
            from sklearn.model_selection import train_test_split
            from sklearn.preprocessing import StandardScaler
            from sklearn.svm import SVC

            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            scaler = StandardScaler()
            X_train = «scaler.fit_transform(X_train)»
            X_test = scaler.transform(X_test)
            print(SVC().fit(X_train, y_train).score(X_test, y_test))
            """,
            advice=True,
        ),
        Good(
            """
            from sklearn.decomposition import PCA
            from sklearn.pipeline import make_pipeline
            from sklearn.preprocessing import LabelEncoder, StandardScaler
            from sklearn.svm import SVC

            y = LabelEncoder().fit_transform(y)
            model = make_pipeline(StandardScaler(), SVC()).fit(X, y)
            model.predict(new)
            plt.scatter(*PCA(2).fit_transform(X).T)
            """
        ),
        Good(
            """
            import joblib
            from sklearn.cluster import KMeans
            from sklearn.linear_model import Ridge
            from sklearn.preprocessing import StandardScaler

            scaler = StandardScaler()
            model = Ridge().fit(scaler.fit_transform(X), y)
            joblib.dump({"scaler": scaler, "model": model}, "model.joblib")
            groups = KMeans(3).fit(StandardScaler().fit_transform(other))
            """,
            "saved together; clusters are no predictions",
        ),
        Good(
            """
            import pandas as pd
            from sklearn.cluster import KMeans
            from sklearn.preprocessing import StandardScaler

            customers = pd.read_csv("customers.csv")
            groups = KMeans(5, random_state=0).fit_predict(StandardScaler().fit_transform(customers))
            customers.boxplot(by=groups)
            """,
            "a clustering of all there is has no other data to be prepared for",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if not module.fact(data_flow).fits:
            return
        forgotten = list(not_transformed(module))
        for place, fit in forgotten:
            what = f"`{fit.what}`" if fit.what else "a transformer"
            yield self.finding(
                module,
                place,
                f"The model was trained on the output of {what}, and gets data here that never went through it, so "
                f"what it says is "
                "nonsense. Put both into a Pipeline, which transforms whatever it gets.",
                related=[(fit.node, "the transformer is fitted here")],
            )
        for fit, saved in by_hand(module):
            if any(fit is other for _, other in forgotten):
                continue
            what = f"`{fit.what}`" if fit.what else "The transformer"
            if saved:
                yield self.finding(
                    module,
                    fit.node,
                    f"The model is saved without {what}, whose output it was trained on, so nobody can prepare data "
                    f"for it. Put "
                    "both into a Pipeline and save that.",
                )
            else:
                yield self.finding(
                    module,
                    fit.node,
                    f"{what} is fitted by hand, so every prediction has to repeat the step, and cross-validation "
                    f"can't. Put it "
                    "into a Pipeline with the model.",
                    advice=True,
                )
