from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import is_test
from mlrules_mcp.checks._sklearn import RANDOM, RANDOM_WITH, SKLEARN, class_name
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.findings import Finding, SetArgument, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments

# In a loop, one fixed state for these would draw the same rows at every turn.
_DRAWS = frozenset({"shuffle", "resample", "train_test_split"})


class RandomStateMissing(Check[ast.Call]):
    """A split, a model or data made up by chance, without a `random_state`.

    ## What it does
    Finds calls of what scikit-learn and imbalanced-learn do by chance (`train_test_split`, random forests, k-means,
    randomized searches, `make_blobs` …) that get no `random_state`, or None. Some are random with certain arguments
    only:
    `SVC(probability=True)`, `KFold(shuffle=True)`, `LogisticRegression(solver="saga")`.

    ## Why it matters
    Each run gives another result. A difference between two settings may be one between two draws, and a score that
    was once
    reported can't be had again.

    ## Do not flag
    Modules that seed NumPy's global generator (`np.random.seed`) or call a function that seeds, arguments that don't
    all
    show (`**params`), `train_test_split(shuffle=False)`, and tests.

    ## Fix safety
    Suggested: another draw gives other results than before.

    ## References
    - https://scikit-learn.org/stable/common_pitfalls.html#controlling-randomness
    """

    names = RANDOM | frozenset(RANDOM_WITH)
    packages = SKLEARN
    also_enforces = ("tracking_rules.reproducible_experiments",)
    examples = (
        Bad(
            """
            from sklearn.model_selection import train_test_split

            X_train, X_test, y_train, y_test = «train_test_split(X, y)»
            """,
            suggested_fix="""
            from sklearn.model_selection import train_test_split

            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=42)
            """,
        ),
        Bad(
            """
            from sklearn.ensemble import RandomForestClassifier as Forest
            from sklearn.model_selection import KFold

            model = «Forest(n_estimators=200, random_state=None)»
            folds = ‹KFold(5, shuffle=True)›
            """,
            suggested_fix="""
            from sklearn.ensemble import RandomForestClassifier as Forest
            from sklearn.model_selection import KFold

            model = Forest(n_estimators=200, random_state=42)
            folds = KFold(5, shuffle=True, random_state=42)
            """,
        ),
        Bad(
            """
            from sklearn.linear_model import LogisticRegression
            from sklearn.svm import SVC

            model = «LogisticRegression(solver="saga")»

            def other():
                return «SVC(probability=True)»
            """,
            suggested_fix="""
            from sklearn.linear_model import LogisticRegression
            from sklearn.svm import SVC

            model = LogisticRegression(solver="saga", random_state=42)

            def other():
                return SVC(probability=True, random_state=42)
            """,
        ),
        Good(
            """
            from sklearn.ensemble import RandomForestClassifier
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import KFold, train_test_split
            from sklearn.svm import SVC

            X_train, X_test = train_test_split(X, shuffle=False)
            models = [RandomForestClassifier(random_state=seed), SVC(), RandomForestClassifier(**params)]
            folds = KFold(5)
            """
        ),
        Good(
            """
            import numpy as np
            from sklearn.ensemble import RandomForestClassifier

            np.random.seed(0)
            model = RandomForestClassifier()
            """,
            "without a random_state, scikit-learn draws from NumPy's global generator",
        ),
        Good(
            """
            from sklearn.cluster import KMeans

            seed_everything(42)
            model = KMeans(8)
            """
        ),
        Good(
            """
            import numpy as np
            from sklearn.linear_model import LogisticRegression
            from sklearn.utils import resample, shuffle

            model = LogisticRegression(solver="liblinear")
            means = [np.mean(resample(scores)) for _ in range(1000)]
            for epoch in range(10):
                X, y = shuffle(X, y)
            """,
            "one fixed state would draw the same sample at every turn; liblinear comes to one optimum",
        ),
        Good(
            """
            from sklearn.base import BaseEstimator
            from sklearn.tree import DecisionTreeClassifier

            class Voting(BaseEstimator):
                def __init__(self, random_state=None):
                    self.random_state = random_state

                def fit(self, X, y):
                    self.tree_ = DecisionTreeClassifier()
                    self.tree_.set_params(random_state=self.random_state)
                    return self
            """,
            "an estimator hands its own state on",
        ),
        Good(
            """
            import pytest
            from sklearn.datasets import make_blobs

            def test_blobs():
                X, y = make_blobs()
            """
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        name = class_name(module, node)
        if name not in self.names or not _is_random(node, name) or passes_unseen_arguments(node):
            return
        state = argument(node, "random_state")
        given = state is not None and not (isinstance(state, ast.Constant) and state.value is None)
        if given or module.fact(_is_seeded) or (name in _DRAWS and _is_repeated(module, node)):
            return
        if _hands_its_own_on(module, node):
            return
        yield self.finding(
            module,
            node,
            "The result is another one in each run, because no `random_state` is given. Pass a fixed one, such as "
            "`random_state=42`.",
            fix=suggested("Pass a random_state", SetArgument(Span.of(node), "random_state", "42")),
        )


def _hands_its_own_on(module: Module, call: ast.Call) -> bool:
    """Whether the call is in a class with a `random_state` of its own, which it gives to the models that it makes."""
    cls = module.enclosing_class(call)
    return cls is not None and any(
        (isinstance(each, ast.Attribute) and each.attr == "random_state")
        or (isinstance(each, ast.arg) and each.arg == "random_state")
        for each in ast.walk(cls)
    )


def _is_repeated(module: Module, call: ast.Call) -> bool:
    return bool(module.enclosing_loops(call)) or any(
        isinstance(each, ast.ListComp | ast.GeneratorExp) for each in module.ancestors(call)
    )


def _is_random(call: ast.Call, name: str) -> bool:
    if name in RANDOM_WITH:
        keyword, values = RANDOM_WITH[name]
        value = argument(call, keyword)
        return isinstance(value, ast.Constant) and value.value in values
    shuffle = argument(call, "shuffle")
    return not (name == "train_test_split" and isinstance(shuffle, ast.Constant) and shuffle.value is False)


def _is_seeded(module: Module) -> bool:
    """Whether a module seeds NumPy's global generator, itself or by a function that is called after it; or is a
    test.
    """
    if is_test(module):
        return True
    for call in module.nodes(ast.Call):
        name = module.called_name(call) or ""
        if name == "seed" or ("seed" in name.lower() and not name[:1].isupper() and isinstance(call.func, ast.Name)):
            qualified = module.qualified_name(call.func) or ""
            if qualified not in ("random.seed", "torch.manual_seed", "tensorflow.set_random_seed"):
                return True
    return bool(module.calls("seed_everything", "set_random_seed"))
