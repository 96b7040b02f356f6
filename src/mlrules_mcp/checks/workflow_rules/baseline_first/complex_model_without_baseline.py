from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._data import is_script, is_test_file
from mlrules_mcp.checks._leakage import data_flow
from mlrules_mcp.checks._sklearn import CLASSIFIERS, REGRESSORS, SKLEARN, class_name
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.data_flow.values import Learner

_COMPLEX = pattern(
    r"^(RandomForest|ExtraTrees|GradientBoosting|HistGradientBoosting|AdaBoost|Bagging|XGB|LGBM|CatBoost|MLP|Stacking|"
    r"Voting|EasyEnsemble|RUSBoost|Balanced)"
)
_COMPARES = pattern(
    r"(?i)baseline|base_line|\bdummy|naive|majority|benchmark|null_model|random_guess|"
    r"logistic_?regression|linear_?regression|\bridge|lasso|elastic_?net|decision_?tree|kneighbors|gaussiannb|multinomialnb"
)
_TRAINERS = frozenset({"xgboost.train", "lightgbm.train", "xgboost.cv", "lightgbm.cv", "catboost.train"})
# Packages with models of their own to compare with, and those that only explain a model.
_OTHERS = frozenset({"statsmodels", "glmnet", "prophet", "pmdarima", "keras", "tensorflow", "torch", "alibi"})


class ComplexModelWithoutBaseline(Check[ast.Module]):
    """A boosted, ensemble or neural model whose score is compared with nothing.

    ## What it does
    Points at the first fit of a forest, of boosting, of an ensemble or of a network like scikit-learn's, in a script or
    notebook that scores it and fits no other kind of model. Always advice, given once a file: the baseline may stand in
    another.

    ## Why it matters
    An accuracy of 95 % is poor where 97 % of the rows have one class, and a forest that a linear model matches is not
    worth its cost. A baseline takes two lines, and finds errors in the data before weeks go into tuning.

    ## Do not flag
    Files that fit a dummy, linear or any other model beside it, or speak of a baseline, files that only define models,
    models that only serve to show an explanation (`alibi`), and networks of PyTorch and Keras, whose baselines are
    other networks as a rule.

    ## Fix safety
    No fix: which baseline is fair depends on the task.

    ## References
    - https://scikit-learn.org/stable/modules/model_evaluation.html#dummy-estimators
    - https://developers.google.com/machine-learning/guides/rules-of-ml
    """

    packages = SKLEARN
    speaks_of_absence = True
    examples = (
        Bad(
            """
            import pandas as pd
            from sklearn.metrics import accuracy_score
            from sklearn.model_selection import train_test_split
            from xgboost import XGBClassifier

            df = pd.read_csv("churn.csv")
            X_train, X_test, y_train, y_test = train_test_split(df.drop(columns="churned"), df["churned"])
            model = XGBClassifier()
            «model.fit(X_train, y_train)»
            print(accuracy_score(y_test, model.predict(X_test)))
            """,
            advice=True,
        ),
        Bad(
            """
            import lightgbm as lgb
            import pandas as pd
            from sklearn.metrics import roc_auc_score

            train, valid = pd.read_csv("train.csv"), pd.read_csv("valid.csv")
            booster = «lgb.train(params, lgb.Dataset(train[features], train["target"]))»
            print(roc_auc_score(valid["target"], booster.predict(valid[features])))
            """,
            advice=True,
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.ensemble import RandomForestRegressor
            from sklearn.model_selection import cross_val_score

            df = pd.read_csv("houses.csv")
            print(«cross_val_score(RandomForestRegressor(), df[["area", "rooms"]], df["price"])»)
            """,
            advice=True,
        ),
        Good(
            """
            import pandas as pd
            from sklearn.dummy import DummyClassifier
            from sklearn.model_selection import cross_val_score
            from xgboost import XGBClassifier

            df = pd.read_csv("churn.csv")
            for model in (DummyClassifier(), XGBClassifier()):
                print(cross_val_score(model, df.drop(columns="churned"), df["churned"]))
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.ensemble import RandomForestRegressor
            from sklearn.metrics import mean_absolute_error

            train, test = pd.read_csv("train.csv"), pd.read_csv("test.csv")
            model = RandomForestRegressor().fit(train[["area"]], train["price"])
            print("baseline", mean_absolute_error(test["price"], [train["price"].mean()] * len(test)))
            print("forest", mean_absolute_error(test["price"], model.predict(test[["area"]])))
            """
        ),
        Good(
            """
            from sklearn.ensemble import RandomForestClassifier

            def fit(X, y):
                return RandomForestClassifier().fit(X, y)
            """,
            why="nothing is judged here",
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression
            from sklearn.metrics import accuracy_score

            train, test = pd.read_csv("train.csv"), pd.read_csv("test.csv")
            model = LogisticRegression().fit(train[["a"]], train["b"])
            print(accuracy_score(test["b"], model.predict(test[["a"]])))
            """,
            why="simple enough to be the baseline",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test_file(module) or not is_script(module) or _COMPARES.search(module.source.code):
            return
        if module.imported_packages & _OTHERS or len(_kinds(module)) > 1:
            return
        place = _first_fit(module)
        if place is not None:
            yield self.finding(
                module,
                place,
                "Nothing tells whether this model is better than a simple one: no other is fitted here. Score a "
                "`DummyClassifier` or `DummyRegressor` and a linear model on the same split first.",
                advice=True,
            )


def _kinds(module: Module) -> set[str]:
    """The kinds of models that a file makes, a classifier and a regressor of one kind counted once."""
    predictors = CLASSIFIERS | REGRESSORS
    made = {name for call in module.calls(*predictors) if (name := class_name(module, call)) in predictors}
    return {name.removesuffix("Classifier").removesuffix("Regressor") for name in made if name is not None}


def _first_fit(module: Module) -> ast.expr | None:
    """Where a complex model is first fitted, in a file that scores it."""
    boosters = [call for call in module.calls("train", "cv") if module.qualified_name(call.func) in _TRAINERS]
    events = module.fact(data_flow)
    scored = bool(events.scores or events.validations)
    if boosters:
        measured = scored or any("metrics" in (each.module or "") for each in module.nodes(ast.ImportFrom))
        return boosters[0] if measured and not _kinds(module) else None
    if not scored:
        return None
    fits = [fit.node for fit in events.fits if fit.learner is not None and _is_complex(fit.learner)]
    fits += [each.node for each in events.validations if each.learner is not None and _is_complex(each.learner)]
    return min(fits, key=lambda call: (call.lineno, call.col_offset), default=None)


def _is_complex(learner: Learner) -> bool:
    """Whether a learner is, or holds, a forest, boosting or another ensemble, or an MLP."""
    return bool(_COMPLEX.match((learner.name or "").rpartition(".")[2])) or any(map(_is_complex, learner.members))
