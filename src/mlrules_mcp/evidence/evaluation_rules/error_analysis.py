from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.code import Fact, fact_at
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.drafts import failures_script
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.programs import NETWORK, PLAIN, TABLE
from mlrules_mcp.patterns import pattern

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts
    from mlrules_mcp.evidence.tree import Role
    from mlrules_mcp.source import Module

_TOOLS = (
    "sklearn.metrics.confusion_matrix sklearn.metrics.classification_report "
    "sklearn.metrics.multilabel_confusion_matrix sklearn.metrics.ConfusionMatrixDisplay "
    "sklearn.metrics.ConfusionMatrixDisplay.from_predictions "
    "sklearn.metrics.ConfusionMatrixDisplay.from_estimator sklearn.metrics.plot_confusion_matrix "
    "sklearn.metrics.PredictionErrorDisplay sklearn.metrics.PredictionErrorDisplay.from_predictions "
    "torchmetrics.ConfusionMatrix torchmetrics.classification.MulticlassConfusionMatrix "
    "torchmetrics.classification.ConfusionMatrix torchmetrics.classification.BinaryConfusionMatrix "
    "wandb.plot.confusion_matrix wandb.sklearn.plot_confusion_matrix yellowbrick.* "
    "tensorflow.math.confusion_matrix cleanlab.* snorkel.slicing.* fiftyone.* erroranalysis.* raiwidgets.* "
    "mlxtend.plotting.plot_confusion_matrix"
)
_FUNCTIONS = (
    "misclassif confusion_matrix error_analysis analyze_errors analyse_errors failure_case worst_ hardest_ "
    "false_positives false_negatives per_class slice_metrics get_slice plot_errors plot_residual actual_vs_pred "
    "predicted_vs_actual"
)
_RESIDUAL = pattern(
    r"(?i)^(residuals?|resids?|(pred|prediction)_errors?|misclassified|wrong(_\w+)?|false_(pos|neg)\w*|mistakes)$"
)
_PREDICTED = pattern(r"(?i)pred|y_?hat|fitted|target|_true\b|actual|label|\by(_\w+)?\b")
_TOLD = r"error analysis|residuals?|confusion|failure (cases|modes|analysis)|misclassif|where (it|the model) fails"


class ErrorAnalysis(Collector):
    """Somebody looked at what the model gets wrong.

    ## Met
    Confusion matrices and reports by class, residuals, lists of wrong predictions, metrics by slice, a section on
    failures in the documents or between the cells of a notebook.

    ## Broken
    An error or warning of a static check.

    ## Not applicable
    Nothing is trained here, or the project is a library that shows none.

    ## Never counts
    One figure over all data, exceptions that are handled.

    ## References
    - https://developers.google.com/machine-learning/guides/rules-of-ml
    """

    asks = Asked.of(calls=_TOOLS, definitions=_FUNCTIONS)
    needs = ("training",)
    would_count = "a confusion matrix, a report by class or slice, residuals, or a list of wrong predictions"
    looked_in = "the code, notebooks and documents"
    shown_by_examples = True
    examples = (
        Example(
            {
                "train.py": TABLE,
                "report.py": "from sklearn.metrics import confusion_matrix\n\nprint(confusion_matrix(y_test, guess))\n",
            },
            "met",
            ["report.py:3"],
        ),
        Example({"train.py": TABLE + "\n\nresiduals = predicted - y_test\n"}, "met", ["train.py:11"]),
        Example({"train.py": NETWORK + "# TODO: confusion_matrix\n"}, "no_evidence"),
        Example({"features.py": PLAIN}, "not_applicable"),
    )

    def look(self, module: Module, role: Role) -> Iterator[Fact]:
        """Residuals and wrong predictions that are kept under such a name."""
        for assignment in module.nodes(ast.Assign):
            target, value = assignment.targets[0], assignment.value
            if _is_error(target) and _compares_predictions(value):
                yield fact_at(module, role, assignment, self.rule)

    def not_applicable(self, project: Facts) -> str | None:
        """Where nothing is trained, errors of a model may still be looked at."""
        reason = super().not_applicable(project)
        return None if reason and not project.library and project.calls(*_TOOLS.split()) else reason

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Tools, functions, residuals, then prose."""
        yield from (of(fact) for fact in project.calls(*_TOOLS.split()))
        yield from (
            of(fact) for fact in project.definitions(*_FUNCTIONS.split()) if fact.text.startswith(("def ", "async "))
        )
        yield from (of(fact) for fact in project.notes(self.rule))
        for section, _ in project.told(_TOLD):
            if len(section.text.split()) > 15:
                yield Evidence(section.path, section.line, f"“{section.heading}”", section.cell)

    def next_step(self, project: Facts) -> NextStep:
        """A script that lists the worst predictions."""
        return NextStep("Look at the worst predictions", "small", "error_analysis.py", failures_script(project))


def _is_error(target: ast.expr) -> bool:
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        return isinstance(target.slice.value, str) and bool(_RESIDUAL.match(target.slice.value))
    return isinstance(target, ast.Name) and bool(_RESIDUAL.match(target.id))


def _compares_predictions(value: ast.expr) -> bool:
    """Whether an expression holds predictions, or targets, against each other, or picks the rows where they differ."""
    match value:
        case ast.BinOp(op=ast.Sub()) | ast.Compare() | ast.Subscript():
            return bool(_PREDICTED.search(ast.unparse(value)))
    return False
