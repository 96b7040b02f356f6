from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import data_flow
from mlrules_mcp.checks._sklearn import CLASSIFIERS, SKLEARN
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.findings import Finding, Fix, SetArgument, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.data_flow.events import Split
from mlrules_mcp.source.data_flow.lineage import ancestry, split_inputs
from mlrules_mcp.source.data_flow.values import Learner
from mlrules_mcp.source.names import argument, passes_unseen_arguments

_MADE_UP = ("make_", "randn", "rand", "randint", "normal", "uniform", "default_rng")


class SplitNotStratified(Check[ast.Module]):
    """A random split for a classifier that leaves the classes to chance.

    ## What it does
    Points at `train_test_split` without `stratify` whose training part a classifier is fitted on. Always advice, given
    once a file with all such splits.

    ## Why it matters
    A rare class can be much rarer, or missing, in the test part. Its scores then depend on the split more than on the
    model, and those of two splits can't be compared.

    ## Do not flag
    Regression, splits that are stratified or not shuffled, made-up data, which has classes of one size.

    ## Fix safety
    Suggested: it draws another split than before, and fails where a class has a single row.

    ## References
    - https://scikit-learn.org/stable/modules/generated/sklearn.model_selection.train_test_split.html
    - https://scikit-learn.org/stable/modules/cross_validation.html#stratification
    """

    packages = SKLEARN
    examples = (
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import train_test_split

            df = pd.read_csv("churn.csv")
            X, y = df.drop(columns="churned"), df["churned"]
            X_train, X_test, y_train, y_test = «train_test_split(X, y, test_size=0.2, random_state=0)»
            model = LogisticRegression().fit(X_train, y_train)
            """,
            advice=True,
            suggested_fix="""
            import pandas as pd
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import train_test_split

            df = pd.read_csv("churn.csv")
            X, y = df.drop(columns="churned"), df["churned"]
            X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=0, stratify=y)
            model = LogisticRegression().fit(X_train, y_train)
            """,
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.model_selection import train_test_split
            from sklearn.pipeline import make_pipeline
            from sklearn.preprocessing import StandardScaler
            from xgboost import XGBClassifier

            train, test = «train_test_split(pd.read_csv("fraud.csv"), random_state=0)»
            model = make_pipeline(StandardScaler(), XGBClassifier())
            model.fit(train.drop(columns="fraud"), train["fraud"])
            """,
            advice=True,
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression, Ridge
            from sklearn.model_selection import train_test_split

            df = pd.read_csv("churn.csv")
            X, y = df.drop(columns="churned"), df["churned"]
            X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
            LogisticRegression().fit(X_train, y_train)
            first, last, y_first, y_last = train_test_split(X, df["spent"], random_state=0)
            Ridge().fit(first, y_first)
            """
        ),
        Good(
            """
            from sklearn.datasets import make_classification
            from sklearn.model_selection import train_test_split
            from sklearn.svm import SVC

            X, y = make_classification(random_state=0)
            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            SVC().fit(X_train, y_train)
            """,
            why="made-up classes of one size",
        ),
        Good(
            """
            import pandas as pd
            from sklearn.model_selection import train_test_split
            from sklearn.svm import SVC

            df = pd.read_csv("states.csv")
            X_train, X_test, y_train, y_test = train_test_split(df[["a", "b"]], df["state"], shuffle=False)
            SVC().fit(X_train, y_train)
            """,
            why="in order of time",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if not module.calls("train_test_split"):
            return
        splits = {split.node: split for fit_split in [_splits(module)] for split in fit_split}
        if not splits:
            return
        first, *others = sorted(splits, key=lambda call: (call.lineno, call.col_offset))
        yield self.finding(
            module,
            first,
            "The split leaves it to chance how many rows of each class are in the test part, so that a rare class may "
            "hardly be tested. Keep the shares of the classes with `stratify`.",
            advice=True,
            also_at=others,
            fix=_fix(first),
        )


def _splits(module: Module) -> Iterator[Split]:
    """The splits without strata whose parts classifiers are fitted on."""
    for fit in module.fact(data_flow).fits:
        if fit.learner is None or fit.features is None or fit.target is None or not _classifies(fit.learner):
            continue
        for split in split_inputs(fit.features):
            if split.kind == "holdout" and _is_random(split.node) and not _is_made_up(module, split):
                yield split
            break


def _classifies(learner: Learner) -> bool:
    name = (learner.name or "").rpartition(".")[2]
    return name in CLASSIFIERS or any(map(_classifies, learner.members))


def _is_random(call: ast.expr) -> bool:
    if not isinstance(call, ast.Call) or passes_unseen_arguments(call) or argument(call, "stratify") is not None:
        return False
    shuffle = argument(call, "shuffle")
    return shuffle is None or (isinstance(shuffle, ast.Constant) and shuffle.value is not False)


def _is_made_up(module: Module, split: Split) -> bool:
    """Whether the data is from a generator of scikit-learn's, or random numbers."""
    for data in split.inputs:
        for current in ancestry(data):
            if isinstance(current.node, ast.Call) and (module.called_name(current.node) or "").startswith(_MADE_UP):
                return True
    return False


def _fix(call: ast.expr) -> Fix | None:
    match call:
        case ast.Call(args=[_, ast.Name(id=target)]):
            return suggested("Keep the shares of the classes", SetArgument(Span.of(call), "stratify", target))
    return None
