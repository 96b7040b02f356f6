"""A review of all 46 rules, made by hand: every status, severity and kind of place."""

from __future__ import annotations

from dataclasses import replace

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.evidence.answer import Answer, Counts, Evidence, Kind, NextStep, Review, Status
from mlrules_mcp.findings import Diagnostic

_CYCLE: tuple[Status, ...] = ("met", "no_evidence", "met", "broken", "met", "not_applicable", "no_evidence")
_SCRIPT = """\
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import cross_val_score

scores = cross_val_score(DummyClassifier(strategy="most_frequent"), X, y, cv=5, scoring="balanced_accuracy")
print(f"most frequent class: {scores.mean():.3f} +- {scores.std():.3f}")
"""


def sample() -> Review:
    """The review of a deep-learning project with notebooks."""
    rules = Catalogue().rules.rules
    answers = [
        _answer(rule.key, rule.severity, rule.description, _CYCLE[number % len(_CYCLE)])
        for number, rule in enumerate(rules)
    ]
    kinds = (
        Kind("deep_learning", (Evidence("src/forecast/model.py", 12, "class TemporalFusion(pl.LightningModule)"),)),
        Kind("research_notebook", (Evidence("notebooks/explore.ipynb", 3, "trains a model", cell=7),)),
    )
    return Review(
        "demand-forecast",
        kinds,
        tuple(answers),
        Counts(files=214, python=61, notebooks=5, bytes_read=1_200_000),
        ("Read 2,000 of 2,413 files: the rest was not looked at.",),
        (Diagnostic("syntax-error", "error", "scripts/old.py", "invalid syntax", 4, 2),),
        3.21,
    )


def answered(review: Review, rule: str, status: Status, places: int = 0) -> Review:
    """The same review with another answer to one rule."""
    evidence = tuple(Evidence("a.py", line, "here") for line in range(1, places + 1))
    return replace(
        review,
        answers=tuple(
            replace(answer, status=status, evidence=evidence, more=0) if answer.rule == rule else answer
            for answer in review.answers
        ),
    )


def _answer(rule: str, severity: str, description: str, status: Status) -> Answer:
    broken = (
        Evidence("src/forecast/train.py", 48, "torch.load without map_location", check="load-without-map-location"),
        Evidence("notebooks/explore.ipynb", 12, "`.cuda()` names one kind of device", 7, "hardcoded-cuda"),
        Evidence("README.md", None, f"says that a GPU is needed{'!' * 90}"),
    )
    step = NextStep("Score a baseline first", "small", "scripts/baseline.py", _SCRIPT)
    change = NextStep(
        "Load onto the device that is there", "small", "src/forecast/train.py", "    map_location=device,\n", 48
    )
    summary, evidence, more, todo = {
        "met": (
            "The seed is set before anything is drawn.",
            (Evidence("src/forecast/train.py", 9, "seed_everything(7)"),),
            0,
            None,
        ),
        "broken": ("4 places name a device by hand.", broken, 1, change),
        "no_evidence": (
            "Nothing scores a baseline. Looked for DummyClassifier in 61 Python files and the README.",
            (),
            0,
            step,
        ),
        "not_applicable": ("No model of the project is served.", (), 0, None),
    }[status]
    return Answer(rule, severity, status, summary, evidence, more, next_step=todo, description=description)  # type: ignore[arg-type]


if __name__ == "__main__":  # the page of a review in which everything occurs, for the browser
    from mlrules_mcp.report.comparison import Past, compare
    from mlrules_mcp.report.review_html import review_html

    now = sample()
    met, _, unsure, broken = (answer.rule for answer in now.answers[:4])
    before = {answer.rule: Past(answer.status, 4) for answer in now.answers}
    before |= {met: Past("broken", 3), unsure: Past("not_applicable", 0), broken: Past("broken", 9)}
    print(review_html(now, compare(before, now, "last-month.json")))
