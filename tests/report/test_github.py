from __future__ import annotations

from mlrules_mcp.analysis.engine import Analysis
from mlrules_mcp.findings import Diagnostic, Finding, Fix, Location, Severity
from mlrules_mcp.report.github import github_text


def finding(message: str = "It breaks.", severity: Severity = "error", **more: object) -> Finding:
    given = {"path": "train.py", "location": Location(3, 6, 3, 19), **more}
    return Finding("rule", "some-check", severity, message=message, **given)  # type: ignore[arg-type]


def lines(*findings: Finding, diagnostics: tuple[Diagnostic, ...] = ()) -> list[str]:
    return github_text(Analysis(1, findings, diagnostics)).splitlines()


def test_a_finding_is_a_command_with_its_place_and_fix() -> None:
    assert lines(finding(fix=Fix("safe", "Mend it", ()))) == [
        "::error file=train.py,line=3,endLine=3,col=6,endColumn=19,title=some-check::It breaks.%0Asafe fix: Mend it",
        "1 error in 1 file. Available: 1 safe fix.",
    ]


def test_errors_come_first_and_advice_is_a_notice() -> None:
    given = [finding(severity=severity) for severity in ("advice", "warning", "error")]
    assert [line.split()[0] for line in lines(*given)[:3]] == ["::error", "::warning", "::notice"]


def test_a_finding_over_several_lines_has_no_columns() -> None:
    (command, _) = lines(finding(location=Location(3, 6, 5, 2)))
    assert command.startswith("::error file=train.py,line=3,endLine=5,title=some-check::")


def test_in_a_notebook_the_message_tells_the_cell() -> None:
    (command, _) = lines(finding(path="a.ipynb", location=Location(2, 1, 2, 4, cell=7)))
    assert command == "::error file=a.ipynb,title=some-check::Cell 7, line 2: It breaks."


def test_no_text_can_end_a_command_or_begin_another() -> None:
    (command, _) = lines(finding("50%\r\n::stop-commands::x", path="a,line=9:b\n::error::c%.py"))
    assert command.startswith("::error file=a%2Cline=9%3Ab%0A%3A%3Aerror%3A%3Ac%25.py,line=3,")
    assert command.endswith("::50%25%0D%0A::stop-commands::x")


def test_a_diagnostic_is_a_command_with_as_much_place_as_it_has() -> None:
    given = (
        Diagnostic("syntax-error", "error", "old.py", "invalid syntax", 4),
        Diagnostic("unused-suppression", "warning", "a.ipynb", "suppresses nothing", 4, cell=2),
    )
    assert lines(diagnostics=given)[:2] == [
        "::error file=old.py,line=4,title=syntax-error::invalid syntax",
        "::warning file=a.ipynb,title=unused-suppression::suppresses nothing",
    ]
