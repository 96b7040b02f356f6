"""Answers as text: compact enough for an assistant, readable in a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mlrules_mcp.report.findings_text import COLOURS, Style, count, plain

if TYPE_CHECKING:
    from mlrules_mcp.training.result import DeviceReport, TrainingResult


def rules_text(data: dict[str, Any], style: Style = plain) -> str:
    """The answer of `list_rules`: which paths the rules are about, then the rules by block."""
    lines = [_path_text(entry) for entry in data.get("paths", ())]
    block = ""
    for rule in data["rules"]:
        name, _, identifier = rule["rule"].partition(".")
        if name != block:
            block = name
            lines += ["", style(block, bold=True)]
        severity = style(rule["severity"], fg=COLOURS[rule["severity"]]) if rule.get("enabled", True) else "off"
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


def _path_text(entry: dict[str, Any]) -> str:
    """Whether the rules are on for a path, and why; of a folder, how many of its files they are about."""
    of_files = f"{entry['matched']} of {count(entry['files'], 'file')}, " if "files" in entry else ""
    reason = entry.get("reason") or f"{entry['pattern']} matches"
    notes = "".join(f"; {note}" for note in entry.get("notes", ())) if "files" in entry else ""
    return f"{entry['path']}: {'on' if entry['on'] else 'off'}, {of_files}{reason}{notes}"


def _setting(value: object) -> str:
    return {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)


NOT_CHECKED = "No check looks for this in code: it is a practice to follow."


def explanation_text(data: dict[str, Any], style: Style = plain, none: str = NOT_CHECKED) -> str:
    """The answer of `explain_rule`: the rule, its guidance, and each check with its sections and examples.

    Args:
        none: what to say where there are no checks.
    """
    state = data["severity"] if data["enabled"] else "off"
    lines = [style(f"{data['rule']} ({state})", bold=True), data["description"], f"{data['source']}:{data['line']}"]
    lines += [f"- {bullet}" for bullet in data["guidance"]]
    if not data["checks"]:
        lines += ["", none]
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
    lines += result.notes
    lines += [device_text(report, style) for report in result.devices]
    colours = {"met": "green", "broken": "red"}
    for outcome in result.checks:
        status = style(outcome.status.replace("_", " "), fg=colours.get(outcome.status), bold=True)
        place = f" ({outcome.path}:{outcome.line})" if outcome.path else ""
        lines.append(f"{status}  {outcome.device}  {outcome.check} [{outcome.rule}]: {outcome.message}{place}")
    broken = len(result.broken)
    verdict = f"{count(broken, 'check')} broken" if broken else "Nothing is broken"
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
