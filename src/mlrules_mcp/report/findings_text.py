"""Findings as text: in short, as a reviewer writes them, or each with all its places."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from mlrules_mcp.analysis.engine import Analysis
from mlrules_mcp.findings import SEVERITIES, Diagnostic, Finding, Location

Style: TypeAlias = Callable[..., str]
COLOURS = {"error": "red", "warning": "yellow", "advice": "cyan"}

# What one can read at a sitting.
_MOST_CAUSES = 30
_MOST_DIAGNOSTICS = 10
_MOST_FILES = 5
_MOST_LINES = 10


def plain(text: str, **_style: Any) -> str:
    """A style that adds nothing: for output that is not a terminal."""
    return text


def analysis_text(analysis: Analysis, style: Style = plain) -> str:
    """Findings and diagnostics, a line each and what belongs to it below, then the count."""
    parts = [diagnostic_text(diagnostic, style) for diagnostic in analysis.diagnostics]
    parts += [finding_text(finding, style) for finding in analysis.findings]
    return "\n".join([*parts, summary(analysis)])


def review_text(analysis: Analysis, style: Style = plain) -> str:
    """What there is to say about some files, in short: errors first, each cause once, with its places in all files.

    Beyond what one can read at a sitting, advice goes first; a line says what was left out.
    """
    causes = sorted(_causes(analysis.findings), key=lambda cause: SEVERITIES.index(cause[0].severity))
    parts = [diagnostic_text(diagnostic, style) for diagnostic in analysis.diagnostics[:_MOST_DIAGNOSTICS]]
    parts += [_cause_text(cause, style) for cause in causes[:_MOST_CAUSES]]
    left_out = list(_counted(Counter(finding.severity for cause in causes[_MOST_CAUSES:] for finding in cause)))
    if any(len(_places(cause)) > _MOST_FILES + 1 for cause in causes[:_MOST_CAUSES]):
        left_out.append("some of the places")
    if len(analysis.diagnostics) > _MOST_DIAGNOSTICS:
        left_out.append(count(len(analysis.diagnostics) - _MOST_DIAGNOSTICS, "remark on files", "remarks on files"))
    if left_out:
        parts.append(f"Not shown: {', '.join(left_out)}. See them with --all, or check a part of the files.")
    return "\n".join([*parts, summary(analysis)])


def _causes(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Findings that say the same, together; one that tells of a second place stands for itself."""
    causes: dict[object, list[Finding]] = {}
    for number, finding in enumerate(findings):
        key = (finding.check, finding.message, finding.severity, number if finding.related else None)
        causes.setdefault(key, []).append(finding)
    return list(causes.values())


def _cause_text(cause: Sequence[Finding], style: Style) -> str:
    first = cause[0]
    here, *others = _places(cause).items()
    on_other_lines = [
        place for place in here[1] if (place.cell, place.line) != (first.location.cell, first.location.line)
    ]
    lines = [_head(first, style)]
    lines += [f"    also at {_lines(on_other_lines, _MOST_LINES)}"] if on_other_lines else []
    lines += [f"    also in {path}, {_lines(places, _MOST_LINES)}" for path, places in others[:_MOST_FILES]]
    if len(others) > _MOST_FILES:
        lines.append(f"    also in {count(len(others) - _MOST_FILES, 'more file')}")
    return "\n".join([*lines, *_tail(first)])


def _places(cause: Iterable[Finding]) -> dict[str, list[Location]]:
    """The places of some findings by their files."""
    places: dict[str, list[Location]] = {}
    for finding in cause:
        places.setdefault(finding.path, []).extend((finding.location, *finding.also_at))
    return places


def finding_text(finding: Finding, style: Style = plain) -> str:
    """One finding: place, severity, check and message; then other places, related ones and the fix."""
    also_at = [f"    also at {_lines(finding.also_at)}"] if finding.also_at else []
    return "\n".join([_head(finding, style), *also_at, *_tail(finding)])


def _head(finding: Finding, style: Style) -> str:
    location = finding.location
    place = _place(finding.path, location.cell, location.line, location.column)
    severity = style(finding.severity, fg=COLOURS[finding.severity], bold=True)
    return f"{style(place, bold=True)}: {severity} [{finding.check}] {finding.message}"


def _tail(finding: Finding) -> Iterator[str]:
    for other in finding.related:
        yield f"    {_place(other.path, other.location.cell, other.location.line)}: {other.message}"
    if finding.fix:
        yield f"    {finding.fix.applicability} fix: {finding.fix.title}"


def diagnostic_text(diagnostic: Diagnostic, style: Style = plain) -> str:
    """One diagnostic with its place, as far as it has one."""
    place = _place(diagnostic.path, diagnostic.cell, diagnostic.line, diagnostic.column)
    severity = style(diagnostic.severity, fg=COLOURS[diagnostic.severity], bold=True)
    return f"{style(place, bold=True)}: {severity} [{diagnostic.code}] {diagnostic.message}"


def place_text(finding: Finding) -> str:
    """Where a finding starts: its file, the cell of a notebook, and the line."""
    return _place(finding.path, finding.location.cell, finding.location.line)


def _place(path: str, cell: int | None, *numbers: int | None) -> str:
    in_cell = f"cell {cell}" if cell is not None else None
    return ":".join(str(part) for part in (path, in_cell, *numbers) if part is not None)


def _lines(places: Sequence[Location], most: int = sys.maxsize) -> str:
    """The lines of some places, each once."""
    in_cells = places[0].cell is not None
    lines = list(dict.fromkeys(f"{place.cell}:{place.line}" if in_cells else str(place.line) for place in places))
    shown = ", ".join(lines[:most])
    more = len(lines) - most
    return ("cell:line " if in_cells else "line ") + shown + (f" and {more} more" if more > 0 else "")


def summary(analysis: Analysis) -> str:
    """How much was found, and what can be fixed, in one line."""
    counts = Counter(finding.severity for finding in analysis.findings)
    files = count(analysis.files, "file")
    if not counts:
        unread = any(diagnostic.severity == "error" for diagnostic in analysis.diagnostics)
        return f"No findings in what could be read of {files}." if unread else f"No findings in {files}."
    fixes = Counter(finding.fix.applicability for finding in analysis.findings if finding.fix)
    fixable = ", ".join(
        count(fixes[kind], f"{kind} fix", plural=f"{kind} fixes") for kind in ("safe", "suggested") if fixes[kind]
    )
    return f"{', '.join(_counted(counts))} in {files}." + (f" Available: {fixable}." if fixable else "")


def _counted(counts: Counter[Any]) -> Iterator[str]:
    for severity in SEVERITIES:
        if counts[severity]:
            yield count(counts[severity], severity, plural=severity if severity == "advice" else None)


def count(number: int, noun: str, plural: str | None = None) -> str:
    """A number of things in words."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
