"""Findings as SARIF 2.1.0, for code scanning: OASIS, Static Analysis Results Interchange Format."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any, TypeAlias
from urllib.parse import quote

from mlrules_mcp import __version__
from mlrules_mcp.analysis.engine import Analysis
from mlrules_mcp.catalogue import AnyCheck, Catalogue
from mlrules_mcp.findings import Diagnostic, Finding, Location
from mlrules_mcp.report.data import check_data
from mlrules_mcp.source import SourceFile

Json: TypeAlias = dict[str, Any]

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LINE_END = re.compile(r"\r\n|\r|\n")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_LEVELS = {"error": "error", "warning": "warning", "advice": "note"}


SourceOf: TypeAlias = Callable[[str], SourceFile | None]
FixedAlone: TypeAlias = Callable[[SourceFile, Sequence[Finding]], Iterable[tuple[Finding, SourceFile]]]


def sarif(analysis: Analysis, catalogue: Catalogue, source_of: SourceOf, fixed_alone: FixedAlone) -> Json:
    """The analysis as a SARIF log with one run.

    Args:
        source_of: the source that was analysed under a path, for its columns; None where it is gone.
        fixed_alone: those of some findings whose fix can be written, and the source with that fix alone.
    """
    checks = {check.name: check for check in catalogue.checks}
    found = sorted({finding.check for finding in analysis.findings})
    by_path: dict[str, list[Finding]] = {}
    for finding in analysis.findings:
        by_path.setdefault(finding.path, []).append(finding)
    driver = {
        "name": "mlrules-mcp",
        "version": __version__,
        "semanticVersion": __version__,
        "rules": [_rule(checks[name], catalogue) for name in found],
    }
    unread = any(diagnostic.severity == "error" for diagnostic in analysis.diagnostics)
    notes = [_notification(diagnostic) for diagnostic in analysis.diagnostics]
    run = {
        "tool": {"driver": driver},
        "columnKind": "utf16CodeUnits",
        "invocations": [{"executionSuccessful": not unread, "toolExecutionNotifications": notes}],
        "results": [
            result
            for path, findings in by_path.items()
            for result in _results(findings, source_of(path), found, fixed_alone)
        ],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _results(
    findings: Sequence[Finding], source: SourceFile | None, found: Sequence[str], fixed_alone: FixedAlone
) -> Iterator[Json]:
    """The results of one file."""
    if source is None or findings[0].location.cell is not None:
        yield from (_result(finding, found.index(finding.check), (), None) for finding in findings)
        return
    lines = _LINE_END.split(source.text)
    safe = [finding for finding in findings if finding.fix and finding.fix.applicability == "safe"]
    fixed = {id(finding): after.text for finding, after in fixed_alone(source, safe)} if safe else {}
    for finding in findings:
        after = fixed.get(id(finding))
        fix = _fix(finding, source.text, after) if after is not None else None
        yield _result(finding, found.index(finding.check), lines, fix)


def _rule(check: AnyCheck, catalogue: Catalogue) -> Json:
    data = check_data(check)
    rule = catalogue.rules.rule(check.rule)
    sections = ("what_it_does", "why_it_matters", "do_not_flag", "fix_safety", "references")
    titled = [(section.replace("_", " ").capitalize(), str(data[section])) for section in sections]
    return {
        "id": check.name,
        "name": "".join(part.capitalize() for part in check.name.split("-")),
        "shortDescription": {"text": data["summary"]},
        "fullDescription": {"text": data["what_it_does"]},
        "help": {
            "text": "\n\n".join(f"{title}\n{text}" for title, text in titled),
            "markdown": "\n\n".join(f"## {title}\n\n{text}" for title, text in titled),
        },
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": ["machine-learning", *check.rules]},
    }


def _result(finding: Finding, index: int, lines: Sequence[str], fix: Json | None) -> Json:
    location = finding.location
    where = f" (cell {location.cell}, line {location.line})" if location.cell is not None else ""
    also = [_place(finding.path, each, lines) for each in finding.also_at]
    also += [_place(each.path, each.location, (), each.message) for each in finding.related]
    return {
        "ruleId": finding.check,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": finding.message + where},
        "locations": [_place(finding.path, location, lines)],
        **({"relatedLocations": [{"id": number} | place for number, place in enumerate(also, 1)]} if also else {}),
        "partialFingerprints": {"mlrulesFinding/v1": _fingerprint(finding, lines)},
        **({"fixes": [fix]} if fix else {}),
    }


def _place(path: str, location: Location, lines: Sequence[str], message: str = "") -> Json:
    """A place; one in a notebook's cell names the cell, because its lines are not those of the file."""
    said = {"message": {"text": message}} if message else {}
    if location.cell is not None:
        name = f"cell {location.cell}, line {location.line}"
        cell = [{"name": name, "fullyQualifiedName": f"{path}, {name}", "kind": "member"}]
        return {"physicalLocation": {"artifactLocation": _artifact(path)}, "logicalLocations": cell, **said}
    region = {"startLine": location.line}
    if lines:
        region |= {
            "startColumn": _utf16(lines, location.line, location.column),
            "endLine": location.end_line,
            "endColumn": _utf16(lines, location.end_line, location.end_column),
        }
    return {"physicalLocation": {"artifactLocation": _artifact(path), "region": region}, **said}


def _utf16(lines: Sequence[str], line: int, column: int) -> int:
    """A column in UTF-16 code units, from 1, of one in characters."""
    before = lines[line - 1][: column - 1] if 0 < line <= len(lines) else ""
    return column + sum(character > "\uffff" for character in before)


def _artifact(path: str) -> Json:
    """A file by its address, relative to the root of the checkout unless it lies elsewhere."""
    address = quote(path.replace("\\", "/").encode("utf-8", "surrogateescape"), safe="/._-~()+,@=")
    if path.startswith("/"):
        return {"uri": f"file://{address}"}
    if re.match(r"[A-Za-z]:[/\\]", path):
        return {"uri": f"file:///{address.replace('%3A', ':', 1)}"}
    return {"uri": address, "uriBaseId": "%SRCROOT%"}


def _fix(finding: Finding, before: str, after: str) -> Json | None:
    """What a fix changes, in whole lines."""
    old, new = (_LINE.findall(text) for text in (before, after))
    changes = [
        {
            "deletedRegion": {"startLine": start + 1, "startColumn": 1, **_end(old, end)},
            "insertedContent": {"text": "".join(new[new_start:new_end])},
        }
        for tag, start, end, new_start, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        if tag != "equal"
    ]
    if not changes or finding.fix is None:
        return None
    change = {"artifactLocation": _artifact(finding.path), "replacements": changes}
    return {"description": {"text": finding.fix.title}, "artifactChanges": [change]}


def _end(lines: Sequence[str], end: int) -> dict[str, int]:
    """Where a range of whole lines ends: before the next line, if there is one."""
    if end == len(lines) and lines and not lines[-1].endswith(("\r", "\n")):
        return {"endLine": end, "endColumn": _utf16(lines, end, len(lines[-1]) + 1)}
    return {"endLine": end + 1, "endColumn": 1}


def _fingerprint(finding: Finding, lines: Sequence[str]) -> str:
    """The same for the same finding when lines above it come or go."""
    location = finding.location
    code = lines[location.line - 1].strip() if 0 < location.line <= len(lines) else finding.message
    parts = "\0".join((finding.check, finding.path, str(location.cell), code))
    return hashlib.sha256(parts.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _notification(diagnostic: Diagnostic) -> Json:
    region = {"region": {"startLine": diagnostic.line}} if diagnostic.line and diagnostic.cell is None else {}
    place = {"physicalLocation": {"artifactLocation": _artifact(diagnostic.path), **region}}
    return {
        "level": diagnostic.severity,
        "message": {"text": diagnostic.message},
        "descriptor": {"id": diagnostic.code},
        "locations": [place],
    }
