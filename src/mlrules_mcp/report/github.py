"""Findings as workflow commands of GitHub Actions, which shows them beside the lines of a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from mlrules_mcp.analysis.engine import Analysis
from mlrules_mcp.findings import SEVERITIES, Diagnostic, Finding
from mlrules_mcp.report.findings_text import summary

_COMMANDS = {"error": "error", "warning": "warning", "advice": "notice"}


def github_text(analysis: Analysis) -> str:
    """A command a finding and diagnostic, errors first because GitHub shows ten of a kind a step; then the count."""
    findings = sorted(analysis.findings, key=lambda finding: SEVERITIES.index(finding.severity))
    commands = [*map(_diagnostic, analysis.diagnostics), *map(_finding, findings)]
    return "\n".join([*commands, summary(analysis)])


def _finding(finding: Finding) -> str:
    place = finding.location
    message = finding.message + (f"\n{finding.fix.applicability} fix: {finding.fix.title}" if finding.fix else "")
    properties: dict[str, object] = {"file": finding.path}
    if place.cell is not None:  # a notebook's lines are not those of its file
        message = f"Cell {place.cell}, line {place.line}: {message}"
    else:
        properties |= {"line": place.line, "endLine": place.end_line}
        if place.line == place.end_line:  # over several lines GitHub takes no columns
            properties |= {"col": place.column, "endColumn": place.end_column}
    return _command(_COMMANDS[finding.severity], properties | {"title": finding.check}, message)


def _diagnostic(diagnostic: Diagnostic) -> str:
    properties: dict[str, object] = {"file": diagnostic.path}
    if diagnostic.line is not None and diagnostic.cell is None:
        properties["line"] = diagnostic.line
    return _command(_COMMANDS[diagnostic.severity], properties | {"title": diagnostic.code}, diagnostic.message)


def _command(name: str, properties: dict[str, object], message: str) -> str:
    listed = ",".join(f"{key}={''.join(_escaped(str(value), ':,'))}" for key, value in properties.items())
    return f"::{name} {listed}::{''.join(_escaped(message))}"


def _escaped(text: str, more: str = "") -> Iterator[str]:
    """The text with the characters as %XX that would end the command, or a property of it."""
    for character in text:
        yield f"%{ord(character):02X}" if character in f"%\r\n{more}" else character
