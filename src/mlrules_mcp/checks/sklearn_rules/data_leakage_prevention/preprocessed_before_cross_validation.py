from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import fitted_before_validation
from mlrules_mcp.checks._sklearn import SKLEARN
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.data_flow.events import Fit


class PreprocessedBeforeCrossValidation(Check[ast.Module]):
    """Preprocessing that learns from all rows before cross-validation makes folds of them.

    ## What it does
    Finds scalers, imputers, vectorizers, decompositions, feature selections and statistics that are fitted on the rows
    that `cross_val_score`, a search such as `GridSearchCV`, or a loop over `KFold(…).split(…)` then splits into folds.
    Where a test part was split off before, only feature selection and the like, which use the target, are reported at
    full severity; the rest, and encoders that only learn which categories there are, are advice.

    ## Why it matters
    Each fold is scored on rows that have already shaped the training rows. Selecting the best of many features before
    cross-validation gives good scores on pure noise.

    ## Do not flag
    Preprocessing inside a Pipeline that is cross-validated as a whole, what learns nothing from the data, and what was
    fitted on other data. A leak that a `train_test_split` suffers from as well is reported there
    (`fitted-before-split`).

    ## Fix safety
    No fix: the preprocessing has to move into a Pipeline.

    ## References
    - https://scikit-learn.org/stable/common_pitfalls.html#data-leakage-during-pre-processing
    """

    packages = SKLEARN
    examples = (
        Bad(
            """
            from sklearn.datasets import load_wine
            from sklearn.feature_selection import SelectKBest
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import cross_val_score

            X, y = load_wine(return_X_y=True)
            X = «SelectKBest(k=5).fit_transform(X, y)»
            scores = cross_val_score(LogisticRegression(), X, y, cv=5)
            """
        ),
        Bad(
            """
            import numpy as np
            from sklearn.decomposition import PCA
            from sklearn.model_selection import KFold
            from sklearn.svm import SVC

            X, y = np.load("X.npy"), np.load("y.npy")
            X_reduced = «PCA(20).fit_transform(X)»
            for train, test in KFold(5, shuffle=True, random_state=0).split(X_reduced):
                model = SVC().fit(X_reduced[train], y[train])
                print(model.score(X_reduced[test], y[test]))
            """
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.ensemble import RandomForestClassifier
            from sklearn.model_selection import GridSearchCV

            df = pd.read_csv("titanic.csv")
            df["Age"] = df["Age"].fillna(«df["Age"].median()»)
            search = GridSearchCV(RandomForestClassifier(), {"max_depth": [3, 5]})
            search.fit(df.drop(columns="Survived"), df["Survived"])
            """
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import GridSearchCV, train_test_split
            from sklearn.preprocessing import StandardScaler

            df = pd.read_csv("titanic.csv")
            X_train, X_test, y_train, y_test = train_test_split(df.drop(columns="Survived"), df["Survived"])
            scaler = StandardScaler()
            X_train = «scaler.fit_transform(X_train)»
            search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1, 10]}).fit(X_train, y_train)
            print(search.score(scaler.transform(X_test), y_test))
            """,
            advice=True,
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.feature_selection import SelectKBest
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import cross_val_score

            df = pd.read_csv("genes.csv")
            X, y = df.drop(columns="ill"), df["ill"]
            best = SelectKBest(k=20)
            «best.fit(X, y)»
            X = X.loc[:, best.get_support()]
            print(cross_val_score(LogisticRegression(), X, y))
            """
        ),
        Good(
            """
            from sklearn.datasets import load_wine
            from sklearn.feature_selection import SelectKBest
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import cross_val_score
            from sklearn.pipeline import make_pipeline

            X, y = load_wine(return_X_y=True)
            model = make_pipeline(SelectKBest(k=5), LogisticRegression())
            scores = cross_val_score(model, X, y, cv=5)
            model.fit(X, y)
            """
        ),
        Good(
            """
            import numpy as np
            from sklearn.model_selection import KFold
            from sklearn.preprocessing import StandardScaler
            from sklearn.svm import SVC

            X, y = np.load("X.npy"), np.load("y.npy")
            for train, test in KFold(5, shuffle=True, random_state=0).split(X):
                scaler = StandardScaler().fit(X[train])
                model = SVC().fit(scaler.transform(X[train]), y[train])
                print(model.score(scaler.transform(X[test]), y[test]))
            """,
            "fitted anew in each fold",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        for fit, (event, kept_apart) in fitted_before_validation(module).items():
            if fit.learns == "rows":
                continue  # duplicated-before-split speaks of that
            yield self.finding(
                module,
                fit.node,
                _message(fit),
                advice=fit.learns == "vocabulary" or (kept_apart and fit.learns != "target"),
                related=[(event.node, "the folds are made later")],
            )


def _message(fit: Fit) -> str:
    what = f"`{fit.what}`" if fit.what else "The preprocessing"
    if fit.learner is None and fit.what in ("fillna", "statistics"):
        return (
            "Statistics of all rows are put into the data before folds are made of it, so each fold is scored on rows "
            "that "
            "shaped the training data. Put the preprocessing into a Pipeline and cross-validate that."
        )
    return (
        f"{what} is fitted on all rows before folds are made of them, so each fold is scored on rows that shaped the "
        "training data. Put it into a Pipeline with the model and cross-validate that."
    )
