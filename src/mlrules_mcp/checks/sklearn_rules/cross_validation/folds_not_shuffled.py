from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import is_test
from mlrules_mcp.checks._order import ordered_columns, shuffles
from mlrules_mcp.checks._sklearn import SKLEARN, class_name
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.findings import Finding, SetArgument, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments


class FoldsNotShuffled(Check[ast.Call]):
    """Folds that are cut from the rows in the order in which they come.

    ## What it does
    Points at `KFold(…)` without `shuffle=True`, where nothing in the module shuffles the rows. Always advice.

    ## Why it matters
    Files are often in some order: by class, by date, by place. Folds cut from them in a row then hold other data
    than the rest,
    and the scores are too low, or differ wildly. `cv=5` cuts folds for a regressor in the same way.

    ## Do not flag
    Data with a date or time in play, which must not be shuffled, rows that were shuffled before (`shuffle`,
    `sample(frac=1)`, a permutation), splitters that stratify, and tests.

    ## Fix safety
    Suggested: the scores will be others.

    ## References
    - https://scikit-learn.org/stable/modules/cross_validation.html#a-note-on-shuffling
    """

    names = frozenset({"KFold"})
    packages = SKLEARN
    also_enforces = ("evaluation_rules.cross_validation",)
    examples = (
        Bad(
            """
            from sklearn.model_selection import KFold, cross_val_score

            scores = cross_val_score(model, X, y, cv=«KFold(n_splits=5)»)
            """,
            advice=True,
            suggested_fix="""
            from sklearn.model_selection import KFold, cross_val_score

            scores = cross_val_score(model, X, y, cv=KFold(n_splits=5, shuffle=True, random_state=42))
            """,
        ),
        Good(
            """
            from sklearn.model_selection import KFold, StratifiedKFold

            folds = KFold(5, shuffle=True, random_state=0)
            by_class = StratifiedKFold(5)
            others = KFold(**options)
            in_order = KFold(10, shuffle=False)
            """,
            "`shuffle=False` is somebody's decision, as where folds are laid down by a benchmark",
        ),
        Good(
            """
            import pandas as pd
            from sklearn.model_selection import KFold

            df = pd.read_csv("iris.csv").sample(frac=1, random_state=0)
            for train, test in KFold(5).split(df):
                print(len(train))
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.model_selection import KFold

            df = pd.read_csv("sales.csv", parse_dates=["date"])
            for train, test in KFold(5).split(df):
                print(df["date"].iloc[test].min())
            """,
            "shuffling would put the future into the training rows",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if class_name(module, node) != "KFold" or passes_unseen_arguments(node) or len(node.args) > 1:
            return
        if argument(node, "shuffle") is not None:
            return
        if is_test(module) or module.fact(shuffles) or module.fact(ordered_columns):
            return
        edits = (SetArgument(Span.of(node), "shuffle", "True"), SetArgument(Span.of(node), "random_state", "42"))
        yield self.finding(
            module,
            node,
            "These folds are cut from the rows in the order in which they come, so a file that is sorted gives folds "
            "unlike each "
            "other. Pass `shuffle=True` and a `random_state`, or use `TimeSeriesSplit` where the order is time.",
            advice=True,
            fix=suggested("Shuffle the rows", *edits),
        )
