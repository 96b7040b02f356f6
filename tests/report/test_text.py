from __future__ import annotations

import pytest

from mlrules_mcp.analysis.engine import Analysis
from mlrules_mcp.findings import Diagnostic, Finding, Fix, Location, Related, Severity
from mlrules_mcp.report.text import analysis_text, finding_text, summary, training_text
from mlrules_mcp.training.result import CheckOutcome, DeviceReport, TrainingResult


def finding(severity: Severity = "error", fix: Fix | None = None) -> Finding:
    return Finding(
        rule="pytorch_rules.gradient_management",
        check="retain-graph",
        severity=severity,
        path="train.py",
        location=Location(3, 5, 3, 9),
        message="It grows. Drop it.",
        fix=fix,
        also_at=(Location(7, 1, 7, 2), Location(9, 1, 9, 2)),
        related=(Related("model.py", Location(1, 1, 1, 2), "the loss"),),
    )


def test_a_finding_shows_its_places_its_relations_and_its_fix() -> None:
    assert finding_text(finding(fix=Fix("safe", "Drop retain_graph", ()))) == (
        "train.py:3:5: error [retain-graph] It grows. Drop it.\n"
        "    also at line 7, 9\n"
        "    model.py:1: the loss\n"
        "    safe fix: Drop retain_graph"
    )


@pytest.mark.parametrize(
    ("analysis", "expected"),
    [
        (Analysis(0), "No findings in 0 files."),
        (Analysis(1, (finding(),)), "1 error in 1 file."),
        (Analysis(2, (finding("warning"), finding("advice"))), "1 warning, 1 advice in 2 files."),
        (
            Analysis(2, (finding(fix=Fix("safe", "a", ())), finding(fix=Fix("suggested", "b", ())))),
            "2 errors in 2 files. Available: 1 safe fix, 1 suggested fix.",
        ),
        (
            Analysis(1, diagnostics=(Diagnostic("unreadable", "error", "a.py", "Gone."),)),
            "No findings in what could be read of 1 file.",
        ),
    ],
)
def test_the_summary_counts_what_there_is(analysis: Analysis, expected: str) -> None:
    assert summary(analysis) == expected


def test_diagnostics_come_before_findings() -> None:
    analysis = Analysis(1, (finding(),), (Diagnostic("syntax-error", "error", "train.py", "Oh.", 2, 4),))
    assert analysis_text(analysis).splitlines()[0] == "train.py:2:4: error [syntax-error] Oh."


def test_a_style_is_asked_for_severities_and_places() -> None:
    asked: list[tuple[str, object]] = []

    def style(text: str, **options: object) -> str:
        asked.append((text, options.get("fg")))
        return text

    finding_text(finding(), style)
    assert ("error", "red") in asked


def test_the_training_check_is_told_by_device_and_verdict() -> None:
    result = TrainingResult(
        model="Sample",
        parameters=1234,
        seed=0,
        devices=(
            DeviceReport("cpu", "CPU", "2 cores", 10, (2.0, None, 0.5), "val_accuracy", (0.1, 0.9), 50.0, 2**20, 1.0),
            DeviceReport("cuda", "GPU", ""),
        ),
        checks=(
            CheckOutcome("loss", "a.b", "cpu", "met", "It falls."),
            CheckOutcome("loss", "a.b", "cuda", "broken", "It raised.", "model.py", 7),
        ),
        versions={"torch": "2.13.0"},
        seconds=2.5,
    )
    assert training_text(result) == (
        "Trained Sample (1,234 parameters, seed 0); torch 2.13.0.\n"
        "cpu (CPU, 2 cores): loss 2.000 -> 0.500 in 10 steps; val_accuracy 0.900; 50 steps/s; peak memory 1 MiB\n"
        "cuda (GPU): did not train\n"
        "met  cpu  loss [a.b]: It falls.\n"
        "broken  cuda  loss [a.b]: It raised. (model.py:7)\n"
        "1 check broken; 2.5 s."
    )
