from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import is_test
from mlrules_mcp.checks._sklearn import SKLEARN
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.evaluation_rules.multiple_metrics._predictions import decided
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

_SCORES = ("y_score", "y_scores", "probas_pred", "y_pred")


class AucOfHardPredictions(Check[ast.Call]):
    """A ranking metric that gets decided classes.

    ## What it does
    Finds `roc_auc_score`, `average_precision_score`, `roc_curve`, `precision_recall_curve` and the displays of these
    whose scores are classes: what a classifier's `predict` returned, a comparison with a threshold (`p > 0.5`), an
    `argmax`; followed through variables, pipelines, searches and loops over models.

    ## Why it matters
    These metrics measure how well scores order the samples, over all thresholds. Of decided classes there is one
    threshold: the curve is two straight lines, and the area is balanced accuracy under another name. Models are
    compared by the wrong number, which is mostly too low.

    ## Do not flag
    `predict_proba` and `decision_function`, `predict` of regressors and of boosters and networks, whose predictions are
    scores; models that the file does not show.

    ## Fix safety
    No fix: whether a model has `predict_proba` or `decision_function`, and which column is the positive class, differs.

    ## References
    - https://scikit-learn.org/stable/modules/generated/sklearn.metrics.roc_auc_score.html
    """

    names = frozenset(
        {
            "roc_auc_score",
            "average_precision_score",
            "roc_curve",
            "precision_recall_curve",
            "det_curve",
            "from_predictions",
        }
    )
    packages = SKLEARN
    examples = (
        Bad(
            """
            from sklearn.linear_model import LogisticRegression
            from sklearn.metrics import accuracy_score, roc_auc_score

            model = LogisticRegression().fit(X_train, y_train)
            predicted = model.predict(X_test)
            print(accuracy_score(y_test, predicted), roc_auc_score(y_test, «predicted»))
            """
        ),
        Bad(
            """
            from sklearn.metrics import auc, roc_curve
            from sklearn.model_selection import GridSearchCV
            from sklearn.pipeline import make_pipeline
            from sklearn.preprocessing import StandardScaler
            from sklearn.svm import SVC

            search = GridSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [1, 10]}, cv=5)
            search.fit(X_train, y_train)
            fpr, tpr, _ = roc_curve(y_test, «search.predict(X_test)»)
            print(auc(fpr, tpr))
            """
        ),
        Bad(
            """
            from sklearn.ensemble import RandomForestClassifier
            from sklearn.metrics import roc_auc_score
            from xgboost import XGBClassifier

            models = {"forest": RandomForestClassifier(), "boosting": XGBClassifier()}
            for name, model in models.items():
                model.fit(X_train, y_train)
                y_pred = model.predict(X_test)
                print(name, roc_auc_score(y_true=y_test, y_score=«y_pred»))
            """
        ),
        Bad(
            """
            import numpy as np
            from sklearn.metrics import average_precision_score, roc_auc_score

            predicted = (network.predict(X_test) > 0.5).astype(int)
            print(roc_auc_score(y_test, «predicted.ravel()»))
            print(average_precision_score(y_test, ‹np.where(network.predict(X_test) >= 0.3, 1, 0)›))
            """
        ),
        Good(
            """
            from sklearn.linear_model import LogisticRegression
            from sklearn.metrics import roc_auc_score
            from sklearn.svm import LinearSVC

            model = LogisticRegression().fit(X_train, y_train)
            print(roc_auc_score(y_test, model.predict_proba(X_test)[:, 1]))
            print(roc_auc_score(y_test, LinearSVC().fit(X_train, y_train).decision_function(X_test)))
            """
        ),
        Good(
            """
            import lightgbm as lgb
            import xgboost as xgb
            from sklearn.linear_model import LinearRegression
            from sklearn.metrics import roc_auc_score

            model = LinearRegression().fit(X_train, y_train)
            print(roc_auc_score(y_test, model.predict(X_test)))
            booster = xgb.train(params, data)
            print(roc_auc_score(y_test, booster.predict(test)))
            print(roc_auc_score(y_test, lgb.train(params, data).predict(X_test)))
            """,
            "their predictions are scores",
        ),
        Good(
            """
            from sklearn.linear_model import LogisticRegression
            from sklearn.metrics import ConfusionMatrixDisplay

            model = LogisticRegression().fit(X_train, y_train)
            ConfusionMatrixDisplay.from_predictions(y_test, model.predict(X_test))
            """
        ),
        Good(
            """
            from sklearn.linear_model import LogisticRegression
            from sklearn.metrics import roc_auc_score

            def auc_of(model, X, y):
                return roc_auc_score(y, model.predict(X))
            """,
            "what kind of model does not show",
        ),
        Good(
            """
            from sklearn.linear_model import LogisticRegression
            from sklearn.metrics import roc_auc_score

            model = LogisticRegression().fit(X_train, y_train)
            y_pred = model.predict(X_test)
            report(y_test, y_pred)
            y_pred = model.predict_proba(X_test)[:, 1]
            print(roc_auc_score(y_test, y_pred))
            """,
            "the name has another value by then",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        name = module.qualified_name(node.func) or ""
        if not name.startswith("sklearn.metrics.") or "ConfusionMatrix" in name or is_test(module):
            return
        scores = next((value for name in _SCORES if (value := argument(node, name)) is not None), argument(node, "", 1))
        if scores is not None and (decision := decided(module, scores)) is not None:
            yield self.finding(
                module,
                scores,
                "These are decided classes, so this measures one threshold and not how well the model ranks. Pass the "
                "scores themselves: `predict_proba(...)[:, 1]`, or `decision_function(...)`.",
                related=[] if decision is scores else [(decision, "where the classes are decided")],
            )
