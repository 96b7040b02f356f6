from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import is_test
from mlrules_mcp.checks._sklearn import SKLEARN, class_name
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

# What shows how far scores lie apart, or tests it.
_SPREAD = pattern(
    r"\bstd\b|\.var\(|\bsem\b|stdev|boxplot|violin|errorbar|error_bar|describe\(|ttest|wilcoxon|mannwhitney|bootstrap|"
    r"confidence|quantile|percentile|fill_between|\biqr\b|hist\(|friedman|mcnemar",
    re.IGNORECASE,
)
_PRINTS = frozenset({"print", "info", "write", "display", "log", "format"})


class MeanWithoutSpread(Check[ast.Module]):
    """The mean of cross-validated scores, reported without their spread.

    ## What it does
    Points at the printed mean of `cross_val_score` in modules in which nothing shows how far the scores of the folds
    lie apart. Always advice, one for a module.

    ## Why it matters
    0.84 against 0.83 says nothing where the folds differ by 0.05. The spread tells which differences between models
    can be noise, and it is there already.

    ## Do not flag
    Means that a search or a comparison uses without reporting them, modules that print the scores themselves, compute a
    standard deviation, plot the scores or test them, and tests.

    ## Fix safety
    No fix: how to show the spread is the author's choice.

    ## References
    - https://scikit-learn.org/stable/modules/cross_validation.html#computing-cross-validated-metrics
    """

    packages = SKLEARN
    examples = (
        Bad(
            """
            from sklearn.model_selection import cross_val_score
            from sklearn.svm import SVC

            scores = cross_val_score(SVC(), X, y, cv=5)
            print("accuracy:", «scores.mean()»)
            """,
            advice=True,
        ),
        Bad(
            """
            import numpy as np
            from sklearn.linear_model import Lasso, Ridge
            from sklearn.model_selection import cross_val_score

            for model in [Ridge(), Lasso()]:
                score = np.mean(cross_val_score(model, X, y))
                print(f"{model}: {«score»:.3f}")
            """,
            advice=True,
        ),
        Good(
            """
            from sklearn.model_selection import cross_val_score
            from sklearn.svm import SVC

            scores = cross_val_score(SVC(), X, y, cv=5)
            print(f"accuracy: {scores.mean():.3f} +- {scores.std():.3f}")
            """
        ),
        Good(
            """
            from sklearn.model_selection import cross_val_score
            from sklearn.svm import SVC

            scores = cross_val_score(SVC(), X, y, cv=5)
            print(scores)
            print(scores.mean())
            """,
            "each score is shown",
        ),
        Good(
            """
            from sklearn.model_selection import cross_val_score

            best = -1.0
            for column in columns:
                score = cross_val_score(model, X[[*chosen, column]], y).mean()
                if score > best:
                    best = score
            print("best", best)
            """,
            "the best of several",
        ),
        Good(
            """
            import optuna
            from sklearn.model_selection import cross_val_score
            from sklearn.svm import SVC

            def objective(trial):
                return cross_val_score(SVC(C=trial.suggest_float("C", 0.1, 10)), X, y).mean()
            """,
            "a search uses it",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if not module.calls("cross_val_score") or _SPREAD.search(module.source.code) or is_test(module):
            return
        if any(_is_scores(module, each) for each in _printed(module)):
            return
        mean = next((each for each in _printed(module) if _is_mean(module, each)), None)
        if mean is not None:
            yield self.finding(
                module,
                mean,
                "A mean over folds does not say how far they lie apart, and so which differences are noise. Report the "
                "spread as well: `scores.mean()` and `scores.std()`.",
                advice=True,
            )


def _printed(module: Module) -> Iterator[ast.expr]:
    """What is printed, and what a notebook's cell shows in its last line."""
    for call in module.nodes(ast.Call):
        if module.called_name(call) in _PRINTS:
            for value in call.args:
                yield from _parts(value)
    if module.source.notebook is not None:
        yield from (statement.value for statement in module.nodes(ast.Expr) if module.parent(statement) is module.tree)


def _parts(value: ast.expr) -> Iterator[ast.expr]:
    match value:
        case ast.JoinedStr(values=values):
            yield from (part.value for part in values if isinstance(part, ast.FormattedValue))
        case ast.BinOp(left=left, right=right):
            yield from (*_parts(left), *_parts(right))
        case ast.Tuple(elts=parts):
            yield from parts
        case _:
            yield value


def _is_scores(module: Module, value: ast.expr) -> bool:
    origins = module.origins(value)
    return any(isinstance(each, ast.Call) and class_name(module, each) == "cross_val_score" for each in origins)


def _is_mean(module: Module, value: ast.expr) -> bool:
    return all(_is_mean_call(module, origin) for origin in module.origins(value))


def _is_mean_call(module: Module, origin: ast.expr) -> bool:
    match origin:
        case ast.Call(func=ast.Name(id="round" | "abs" | "float"), args=[inner, *_]):
            return _is_mean(module, inner)
        case ast.Call(func=ast.Attribute(value=scores, attr="mean"), args=[]):
            return _is_scores(module, scores)
        case ast.Call() if module.qualified_name(origin.func) in ("numpy.mean", "statistics.mean"):
            averaged = argument(origin, "a", 0)
            return averaged is not None and _is_scores(module, averaged)
    return False
