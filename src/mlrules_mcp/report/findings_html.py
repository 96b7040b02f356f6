"""Findings as a page: file by file, each with its line of code, to be filtered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from mlrules_mcp.analysis.engine import Analysis
from mlrules_mcp.findings import SEVERITIES, Finding, Location, Severity
from mlrules_mcp.report.findings_text import count, summary
from mlrules_mcp.report.html import page
from mlrules_mcp.source import SourceFile

# Beyond it a browser takes long to open the page, and nobody reads it to the end.
MOST_FINDINGS = 2_000
_LONGEST_LINE = 200


@dataclass(frozen=True, slots=True)
class _Shown:
    """A finding with the code it is about: what stands before, in and after its range on its first line."""

    finding: Finding
    code: tuple[str, str, str] | None


def findings_html(analysis: Analysis, source_of: Callable[[str], SourceFile | None]) -> str:
    """The whole page, errors first within each file.

    Args:
        source_of: the source that was analysed under a path; None where it is gone.
    """
    counts = Counter(finding.severity for finding in analysis.findings)
    shown = sorted(analysis.findings, key=lambda finding: SEVERITIES.index(finding.severity))[:MOST_FINDINGS]
    by_path: dict[str, list[Finding]] = {finding.path: [] for finding in analysis.findings}
    for finding in shown:
        by_path[finding.path].append(finding)
    files = [(path, _with_code(found, source_of(path))) for path, found in by_path.items() if found]
    return page(
        "findings.html",
        scripts=("filters.js",),
        verdict=_verdict(analysis, counts),
        overall=next((each for each in SEVERITIES if counts[each]), "met"),
        summary=summary(analysis),
        counts={severity: counts[severity] for severity in SEVERITIES},
        checks=sorted(Counter(finding.check for finding in shown).items()),
        files=files,
        left_out=len(analysis.findings) - len(shown),
        diagnostics=analysis.diagnostics,
    )


def _verdict(analysis: Analysis, counts: Counter[Severity]) -> str:
    if counts["error"] or counts["warning"]:
        said = [count(counts[each], each) for each in ("error", "warning") if counts[each]]
        return f"{' and '.join(said)} in {count(analysis.files, 'file')}"
    if counts["advice"]:
        return f"Advice alone, in {count(analysis.files, 'file')}"
    return f"No findings in {count(analysis.files, 'file')}"


def _with_code(findings: list[Finding], source: SourceFile | None) -> list[_Shown]:
    return [_Shown(finding, _code(source, finding.location) if source else None) for finding in findings]


def _code(source: SourceFile, location: Location) -> tuple[str, str, str] | None:
    number = source.layout.line(location.cell, location.line) if source.layout else location.line + source.shift
    if not 0 < number <= len(source.lines):
        return None
    line = source.lines[number - 1]
    indent = len(line) - len(line.lstrip())
    start = max(location.column - 1, indent)
    end = location.end_column - 1 if location.end_line == location.line else len(line)
    end = max(start, min(end, start + _LONGEST_LINE))
    before = line[indent:start] if start - indent <= _LONGEST_LINE else "… "
    after = line[end : end + _LONGEST_LINE].rstrip()
    return before, line[start:end], after
