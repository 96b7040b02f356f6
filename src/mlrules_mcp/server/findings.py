"""Findings as answers to an assistant: the worst first, as many as fit, and a word on the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from mlrules_mcp.analysis.engine import Analysis
from mlrules_mcp.findings import SEVERITIES, Diagnostic, Finding, Location
from mlrules_mcp.report.data import diagnostic_data, finding_data, without_empty
from mlrules_mcp.report.findings_text import count, diagnostic_text, finding_text, summary
from mlrules_mcp.server.toolkit import MOST_BYTES, number_that_fits, weight

# Where a whole file repeats one mistake, the first places say enough.
_MOST_PLACES = 20
_MOST_DIAGNOSTICS = 20
_FRAME = 1_000


class FindingsAnswer(NamedTuple):
    """What was found, in both forms; `data` has the keys of the tools' output schemas."""

    text: str
    data: dict[str, Any]


def findings_answer(analysis: Analysis, rest: str, taken: int = 0) -> FindingsAnswer:
    """The findings and diagnostics of an analysis, errors before warnings before advice.

    Args:
        rest: what to do to see what was left out, as a sentence.
        taken: how many bytes of the answer are already taken.
    """
    findings = sorted(analysis.findings, key=lambda finding: SEVERITIES.index(finding.severity))
    diagnostics = sorted(analysis.diagnostics, key=lambda diagnostic: SEVERITIES.index(diagnostic.severity))
    shown_diagnostics = diagnostics[:_MOST_DIAGNOSTICS]
    room = MOST_BYTES - taken - _FRAME
    room -= sum(weight(diagnostic_text(each), slim_diagnostic(each)) for each in shown_diagnostics)
    slim = [(finding_text(_with_few_places(finding)), slim_finding(finding)) for finding in findings]
    shown = slim[: number_that_fits((weight(*forms) for forms in slim), room)]
    left_out = _left_out(findings[len(shown) :], diagnostics[len(shown_diagnostics) :])
    text = [*map(diagnostic_text, shown_diagnostics), *(text for text, _ in shown), summary(analysis)]
    data: dict[str, Any] = {
        "files": analysis.files,
        "findings": [data for _, data in shown],
        "diagnostics": [slim_diagnostic(each) for each in shown_diagnostics],
    }
    if left_out:
        data["left_out"] = f"{left_out}. {rest}"
        text.append(f"Left out: {data['left_out']}")
    return FindingsAnswer("\n".join(text), data)


def slim_finding(finding: Finding) -> dict[str, Any]:
    """A finding without what a reader who pays by the token can do without: ends, and columns of other places."""
    data: dict[str, Any] = without_empty(finding_data(finding))
    del data["end_line"], data["end_column"]
    if finding.also_at:
        data["also_at"] = [_place(place) for place in finding.also_at[:_MOST_PLACES]]
        if len(finding.also_at) > _MOST_PLACES:
            data["also_at"].append(f"and {len(finding.also_at) - _MOST_PLACES} more")
    return data


def slim_diagnostic(diagnostic: Diagnostic) -> dict[str, Any]:
    """A diagnostic without empty members."""
    data: dict[str, Any] = without_empty(diagnostic_data(diagnostic))
    return data


def _place(place: Location) -> int | str:
    return place.line if place.cell is None else f"{place.cell}:{place.line}"


def _with_few_places(finding: Finding) -> Finding:
    return replace(finding, also_at=finding.also_at[:_MOST_PLACES])


def _left_out(findings: Iterable[Finding], diagnostics: list[Diagnostic]) -> str:
    counts = Counter(finding.severity for finding in findings)
    parts = [
        count(counts[severity], severity, plural=severity if severity == "advice" else None)
        for severity in SEVERITIES
        if counts[severity]
    ]
    if diagnostics:
        parts.append(count(len(diagnostics), "remark on files", "remarks on files"))
    return ", ".join(parts)
