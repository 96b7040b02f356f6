from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import data_flow, is_test
from mlrules_mcp.checks._sklearn import SEARCHES, SKLEARN, class_name
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.bindings import start
from mlrules_mcp.source.tree import code_of

# What scores a model on other data, or makes the predictions that somebody else scores.
_JUDGES = pattern(r"score$|^predict|_loss$|_error$|report|matrix|curve|^evaluate|^cross_val|accuracy|^test_|submi")


class BestScoreReported(Check[ast.Attribute]):
    """The best score of a search, given as how good the model is.

    ## What it does
    Points at `search.best_score_` where the program neither scores the search's model on other data nor predicts
    anything with it. Always advice.

    ## Why it matters
    `best_score_` is the highest of many noisy means: the settings were chosen because they did well on these folds. The
    more settings are tried, the further the best lies above what the model does on new data.

    ## Do not flag
    Programs that score or predict anything else, on a test part or by nested cross-validation (a search inside
    `cross_val_score`); files that others import; tests.

    ## Fix safety
    No fix: it takes a part of the data that the search has not seen, or nested cross-validation.

    ## References
    - https://scikit-learn.org/stable/auto_examples/model_selection/plot_nested_cross_validation_iris.html
    """

    packages = SKLEARN
    examples = (
        Bad(
            """
            from sklearn.model_selection import GridSearchCV
            from sklearn.svm import SVC

            search = GridSearchCV(SVC(), {"C": [0.1, 1, 10], "gamma": [0.01, 0.1]}, cv=5)
            search.fit(X, y)
            print("accuracy:", «search.best_score_»)
            """,
            advice=True,
        ),
        Bad(
            """
            from sklearn.ensemble import RandomForestClassifier
            from sklearn.model_selection import RandomizedSearchCV

            def tuned(X, y):
                search = RandomizedSearchCV(RandomForestClassifier(), distributions).fit(X, y)
                print(search.best_params_)
                print(f"final score {«search.best_score_»:.3f}")
                return search
            """,
            advice=True,
        ),
        Good(
            """
            from sklearn.model_selection import GridSearchCV
            from sklearn.svm import SVC

            search = GridSearchCV(SVC(), {"C": [0.1, 1, 10]}, cv=5).fit(X_train, y_train)
            print(search.best_score_, search.score(X_test, y_test))
            """
        ),
        Good(
            """
            from sklearn.model_selection import GridSearchCV, cross_val_score
            from sklearn.svm import SVC

            search = GridSearchCV(SVC(), {"C": [0.1, 1, 10]}, cv=5)
            print(search.fit(X, y).best_score_)
            print(cross_val_score(search, X, y).mean())
            """,
            "nested cross-validation",
        ),
        Good(
            """
            from sklearn.svm import SVC
            from skopt import BayesSearchCV

            search = BayesSearchCV(SVC(), space)

            def on_step(result):
                print("best so far:", search.best_score_)

            search.fit(X, y, callback=on_step)
            """,
            "a callback that shows how the search goes",
        ),
        Good(
            """
            import pandas as pd
            from sklearn.model_selection import GridSearchCV
            from sklearn.svm import SVC

            search = GridSearchCV(SVC(), {"C": [0.1, 1, 10]}, cv=5).fit(X, y)
            print(search.best_score_)
            pd.DataFrame(search.predict(pd.read_csv("test.csv"))).to_csv("answers.csv")
            """,
            "others score the predictions",
        ),
    )

    def check(self, node: ast.Attribute, module: Module) -> Iterator[Finding]:
        if node.attr != "best_score_" or not isinstance(node.ctx, ast.Load) or is_test(module):
            return
        if _is_judged_otherwise(module) or not _is_fitted_search(module, node.value) or not _is_printed(module, node):
            return
        yield self.finding(
            module,
            node,
            "The best of many scores is too high: the settings were chosen by it. Score the search on data that it has "
            "not seen, or put it into `cross_val_score`, and report that.",
            advice=True,
        )


def _is_judged_otherwise(module: Module) -> bool:
    return module.fact(_judges)


def _judges(module: Module) -> bool:
    if module.fact(data_flow).scores:
        return True
    return any(_JUDGES.search(module.called_name(call) or "") for call in module.nodes(ast.Call))


def _is_fitted_search(module: Module, expression: ast.expr) -> bool:
    """Whether a search was fitted before, in the same function: a callback prints what is best so far."""
    for origin in module.origins(expression):
        made = origin
        if isinstance(origin, ast.Call) and isinstance(origin.func, ast.Attribute) and origin.func.attr == "fit":
            made = next(iter(module.origins(origin.func.value)))
        elif not any(_fits(module, call, expression) for call in module.calls("fit")):
            continue
        if isinstance(made, ast.Call) and class_name(module, made) in SEARCHES:
            return True
    return False


def _fits(module: Module, call: ast.Call, search: ast.expr) -> bool:
    same_function = module.enclosing_function(call) is module.enclosing_function(search)
    return (
        isinstance(call.func, ast.Attribute)
        and code_of(call.func.value) == code_of(search)
        and same_function
        and start(call) < start(search)
    )


def _is_printed(module: Module, node: ast.Attribute) -> bool:
    for ancestor in module.ancestors(node):
        if isinstance(ancestor, ast.Call) and module.called_name(ancestor) in ("print", "info", "display", "write"):
            return True
        if isinstance(ancestor, ast.stmt):
            return isinstance(ancestor, ast.Expr) and module.source.notebook is not None
    return False
