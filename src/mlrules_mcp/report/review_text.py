"""A review as text, for terminals and assistants."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator

from mlrules_mcp.evidence.answer import STATUSES, Answer, Evidence, Review, Status
from mlrules_mcp.report.findings_text import COLOURS, Style, count, diagnostic_text, plain

_TITLES: dict[Status, str] = {
    "broken": "Broken",
    "no_evidence": "No evidence",
    "met": "Met",
    "not_applicable": "Not applicable",
}
_COLOURS = {"broken": "red", "no_evidence": "yellow", "met": "green", "not_applicable": "bright_black"}
_MOST_DIAGNOSTICS = 5
_MOST_STEPS = 10


def project_review_text(
    review: Review, style: Style = plain, *, places: int = 3, in_full: str = "mlrules-mcp review --step RULE"
) -> str:
    """What the project is, what to do next, and every rule with its answer.

    Args:
        places: how many places are shown of each rule.
        in_full: how one asks for one rule's step in full.
    """
    parts = ["\n".join(_head(review, style))]
    if steps := review.next_steps:
        parts.append("\n".join(_next(steps, style, in_full)))
    by_status = {status: [each for each in review.answers if each.status == status] for status in STATUSES}
    parts += ["\n".join(_section(status, each, style, places)) for status, each in by_status.items() if each]
    parts += [diagnostic_text(diagnostic, style) for diagnostic in review.diagnostics[:_MOST_DIAGNOSTICS]]
    if (left := len(review.diagnostics) - _MOST_DIAGNOSTICS) > 0:
        parts.append(f"{count(left, 'more remark')} on files: see them with --format json.")
    parts += [style(f"Limit: {limit}", fg="yellow") for limit in review.limits]
    return "\n\n".join([*parts, _verdict(review)])


def step_text(answer: Answer, style: Style = plain) -> str:
    """One rule's next step in full, or what its answer is where nothing is to be done."""
    status = style(_TITLES[answer.status].lower(), fg=_COLOURS[answer.status], bold=True)
    lines = [f"{style(answer.rule, bold=True)} ({answer.severity}): {status}. {answer.summary}"]
    lines += [f"  {_evidence(evidence)}" for evidence in answer.evidence]
    step = answer.next_step
    if step is None:
        return "\n".join([*lines, "There is nothing to do."])
    where = _at(step.path, step.cell, step.line) if step.line else f"add {step.path}"
    lines += ["", style(f"{step.title} ({step.effort} effort, {where})", bold=True), "", step.content.rstrip("\n")]
    return "\n".join(lines)


def _head(review: Review, style: Style) -> Iterator[str]:
    kinds = " + ".join(kind.name.replace("_", " ") for kind in review.kinds) or "no kind of machine-learning project"
    yield f"{style(review.root, bold=True)}: {kinds}"
    yield from (
        f"  {kind.name.replace('_', ' ')}: {_evidence(evidence)}" for kind in review.kinds for evidence in kind.reasons
    )
    counts = review.counts
    yield (
        f"  {count(counts.files, 'file')}, of these {count(counts.python, 'Python file')} and "
        f"{count(counts.notebooks, 'notebook')} read"
    )


def _next(answers: tuple[Answer, ...], style: Style, in_full: str) -> Iterator[str]:
    yield style("What to do next", bold=True)
    for number, answer in enumerate(answers[:_MOST_STEPS], start=1):
        if answer.next_step is not None:
            severity = style(answer.severity, fg=COLOURS[answer.severity])
            yield f"{number:3}. {answer.next_step.title} [{answer.rule}, {severity}, {answer.next_step.effort}]"
    left = len(answers) - _MOST_STEPS
    more = f"and {left} more. " if left > 0 else ""
    yield f"     {more}A step in full: {in_full}"


def _section(status: Status, answers: list[Answer], style: Style, places: int) -> Iterator[str]:
    yield style(f"{_TITLES[status]} ({len(answers)})", fg=_COLOURS[status], bold=True)
    if status == "not_applicable":
        reasons: dict[str, list[str]] = {}
        for answer in answers:
            reasons.setdefault(answer.summary, []).append(answer.rule)
        for reason, rules in reasons.items():
            yield f"  {reason}\n{textwrap.indent(textwrap.fill(', '.join(rules), 106), '    ')}"
        return
    for answer in answers:
        yield f"  {style(answer.rule, bold=True)} ({style(answer.severity, fg=COLOURS[answer.severity])})"
        if status != "met" or not answer.evidence:
            yield f"    {answer.summary}"
        yield from (f"    {_evidence(evidence)}" for evidence in answer.evidence[:places])
        left = answer.more + max(0, len(answer.evidence) - places)
        yield from [f"    and {left} more"] if left else []


def _evidence(evidence: Evidence) -> str:
    place = _at(evidence.path, evidence.cell, evidence.line)
    return f"{place}: {evidence.message}" + (f" [{evidence.check}]" if evidence.check else "")


def _at(path: str, cell: int | None, line: int | None) -> str:
    return ":".join(str(part) for part in (path, f"cell {cell}" if cell is not None else "", line) if part)


def _verdict(review: Review) -> str:
    counts = Counter(answer.status for answer in review.answers)
    said = ", ".join(f"{counts[status]} {_TITLES[status].lower()}" for status in STATUSES if counts[status])
    return f"{count(len(review.answers), 'rule')}: {said}; {review.seconds:.1f} s."
