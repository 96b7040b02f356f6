from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import ESTIMATOR
from mlrules_mcp.evidence.programs import PLAIN, TABLE
from mlrules_mcp.evidence.steps import passed

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts

_OF_TARGETS = frozenset({"LabelEncoder", "LabelBinarizer", "MultiLabelBinarizer"})
# What scikit-learn removed, and what has its place.
_RENAMED = {"Imputer": ("sklearn.impute", ".", "SimpleImputer")}
_PREPARES = ("trade:transformer", "trade:scaling", "trade:resampler")


class PipelineUsage(Collector):
    """Preprocessing and model are one object: fitted together, saved together, applied together.

    ## Met
    A `Pipeline`, `make_pipeline` or `ColumnTransformer` is made, no check finds preprocessing outside of one, and fewer
    files do it by hand.

    ## Broken
    An error or warning of a static check.

    ## Not applicable
    No estimator is used here, or none that anything is prepared for.

    ## Never counts
    A class of its own that is called pipeline.

    ## References
    - https://scikit-learn.org/stable/modules/compose.html
    """

    needs = ("classical",)
    would_count = "a `Pipeline`, `make_pipeline` or `ColumnTransformer` around the preprocessing and the estimator"
    examples = (
        Example(
            {
                "train.py": f"""\
{TABLE}

from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

model = make_pipeline(StandardScaler(), RandomForestClassifier())
"""
            },
            "met",
            ["train.py:14"],
        ),
        Example(
            {
                "train.py": f"""\
{TABLE}

from sklearn.preprocessing import StandardScaler


def scaled(train):
    return StandardScaler().fit(train)
"""
            },
            "no_evidence",
        ),
        Example({"train.py": TABLE}, "not_applicable", why="nothing is prepared"),
        Example({"features.py": PLAIN}, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where nothing is fitted before the estimator, there is nothing to put in a pipeline."""
        if reason := super().not_applicable(project):
            return reason
        if project.landmarks(*_PREPARES, "trade:pipeline", "trade:columns"):
            return None
        return f"Nothing is scaled, encoded or imputed for the estimators here{project.extent}."

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Where pipelines are made, if more files do so than prepare by hand for an estimator."""
        made = project.landmarks("trade:pipeline", "trade:columns")
        piped = {fact.path for fact in made}
        estimating = {fact.path for fact in project.landmarks(ESTIMATOR)}
        by_hand = {fact.path for fact in project.landmarks(*_PREPARES)} & estimating - piped
        if len(piped) > len(by_hand):
            yield from (of(fact) for fact in made)

    def next_step(self, project: Facts) -> NextStep | None:
        """The first transformer and the first estimator in one pipeline."""
        prepared, estimators = project.landmarks(*_PREPARES), project.landmarks(ESTIMATOR)
        if not prepared or not estimators:
            return None
        of_features = [fact.called for fact in prepared if fact.called.rpartition(".")[2] not in _OF_TARGETS]
        first = next(iter(of_features), "sklearn.preprocessing.OrdinalEncoder").rpartition(".")
        first = _RENAMED.get(first[2], first)
        estimator = estimators[0]
        package, _, last = estimator.called.rpartition(".")
        content = (
            f"from {package} import {last}\n"
            "from sklearn.pipeline import make_pipeline\n"
            f"from {first[0]} import {first[2]}\n\n"
            f"model = make_pipeline({first[2]}(), {last}({passed(estimator)}))\n"
            "model.fit(X_train, y_train)  # fits both, on the training part alone\n"
        )
        title = f"Put `{first[2]}` and `{last}` into one pipeline"
        return NextStep(title, "small", estimator.path, content, estimator.line, estimator.cell)
