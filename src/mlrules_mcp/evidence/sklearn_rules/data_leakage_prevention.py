from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.checks._sklearn import trade
from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.code import Fact, fact_at
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.programs import PLAIN, TABLE
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source.gradients import last_name

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts
    from mlrules_mcp.evidence.tree import Role
    from mlrules_mcp.source import Module

_TRAIN = pattern(r"(?i)(^|[^a-z])tr(ai)?n(ing)?([^a-z]|$)")
_PREPARER = pattern(r"(?i)scaler|encoder|imputer|vectorizer|preprocess|transformer|pca|selector|normali[sz]er|tfidf")
_FITS = "fitted on the training part: "


class DataLeakagePrevention(Collector):
    """What is learned from the data for preparing it is learned from the training part alone.

    ## Met
    A transformer that is fitted on something called the training part, or stands in a pipeline; and no check finds one
    that saw more.

    ## Broken
    An error or warning of a static check.

    ## Not applicable
    Nothing is fitted before the model: no scaler, encoder, imputer, vectorizer or selector.

    ## Never counts
    A `transform` of whatever part.

    ## References
    - https://scikit-learn.org/stable/common_pitfalls.html#data-leakage
    """

    would_count = "a transformer fitted on the training part, or one inside a pipeline"
    examples = (
        Example(
            {
                "train.py": """\
                from sklearn.preprocessing import StandardScaler

                scaler = StandardScaler()
                X_train = scaler.fit_transform(X_train)
                X_test = scaler.transform(X_test)
                """
            },
            "met",
            ["train.py:4"],
        ),
        Example(
            {
                "train.py": """\
                from sklearn.model_selection import train_test_split
                from sklearn.preprocessing import StandardScaler

                X = StandardScaler().fit_transform(X)
                X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
                """
            },
            "broken",
            ["train.py:4"],
        ),
        Example(
            {"a.py": "from sklearn.decomposition import PCA\n\nshown = PCA().fit_transform(points)\n"}, "no_evidence"
        ),
        Example({"train.py": TABLE}, "not_applicable"),
        Example({"features.py": PLAIN}, "not_applicable"),
    )

    def look(self, module: Module, role: Role) -> Iterator[Fact]:
        """Fits of transformers on what is called the training part."""
        for call in module.calls("fit", "fit_transform"):
            if not isinstance(call.func, ast.Attribute) or not call.args:
                continue
            argument = ast.unparse(call.args[0])
            if _TRAIN.search(argument) and _prepares(module, call.func.value):
                yield fact_at(module, role, call, self.rule)

    def not_applicable(self, project: Facts) -> str | None:
        """Where no preparation learns from data, none can leak."""
        if reason := super().not_applicable(project):
            return reason
        if project.landmarks("trade:transformer", "trade:resampler") or project.notes(self.rule):
            return None
        return f"Nothing is fitted before the model: no scaler, encoder, imputer or selector{project.extent}."

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Fits on the training part, and pipelines with something to fit."""
        yield from (of(fact, f"{_FITS}`{fact.text}`") for fact in project.notes(self.rule))
        if project.landmarks("trade:transformer"):
            for fact in project.landmarks("trade:pipeline", "trade:columns"):
                yield of(fact, f"fitted with the model, in a pipeline: `{fact.text}`")

    def next_step(self, project: Facts) -> NextStep | None:
        """The first transformer, fitted on the training part."""
        found = project.landmarks("trade:transformer", "trade:resampler")
        if not found:
            return None
        name = found[0].target if found[0].target.isidentifier() else "transformer"
        content = f"{name}.fit(X_train)\nX_train = {name}.transform(X_train)\nX_test = {name}.transform(X_test)\n"
        return NextStep("Fit on the training part alone", "small", found[0].path, content, found[0].line, found[0].cell)


def _prepares(module: Module, receiver: ast.expr) -> bool:
    for origin in module.origins(receiver):
        name = module.qualified_name(origin.func) if isinstance(origin, ast.Call) else None
        if name and (known := trade(name)):
            return known.kind in ("transformer", "columns", "pipeline")
    return bool(_PREPARER.search(last_name(receiver) or ""))
