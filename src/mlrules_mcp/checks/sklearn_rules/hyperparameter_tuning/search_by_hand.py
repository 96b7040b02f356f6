from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import data_flow
from mlrules_mcp.checks._sklearn import SKLEARN
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.data_flow.values import Learner
from mlrules_mcp.source.tree import LOOPS

_PLOT = re.compile(r"ax(e?s|is)?$|plot$", re.IGNORECASE)


class SearchByHand(Check[ast.Module]):
    """Nested loops over hyperparameters.

    ## What it does
    Finds models made from the variables of two or more nested loops, or of a loop over `itertools.product` or
    `ParameterGrid`, that are scored or cross-validated in them.

    ## Why it matters
    `GridSearchCV` and `RandomizedSearchCV` do the same by cross-validation, in parallel, with the preprocessing
    inside each
    fold, and refit the best model. A loop by hand tends to score on one part of the data only, and a grid grows with
    each
    hyperparameter where a random search does not.

    ## Do not flag
    A single loop over one setting, as for a validation curve, loops over seeds, data sets or folds, and models whose
    steps
    can't be searched (networks in other libraries).

    ## Fix safety
    No fix: the loops have to be replaced as a whole.

    ## References
    - https://scikit-learn.org/stable/modules/grid_search.html
    """

    packages = SKLEARN
    examples = (
        Bad(
            """
            from sklearn.svm import SVC

            best_score = 0
            for C in «[0.1, 1, 10]»:
                for gamma in [0.01, 0.1, 1]:
                    model = SVC(C=C, gamma=gamma).fit(X_train, y_train)
                    score = model.score(X_val, y_val)
                    if score > best_score:
                        best_score, best = score, (C, gamma)
            """
        ),
        Bad(
            """
            from itertools import product

            import numpy as np
            from sklearn.ensemble import RandomForestClassifier
            from sklearn.model_selection import cross_val_score

            def score(depth, leaves):
                model = RandomForestClassifier(max_depth=depth, min_samples_leaf=leaves)
                return np.mean(cross_val_score(model, X, y))

            for depth, leaves in «product([2, 4, 8], [1, 5, 10])»:
                print(depth, leaves, score(depth, leaves))
            """
        ),
        Good(
            """
            from sklearn.model_selection import GridSearchCV
            from sklearn.neighbors import KNeighborsClassifier
            from sklearn.svm import SVC

            search = GridSearchCV(SVC(), {"C": [0.1, 1, 10], "gamma": [0.01, 0.1, 1]}).fit(X_train, y_train)
            for k in range(1, 20):
                for seed in range(5):
                    print(KNeighborsClassifier(k).fit(X_train, y_train).score(X_val, y_val))
            for name in ["a", "b"]:
                for C in [1, 10]:
                    print(name, SVC(C=C).fit(X_train, y_train).score(X_val, y_val))
            for gamma, row_axes in zip([0.1, 1], axes):
                for C, ax in zip([1, 10], row_axes):
                    draw(ax, SVC(C=C, gamma=gamma).fit(X_train, y_train).score(X_val, y_val))
            """,
            "one setting, or a plot for each",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        events = module.fact(data_flow)
        learners = [score.learner for score in events.scores] + [
            each.learner for each in events.validations if each.learner
        ]
        seen: set[ast.AST] = set()
        for learner in learners:
            loop = _outermost(module, learner)
            if loop is not None and loop not in seen:
                seen.add(loop)
                yield self.finding(
                    module,
                    loop.iter,
                    "Loops over hyperparameters search by hand what `GridSearchCV` or `RandomizedSearchCV` search by "
                    "cross-validation, in parallel and with the preprocessing in each fold. Use one of them.",
                )


def _outermost(module: Module, learner: Learner) -> ast.For | None:
    """The outermost of the loops that together vary several settings of a model."""
    loops = sorted((loop for loop in learner.loops if isinstance(loop, ast.For)), key=lambda loop: loop.lineno)
    if (
        not loops
        or any(_goes_over_plots(loop) for loop in loops)
        or (learner.trade is not None and learner.trade.kind in ("search", "network"))
    ):
        return None
    nested = [
        loop
        for loop in loops[1:]
        if any(outer in loops for outer in module.ancestors(loop) if isinstance(outer, LOOPS))
    ]
    return loops[0] if nested or _is_product(loops[0]) else None


def _goes_over_plots(loop: ast.For) -> bool:
    """Whether a loop draws each setting into a plot of its own, to be looked at."""
    return any(isinstance(name, ast.Name) and _PLOT.search(name.id) for name in ast.walk(loop.target))


def _is_product(loop: ast.For) -> bool:
    return any(
        isinstance(each, ast.Name | ast.Attribute)
        and ast.unparse(each).rpartition(".")[2] in ("product", "ParameterGrid")
        for each in ast.walk(loop.iter)
    )
