from __future__ import annotations

from dataclasses import replace

import pytest

from mlrules_mcp.analysis.engine import Analysis
from mlrules_mcp.findings import Diagnostic, Finding, Fix, Location, Related, Severity
from mlrules_mcp.report.findings_text import analysis_text, finding_text, review_text, summary


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


def at(
    path: str, line: int, message: str = "It grows.", severity: Severity = "error", cell: int | None = None
) -> Finding:
    place = Location(line, 1, line, 2, cell)
    return Finding("a.b", "check", severity, path, place, message, Fix("safe", "Drop it", ()))


def test_a_review_says_each_cause_once_with_its_places_in_all_files() -> None:
    findings = (
        replace(at("a.py", 3), also_at=(Location(3, 9, 3, 10), Location(4, 1, 4, 2), Location(4, 5, 4, 6))),
        at("a.py", 8),
        at("a.py", 9, "Another."),
        at("b.py", 1),
        at("b.py", 7),
        at("c.ipynb", 2, cell=5),
    )
    assert review_text(Analysis(3, findings)).splitlines()[:-1] == [
        "a.py:3:1: error [check] It grows.",
        "    also at line 4, 8",
        "    also in b.py, line 1, 7",
        "    also in c.ipynb, cell:line 5:2",
        "    safe fix: Drop it",
        "a.py:9:1: error [check] Another.",
        "    safe fix: Drop it",
    ]


def test_a_review_puts_errors_first_and_advice_last() -> None:
    findings = (at("a.py", 1, severity="advice"), at("a.py", 2, severity="warning"), at("b.py", 3))
    lines = review_text(Analysis(2, findings)).splitlines()
    assert [line.split(": ")[1] for line in lines if line[0] != " "][:3] == [
        *("error [check] It grows.", "warning [check] It grows.", "advice [check] It grows.")
    ]


def test_findings_that_tell_of_second_places_stand_for_themselves() -> None:
    related = (Related("a.py", Location(1, 1, 1, 2), "the split"),)
    findings = (replace(at("a.py", 5), related=related), replace(at("a.py", 9), related=related))
    assert review_text(Analysis(1, findings)).count("the split") == 2


def test_a_review_of_very_much_is_cut_and_says_what_is_left_out() -> None:
    findings = [at("a.py", line, f"Cause {line}.", "advice") for line in range(1, 41)]
    findings += [at(f"{name}.py", line) for name in "abcdefgh" for line in range(50, 65)]
    diagnostics = tuple(Diagnostic("syntax-error", "error", "a.py", "Oh.", line) for line in range(1, 13))
    analysis = Analysis(8, tuple(findings), diagnostics)
    lines = review_text(analysis).splitlines()
    assert lines[9:14] == [
        "a.py:10: error [syntax-error] Oh.",
        "a.py:50:1: error [check] It grows.",
        "    also at line 51, 52, 53, 54, 55, 56, 57, 58, 59, 60 and 4 more",
        "    also in b.py, line 50, 51, 52, 53, 54, 55, 56, 57, 58, 59 and 5 more",
        "    also in c.py, line 50, 51, 52, 53, 54, 55, 56, 57, 58, 59 and 5 more",
    ]
    assert "    also in 2 more files" in lines
    assert sum("advice" in line for line in lines) == 29 + 2
    assert lines[-2].startswith("Not shown: 11 advice, some of the places, 2 remarks on files. See them with --all")
    assert "Not shown" not in analysis_text(analysis)
    assert analysis_text(analysis).count("[check]") == len(findings)
