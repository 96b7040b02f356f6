"""Cross-validation, which two rules ask for: where a project makes folds, and the script that does it."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import dedent
from typing import TYPE_CHECKING

from mlrules_mcp.checks._sklearn import HOLDOUT_SPLITTERS
from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.code import Fact
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import ESTIMATOR
from mlrules_mcp.evidence.programs import NETWORK, PLAIN, TABLE
from mlrules_mcp.evidence.steps import is_regression, passed, reads_table, target

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts

FOLDS = "xgboost.cv lightgbm.cv catboost.cv"


class FoldsCollector(Collector):
    """Answers for a rule that wants estimators judged on several folds; the rules' own classes document it."""

    asks = Asked.of(calls=FOLDS)
    needs = ("classical",)
    would_count = "`cross_val_score`, a `KFold` or its kin, or a `*SearchCV`"
    shown_by_examples = True
    examples = (
        Example(
            {
                "train.py": f"""\
{TABLE}

from sklearn.model_selection import cross_val_score

print(cross_val_score(RandomForestClassifier(), X, y, cv=5).mean())
"""
            },
            "met",
            ["train.py:13"],
        ),
        Example({"train.py": TABLE}, "no_evidence"),
        Example({"train.py": NETWORK}, "not_applicable"),
        Example({"features.py": PLAIN}, "not_applicable"),
    )

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Where folds are made."""
        yield from (of(fact) for fact in folds(project))

    def next_step(self, project: Facts) -> NextStep:
        """A script that cross-validates the project's own estimator."""
        return NextStep(
            "Judge the estimator on five folds", "small", "cross_validate.py", cross_validation_script(project)
        )


def folds(project: Facts) -> list[Fact]:
    """Where folds are made, or an estimator makes them itself."""
    found = project.landmarks("trade:cross-validation", "trade:search", "trade:splitter")
    found = [fact for fact in found if fact.called.rpartition(".")[2] not in HOLDOUT_SPLITTERS]
    own = [fact for fact in project.landmarks(ESTIMATOR) if fact.called.endswith("CV")]
    return [*found, *own, *project.calls(*FOLDS.split())]


def cross_validation_script(project: Facts) -> str:
    """A script that cross-validates the project's first estimator on its table."""
    found = next((fact for fact in project.landmarks(ESTIMATOR) if "." in fact.called), None)
    package, _, name = found.called.rpartition(".") if found else ("sklearn.linear_model", "", "LogisticRegression")
    arguments = passed(found) if found else ""
    regression = is_regression(project)
    splitter = "KFold" if regression else "StratifiedKFold"
    scoring = '["r2", "neg_mean_absolute_error"]' if regression else '["balanced_accuracy", "f1_macro"]'
    origin = f"  # as in {found.path}:{found.line}" if found else ""
    return dedent(
        f"""\
        \"\"\"How good the model is on data it has not seen, and how much that varies.\"\"\"

        import pandas as pd
        from {package} import {name}
        from sklearn.model_selection import {splitter}, cross_validate

        TARGET = "{target(project)}"

        df = {reads_table(project)}
        X = df.drop(columns=TARGET).select_dtypes("number").fillna(0)
        model = {name}({arguments}){origin}
        folds = {splitter}(n_splits=5, shuffle=True, random_state=0)
        for metric, scores in cross_validate(model, X, df[TARGET], cv=folds, scoring={scoring}).items():
            if metric.startswith("test_"):
                print(f"{{metric}}: {{scores.mean():.3f}} +- {{scores.std():.3f}}")
        """
    )
