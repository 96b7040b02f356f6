"""The training check's answer as a page: verdict, devices, curves, checks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from mlrules_mcp.report import curves
from mlrules_mcp.report.findings_text import count
from mlrules_mcp.report.html import page
from mlrules_mcp.training.result import CheckOutcome, DeviceReport, Figure, Status, TrainingResult

_MOST_TELLING_FIRST: tuple[Status, ...] = ("broken", "met", "not_simulated", "not_applicable")
_NAMES = {"cpu": "CPU", "cuda": "CUDA", "mps": "MPS", "xpu": "XPU", "simulated": "a simulated accelerator"}


@dataclass(frozen=True, slots=True)
class _Message:
    """What one check says of the devices where it says the same."""

    devices: tuple[str, ...]
    outcome: CheckOutcome


@dataclass(frozen=True, slots=True)
class _Row:
    """One check: its status by device, its messages, each once, and its figures by name and device."""

    check: str
    rule: str
    status: Status
    by_device: dict[str, Status]
    messages: list[_Message]
    figures: dict[str, dict[str, str]]


def training_html(result: TrainingResult) -> str:
    """The whole page."""
    counts = Counter(outcome.status for outcome in result.checks)
    return page(
        "training.html",
        result=result,
        overall="broken" if counts["broken"] else "met" if counts["met"] else "not_simulated",
        verdict=_verdict(result),
        counts={status: counts[status] for status in _MOST_TELLING_FIRST},
        devices=[(report, _device_facts(report)) for report in result.devices],
        charts=curves.training_charts(result),
        geometry=curves,
        rows=_rows(result.checks),
        checked=list(dict.fromkeys(outcome.device for outcome in result.checks)),
    )


def _verdict(result: TrainingResult) -> str:
    broken = {outcome.check for outcome in result.broken}
    if broken:
        return f"{count(len(broken), 'check is', 'checks are')} broken"
    if not any(outcome.status == "met" for outcome in result.checks):
        return "Nothing could be shown"
    return f"Nothing is broken on {_and([_NAMES.get(report.device, report.device) for report in result.devices])}"


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _device_facts(report: DeviceReport) -> dict[str, str]:
    losses = [loss for loss in report.losses if loss is not None]
    values = [value for value in report.validation if value is not None]
    speed, memory, seconds = report.steps_per_second, report.peak_memory_bytes, report.seconds
    return {
        "Loss": f"{losses[0]:.3f} → {losses[-1]:.3f}" if losses else "–",
        "Validation": f"{report.metric} {values[-1]:.3f}" if values and report.metric else "–",
        "Steps": f"{report.steps:,}" if report.steps else "–",
        "Steps/s": f"{speed:,.0f}" if speed else "–",
        "Peak memory": _bytes(memory) if memory else "–",
        "Time": f"{seconds:.1f} s" if seconds else "–",
    }


def _rows(outcomes: tuple[CheckOutcome, ...]) -> list[_Row]:
    by_check: dict[str, list[CheckOutcome]] = {}
    for outcome in outcomes:
        by_check.setdefault(outcome.check, []).append(outcome)
    rows = [
        _Row(
            check,
            several[0].rule,
            min((outcome.status for outcome in several), key=_MOST_TELLING_FIRST.index),
            {outcome.device: outcome.status for outcome in several},
            _messages(several),
            _figures(several),
        )
        for check, several in by_check.items()
    ]
    return sorted(rows, key=lambda row: _MOST_TELLING_FIRST.index(row.status))


def _messages(outcomes: list[CheckOutcome]) -> list[_Message]:
    alike: dict[object, list[CheckOutcome]] = {}
    for outcome in outcomes:
        alike.setdefault((outcome.status, outcome.message, outcome.path, outcome.line), []).append(outcome)
    return [_Message(tuple(outcome.device for outcome in several), several[0]) for several in alike.values()]


def _figures(outcomes: list[CheckOutcome]) -> dict[str, dict[str, str]]:
    names = dict.fromkeys(name for outcome in outcomes for name in outcome.figures)
    return {
        name: {outcome.device: _figure(name, outcome.figures[name]) for outcome in outcomes if name in outcome.figures}
        for name in names
    }


def _figure(name: str, value: Figure) -> str:
    match value:
        case None:
            return "–"
        case int() | float() if name.endswith("bytes"):
            return _bytes(value)
        case int() if not isinstance(value, bool):
            return f"{value:,}"
        case float():
            return f"{value:.4g}"
    return str(value)


def _bytes(number: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"
