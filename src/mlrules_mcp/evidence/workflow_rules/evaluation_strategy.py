from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.drafts import evaluation_plan
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import ESTIMATOR, NETWORK, PRETRAINED, SERVING, TRAINING
from mlrules_mcp.evidence.metrics import METRICS
from mlrules_mcp.evidence.programs import LIBRARY, PLAIN, TABLE
from mlrules_mcp.evidence.programs import NETWORK as NETWORK_PROGRAM
from mlrules_mcp.patterns import pattern

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts

_FUNCTIONS = "estimate_loss eval_loss evaluate validat compute_metrics eval_step test_epoch run_eval"
_EVALUATES = pattern(
    r"(?i)^_*((run_|do_)?validat(e|ion)(_?((one_?)?epoch|model|step|loop|batch|set|fold|network))?|\w*evaluate(?!d|_expr)\w*|"
    r"(estimate|eval|val)_loss|compute_metrics|eval_step|test_epoch|run_eval\w*)$"
)
_ARGUMENTS = (
    "monitor validation_data validation_split eval_set eval_metric metric_for_best_model compute_metrics scoring"
)
_OF_VALIDATION = pattern(r"^(val|valid|validation)([_/. -]|$)")
_DECIDED = (
    r"(success|evaluation|primary|target|required|acceptance)[ _-]*(metrics?|criteri\w+|strategy|plan|score)|"
    r"\b(r2|accuracy|auc|f1|recall|precision|rmse|mae)\b[^\n]{0,40}(at least|above|below|>=|≥|of 0\.\d)"
)


class EvaluationStrategy(Collector):
    """What a good model is, and on which data that is measured, is settled before training.

    ## Met
    Functions that evaluate or validate, metrics that are computed, a `monitor`, validation data passed to `fit`,
    metrics in the configuration, a required score in the documents; and no check finds a metric chosen after training.

    ## Broken
    An error or warning of a static check.

    ## Not applicable
    Nothing is trained here and no model is used.

    ## Never counts
    A loss that is printed while training.

    ## References
    - https://developers.google.com/machine-learning/guides/rules-of-ml
    """

    asks = Asked.of(calls=METRICS, definitions=_FUNCTIONS, keywords=_ARGUMENTS, keys="val")
    would_count = (
        "a function that evaluates on held-out data, metrics, a `monitor`, or a required score in the documents"
    )
    looked_in = "the code, notebooks, configurations and documents"
    shown_by_examples = True
    examples = (
        Example(
            {
                "train.py": NETWORK_PROGRAM,
                "evaluate.py": "def evaluate(model, loader):\n    return dice(model, loader)\n",
            },
            "met",
            ["evaluate.py:1"],
        ),
        Example(
            {"train.py": TABLE, "README.md": "# Aim\n\nThe model is used if its recall is at least 0.8.\n"},
            "met",
            ["README.md:3"],
        ),
        Example({"train.py": NETWORK_PROGRAM}, "no_evidence"),
        Example(LIBRARY, "not_applicable"),
        Example({"features.py": PLAIN}, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Without a model there is nothing to judge."""
        if reason := super().not_applicable(project):
            return reason
        if library := project.library:
            return f"This is a library: {library.message} Its users judge their models."
        if project.landmarks(TRAINING, NETWORK, ESTIMATOR, PRETRAINED) or (
            project.landmarks(SERVING) and project.landmarks("trade:metric")
        ):
            return None
        return f"No model is trained or judged here{project.extent}."

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Evaluation in code, then in settings, then in documents."""
        functions = project.definitions(*_FUNCTIONS.split())
        yield from (of(fact) for fact in functions if _EVALUATES.search(fact.called))
        yield from (of(fact) for fact in project.keywords(*_ARGUMENTS.split()))
        yield from (of(fact) for fact in (*project.landmarks("trade:metric"), *project.calls(*METRICS.split())))
        for fact in project.keys("val"):
            if _OF_VALIDATION.search(fact.name):
                yield of(fact, f"measured on the validation part: `{fact.text}`")
        for setting in project.set_to(r"(^|\.)(monitor|metrics?|primary_metric|optimized_metric|eval_metric)(\.|$)"):
            yield Evidence(setting.path, setting.line, f"`{setting.key}: {setting.value}`")
        for section, match in project.told("", _DECIDED):
            yield Evidence(section.path, section.line_of(match.start()), f"“{match[0].strip()}”", section.cell)

    def next_step(self, project: Facts) -> NextStep:
        """A page that says what is measured, on what, and what is good enough."""
        return NextStep("Write down what a good model is", "small", "EVALUATION.md", evaluation_plan(project))
