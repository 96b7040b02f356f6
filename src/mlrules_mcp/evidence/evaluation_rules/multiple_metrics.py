from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.drafts import metrics_function
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.metrics import DEFINITIONS, METRICS, computed
from mlrules_mcp.evidence.programs import NETWORK, PLAIN, TABLE

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts


class MultipleMetrics(Collector):
    """A model is judged by several metrics that fit its task.

    ## Met
    At least two different metrics in the whole project: calls of scikit-learn, torchmetrics, Keras and the like, or
    functions of its own that are called after a metric. A classification report is several.

    ## Broken
    An error or warning of a static check, such as accuracy alone on classes of unequal size.

    ## Not applicable
    Nothing is trained or judged here, or the project is a library that shows none.

    ## Never counts
    The loss; a mean or maximum over a metric; one metric twice.

    ## References
    - https://scikit-learn.org/stable/modules/model_evaluation.html
    """

    asks = Asked.of(calls=METRICS, definitions=DEFINITIONS)
    needs = ("training",)
    would_count = "a second metric beside the first, of scikit-learn, torchmetrics or the project's own"
    shown_by_examples = True
    examples = (
        Example(
            {"train.py": TABLE, "metrics.py": "def MAE(pred, true): ...\n\n\ndef RMSE(pred, true): ...\n"},
            "met",
            ["metrics.py:1", "metrics.py:4"],
        ),
        Example(
            {
                "train.py": NETWORK,
                "a.py": "import torchmetrics\n\nbest, last = torchmetrics.MaxMetric(), torchmetrics.Accuracy()\n",
            },
            "no_evidence",
        ),
        Example({"features.py": PLAIN}, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where nothing is trained, several metrics may still be computed."""
        reason = super().not_applicable(project)
        return None if reason and not project.library and len(computed(project)) > 1 else reason

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """The first place of each metric, where there are several."""
        found = computed(project)
        if len(found) > 1:
            yield from (of(fact, f"{name}: `{fact.text}`") for name, fact in found.items())

    def next_step(self, project: Facts) -> NextStep:
        """A function that computes the metrics that fit the task."""
        return NextStep("Judge by several metrics", "small", "metrics.py", metrics_function(project))
