from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import data_flow, is_holdout, is_part
from mlrules_mcp.checks._scores import is_predictor
from mlrules_mcp.checks._sklearn import DEEP_LEARNING, SEARCHES, SKLEARN, VALIDATIONS
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.data_flow.events import Score, Split
from mlrules_mcp.source.data_flow.lineage import roles, split_inputs
from mlrules_mcp.source.names import argument

_REPEATING = (*tuple(SEARCHES | VALIDATIONS), "cv", "bootstrap", "permutation_test", "RFECV", "CalibratedClassifierCV")


class SingleSplitScore(Check[ast.Module]):
    """A model that is judged by one random split.

    ## What it does
    Finds the first score on the test part of a `train_test_split` in modules that have no cross-validation of any
    kind: no
    `cross_val_score`, no splitter that makes folds, no search, no bootstrap, no split in a loop. One finding a module.

    ## Why it matters
    Another split gives another score, often by several percent on small data. Which of two models is better, and
    whether a
    change has helped, can't be told from one.

    ## Do not flag
    Deep learning, where folds cost too much, data that comes in given parts (`train.csv` and `test.csv`), a
    validation part
    beside the test part, splits by time, and tests.

    ## Fix safety
    No fix: how many folds, and of what kind, is the author's choice.

    ## References
    - https://scikit-learn.org/stable/modules/cross_validation.html
    """

    packages = SKLEARN
    also_enforces = ("evaluation_rules.cross_validation",)
    speaks_of_absence = True
    examples = (
        Bad(
            """
            from sklearn.ensemble import RandomForestClassifier
            from sklearn.metrics import accuracy_score, f1_score
            from sklearn.model_selection import train_test_split

            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            model = RandomForestClassifier(random_state=0).fit(X_train, y_train)
            predicted = model.predict(X_test)
            print(«accuracy_score(y_test, predicted)», f1_score(y_test, predicted))
            """
        ),
        Bad(
            """
            from sklearn.linear_model import Lasso, Ridge
            from sklearn.model_selection import train_test_split

            def compare(X, y):
                X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
                for model in [Ridge(), Lasso()]:
                    model.fit(X_train, y_train)
                    print(model, «model.score(X_test, y_test)»)
            """
        ),
        Good(
            """
            from sklearn.ensemble import RandomForestClassifier
            from sklearn.model_selection import cross_val_score, train_test_split

            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            model = RandomForestClassifier(random_state=0)
            print(cross_val_score(model, X_train, y_train).mean())
            print(model.fit(X_train, y_train).score(X_test, y_test))
            """
        ),
        Good(
            """
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import train_test_split

            X_rest, X_test, y_rest, y_test = train_test_split(X, y, random_state=0)
            X_train, X_val, y_train, y_val = train_test_split(X_rest, y_rest, random_state=0)
            model = Ridge().fit(X_train, y_train)
            print(model.score(X_val, y_val), model.score(X_test, y_test))
            """,
            "a validation part and a test part",
        ),
        Good(
            """
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import train_test_split

            scores = []
            for seed in range(20):
                X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
                scores.append(Ridge().fit(X_train, y_train).score(X_test, y_test))
            """,
            "many splits",
        ),
        Good(
            """
            import torch
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import train_test_split

            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            print(LogisticRegression().fit(X_train, y_train).score(X_test, y_test))
            """,
            "a baseline beside a network",
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import train_test_split

            df = pd.read_csv("sales.csv").sort_values("day")
            X_train, X_test, y_train, y_test = train_test_split(df[["price"]], df["sales"], shuffle=False)
            print(Ridge().fit(X_train, y_train).score(X_test, y_test))
            """,
            "a split by time",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        events = module.fact(data_flow)
        if not events.splits or not events.scores or events.validations or module.imported_packages & DEEP_LEARNING:
            return
        if not all(map(is_holdout, events.splits)) or module.calls(*_REPEATING):
            return
        if any("validation" in roles(part) for score in events.scores if (part := score.features) is not None):
            return
        for score in events.scores:
            split = _random_split(module, score)
            if split is not None:
                yield self.finding(
                    module,
                    score.node,
                    "The model is judged by one random split, and another split would give another score. Use "
                    "`cross_val_score`, or `cross_validate` for several metrics, and report the mean and spread.",
                    related=[(split.node, "the only split")],
                )
                return


def _random_split(module: Module, score: Score) -> Split | None:
    """The `train_test_split` whose test part a classifier or regressor is scored on."""
    if score.features is None or roles(score.features) != {"test"} or not is_predictor(score.learner):
        return None
    for split in split_inputs(score.features):
        if split.kind == "holdout" and not module.enclosing_loops(split.node) and not any(map(is_part, split.inputs)):
            shuffle = argument(split.node, "shuffle") if isinstance(split.node, ast.Call) else None
            return None if isinstance(shuffle, ast.Constant) and shuffle.value is False else split
    return None
