"""A review as a page: what to do next, and every rule with its evidence, to be filtered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import groupby

from mlrules_mcp.evidence.answer import STATUSES, Answer, Review, Status
from mlrules_mcp.findings import SEVERITIES
from mlrules_mcp.report.comparison import Comparison
from mlrules_mcp.report.data import block_title
from mlrules_mcp.report.findings_text import count
from mlrules_mcp.report.html import page

MOST_STEPS = 7


def review_html(review: Review, comparison: Comparison | None = None) -> str:
    """The whole page.

    Args:
        comparison: what changed since an earlier review, where there is one.
    """
    counts = Counter(answer.status for answer in review.answers)
    return page(
        "review.html",
        scripts=("filters.js",),
        review=review,
        comparison=comparison,
        changes={change.rule: change for change in comparison.changes} if comparison else {},
        verdict=verdict(review),
        overall=overall(counts),
        counts={status: counts[status] for status in STATUSES},
        meter=_meter({status: counts[status] for status in STATUSES}),
        about=about(review),
        steps=review.next_steps[:MOST_STEPS],
        more_steps=len(review.next_steps) - MOST_STEPS,
        blocks=_blocks(review.answers),
        statuses=STATUSES,
        severities=[each for each in SEVERITIES if any(answer.severity == each for answer in review.answers)],
    )


def verdict(review: Review) -> str:
    """The review in one line: what is broken, or else what does not show, or that all is well."""
    counts = Counter(answer.status for answer in review.answers)
    if counts["broken"]:
        return f"{count(counts['broken'], 'rule is', 'rules are')} broken"
    if counts["no_evidence"]:
        return f"Nothing is broken; {count(counts['no_evidence'], 'rule leaves', 'rules leave')} no evidence"
    return "Every rule that applies is met" if counts["met"] else "No rule applies here"


def overall(counts: Counter[Status]) -> Status:
    """The status that the whole project gets."""
    return next((status for status in STATUSES if counts[status]), "not_applicable")


def about(review: Review) -> str:
    """What the project is and how much of it was read."""
    kinds = ", ".join(kind.name.replace("_", " ") for kind in review.kinds) or "no kind of machine-learning project"
    counts = review.counts
    read = [count(counts.python, "Python file")] + [count(counts.notebooks, "notebook")] * bool(counts.notebooks)
    return f"{kinds} · {count(counts.files, 'file')}, {' and '.join(read)} read"


def _blocks(answers: Iterable[Answer]) -> list[tuple[str, str, list[Answer]]]:
    """Each block's name, heading and answers, what needs work first."""
    grouped = groupby(answers, key=lambda answer: answer.rule.partition(".")[0])
    return [
        (name, block_title(name), sorted(several, key=lambda answer: STATUSES.index(answer.status)))
        for name, several in grouped
    ]


def _meter(counts: dict[Status, int]) -> list[tuple[Status, float, float]]:
    """Where the part of each status starts on a bar that is 100 long, and how long it is."""
    total, start, parts = sum(counts.values()) or 1, 0.0, []
    for status, number in counts.items():
        if number:
            parts.append((status, start, 100 * number / total))
        start += 100 * number / total
    return parts
