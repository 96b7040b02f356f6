from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.folds import FOLDS, cross_validation_script, folds
from mlrules_mcp.evidence.programs import NETWORK, PLAIN, TABLE

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts


class CrossValidation(Collector):
    """Estimators are chosen and judged on several folds, not on one split.

    ## Met
    `cross_val_*`, a splitter into folds, a `*SearchCV`, an estimator that cross-validates itself, folds of XGBoost or
    LightGBM; and no check finds a model judged on one split.

    ## Broken
    An error or warning of a static check.

    ## Not applicable
    No estimator is used here: networks are judged on a held-out part.

    ## Never counts
    Splitters that give one split.

    ## References
    - https://scikit-learn.org/stable/modules/cross_validation.html
    """

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
