"""Answers as text: compact enough for an assistant, readable in a terminal."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mlrules_mcp.analysis.engine import Analysis
from mlrules_mcp.findings import SEVERITIES, Diagnostic, Finding, Location

if TYPE_CHECKING:
    from mlrules_mcp.training.result import DeviceReport, TrainingResult

Style = Callable[..., str]
_COLOURS = {"error": "red", "warning": "yellow", "advice": "cyan"}


def plain(text: str, **_style: Any) -> str:
    """A style that adds nothing: for output that is not a terminal."""
    return text


def analysis_text(analysis: Analysis, style: Style = plain) -> str:
    """Findings and diagnostics, a line each and what belongs to it below, then the count."""
    parts = [diagnostic_text(diagnostic, style) for diagnostic in analysis.diagnostics]
    parts += [finding_text(finding, style) for finding in analysis.findings]
    return "\n".join([*parts, summary(analysis)])


def finding_text(finding: Finding, style: Style = plain) -> str:
    """One finding: place, severity, check and message; then other places, related ones and the fix."""
    location = finding.location
    place = _place(finding.path, location.cell, location.line, location.column)
    severity = style(finding.severity, fg=_COLOURS[finding.severity], bold=True)
    lines = [f"{style(place, bold=True)}: {severity} [{finding.check}] {finding.message}"]
    if finding.also_at:
        lines.append(f"    also at {_also_at(finding.also_at)}")
    lines += [
        f"    {_place(other.path, other.location.cell, other.location.line)}: {other.message}"
        for other in finding.related
    ]
    if finding.fix:
        lines.append(f"    {finding.fix.applicability} fix: {finding.fix.title}")
    return "\n".join(lines)


def diagnostic_text(diagnostic: Diagnostic, style: Style = plain) -> str:
    """One diagnostic with its place, as far as it has one."""
    place = _place(diagnostic.path, diagnostic.cell, diagnostic.line, diagnostic.column)
    severity = style(diagnostic.severity, fg=_COLOURS[diagnostic.severity], bold=True)
    return f"{style(place, bold=True)}: {severity} [{diagnostic.code}] {diagnostic.message}"


def place_text(finding: Finding) -> str:
    """Where a finding starts: its file, the cell of a notebook, and the line."""
    return _place(finding.path, finding.location.cell, finding.location.line)


def _place(path: str, cell: int | None, *numbers: int | None) -> str:
    in_cell = f"cell {cell}" if cell is not None else None
    return ":".join(str(part) for part in (path, in_cell, *numbers) if part is not None)


def _also_at(places: Sequence[Location]) -> str:
    lines = [f"{place.cell}:{place.line}" if place.cell is not None else str(place.line) for place in places]
    return ("cell:line " if places[0].cell is not None else "line ") + ", ".join(lines)


def summary(analysis: Analysis) -> str:
    """How much was found, and what can be fixed, in one line."""
    counts = Counter(finding.severity for finding in analysis.findings)
    files = _count(analysis.files, "file")
    if not counts:
        unread = any(diagnostic.severity == "error" for diagnostic in analysis.diagnostics)
        return f"No findings in what could be read of {files}." if unread else f"No findings in {files}."
    found = ", ".join(
        _count(counts[severity], severity, plural=severity if severity == "advice" else None)
        for severity in SEVERITIES
        if counts[severity]
    )
    fixes = Counter(finding.fix.applicability for finding in analysis.findings if finding.fix)
    fixable = ", ".join(
        _count(fixes[kind], f"{kind} fix", plural=f"{kind} fixes") for kind in ("safe", "suggested") if fixes[kind]
    )
    return f"{found} in {files}." + (f" Available: {fixable}." if fixable else "")


def _count(number: int, noun: str, plural: str | None = None) -> str:
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def rules_text(data: dict[str, Any], style: Style = plain) -> str:
    """The answer of `list_rules`: which paths the rules are about, then the rules by block."""
    lines = [f"{entry['path']}: {'on' if entry['on'] else 'off'}, {entry['reason']}" for entry in data.get("paths", ())]
    block = ""
    for rule in data["rules"]:
        name, _, identifier = rule["rule"].partition(".")
        if name != block:
            block = name
            lines += ["", style(block, bold=True)]
        severity = style(rule["severity"], fg=_COLOURS[rule["severity"]]) if rule["enabled"] else "off"
        lines.append(f"  {identifier} ({severity}): {rule['description']}")
        lines += [f"    checks: {', '.join(rule['checks'])}"] if rule.get("checks") else []
        lines += [
            f"    {change['field']} {_setting(change['old'])} -> {_setting(change['new'])}"
            f" by {change['source']}:{change['line']}"
            for change in rule.get("overrides", ())
        ]
    for name, bullets in data.get("guidance", {}).items():
        lines += ["", style(f"{name}: guidance", bold=True), *(f"  - {bullet}" for bullet in bullets)]
    lines += [f"{entry['path']}:{entry.get('line', 1)}: {entry['message']}" for entry in data.get("diagnostics", ())]
    return "\n".join(lines).strip("\n")


def _setting(value: object) -> str:
    return {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def explanation_text(data: dict[str, Any], style: Style = plain) -> str:
    """The answer of `explain_rule`: the rule, its guidance, and each check with its sections and examples."""
    state = data["severity"] if data["enabled"] else "off"
    lines = [style(f"{data['rule']} ({state})", bold=True), data["description"], f"{data['source']}:{data['line']}"]
    lines += [f"- {bullet}" for bullet in data["guidance"]]
    if not data["checks"]:
        lines += ["", "No check looks for this in code: it is a practice to follow."]
    for check in data["checks"]:
        lines += ["", style(f"{check['check']}: {check['summary']}", bold=True)]
        lines += [f"Also enforces {' and '.join(check['also_enforces'])}."] if check.get("also_enforces") else []
        for section in ("what_it_does", "why_it_matters", "do_not_flag", "fix_safety", "references"):
            title = section.replace("_", " ").capitalize()
            lines += ["", style(title, underline=True), check[section]]
        for example in check["bad"]:
            lines += ["", "Bad:", _indented(example["code"])]
            if example.get("fixed"):
                lines += [f"Fixed ({example['applicability']}):", _indented(example["fixed"])]
        for example in check["good"]:
            lines += ["", f"Good{': ' + example['why'] if example.get('why') else ':'}", _indented(example["code"])]
    return "\n".join(lines)


def _indented(code: str) -> str:
    return textwrap.indent(code, "    ")


def training_text(result: TrainingResult, style: Style = plain) -> str:
    """The answer of the training check: devices with their figures, then the verdicts."""
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    lines = [f"Trained {result.model} ({result.parameters or 0:,} parameters, seed {result.seed}); {versions}."]
    lines += [device_text(report, style) for report in result.devices]
    colours = {"met": "green", "broken": "red"}
    for outcome in result.checks:
        status = style(outcome.status.replace("_", " "), fg=colours.get(outcome.status), bold=True)
        place = f" ({outcome.path}:{outcome.line})" if outcome.path else ""
        lines.append(f"{status}  {outcome.device}  {outcome.check} [{outcome.rule}]: {outcome.message}{place}")
    broken = len(result.broken)
    verdict = f"{_count(broken, 'check')} broken" if broken else "Nothing is broken"
    return "\n".join([*lines, f"{verdict}; {result.seconds:.1f} s."])


def device_text(report: DeviceReport, style: Style = plain) -> str:
    """One device in one line: what it is, and how training went there."""
    facts: list[str] = []
    losses = [loss for loss in report.losses if loss is not None]
    if losses:
        facts.append(f"loss {losses[0]:.3f} -> {losses[-1]:.3f} in {report.steps} steps")
    if report.metric and report.validation and report.validation[-1] is not None:
        facts.append(f"{report.metric} {report.validation[-1]:.3f}")
    if report.steps_per_second:
        facts.append(f"{report.steps_per_second:.0f} steps/s")
    if report.peak_memory_bytes:
        facts.append(f"peak memory {report.peak_memory_bytes / 2**20:.0f} MiB")
    device = style(report.device, bold=True)
    return f"{device} ({', '.join(_some(report.name, report.hardware))}): {'; '.join(facts) or 'did not train'}"


def _some(*texts: str) -> Iterable[str]:
    return filter(None, texts)
