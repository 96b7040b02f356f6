"""Suppression comments."""

from __future__ import annotations

import ast
from textwrap import dedent

import pytest

from mlrules_mcp.analysis.engine import Analysis, analyze
from mlrules_mcp.source import SourceFile
from tests.analysis.support import FindNodes, call_finder, catalogue_of

CALLS = catalogue_of(call_finder("f"), call_finder("g"))


def analysis_of(code: str) -> Analysis:
    return analyze(SourceFile.from_text(dedent(code), "train.py"), CALLS)


def lines_found(code: str) -> list[int]:
    """The lines with findings; the comments in the code must all be needed."""
    analysis = analysis_of(code)
    assert analysis.diagnostics == ()
    places = {place.line for finding in analysis.findings for place in (finding.location, *finding.also_at)}
    return sorted(places)


def diagnostics_of(code: str) -> list[tuple[str, int | None]]:
    return [(diagnostic.code, diagnostic.line) for diagnostic in analysis_of(code).diagnostics]


@pytest.mark.parametrize(
    "comment",
    [
        "# mlrules: ignore",
        "#mlrules:ignore",
        "# mlrules: ignore[found-f]",
        "# mlrules: ignore[found-g, found-f]",
        "# mlrules: ignore[ found-f ]  because it is so",
        "# noqa: E501  # mlrules: ignore[found-f]",
    ],
)
def test_a_comment_on_the_line_suppresses_what_it_names(comment: str) -> None:
    assert lines_found(f"f()  {comment}\nf()\n") == [2]


def test_a_comment_of_its_own_speaks_of_the_next_line_with_code() -> None:
    assert lines_found("# mlrules: ignore\n\n# why\nf()\nf()\n") == [5]
    assert lines_found("# why # mlrules: ignore\nf()\nf()\n") == [3]


def test_a_comment_suppresses_only_the_checks_it_names() -> None:
    assert [finding.check for finding in analysis_of("f(), g()  # mlrules: ignore[found-f]").findings] == ["found-g"]


@pytest.mark.parametrize("name", ["device_agnostic_code", "pytorch_rules.device_agnostic_code", "pytorch_rules"])
def test_rules_and_blocks_can_be_named(name: str) -> None:
    assert lines_found(f"f()  # mlrules: ignore[{name}]\n") == []
    assert diagnostics_of("f()  # mlrules: ignore[sklearn_rules]\n") == []


@pytest.mark.parametrize("line", [1, 2, 3, 4])
def test_any_line_of_a_call_over_several_lines_will_do(line: int) -> None:
    lines = ["f(", "    1,", "    2,", ")"]
    lines[line - 1] += "  # mlrules: ignore"
    assert lines_found("\n".join(lines) + "\nf()\n") == [5]


def test_a_finding_at_a_whole_loop_is_suppressed_at_its_head_and_not_in_its_body() -> None:
    loops = catalogue_of(FindNodes("loop", ast.For))
    head = "for x in f(\n    y\n):  # mlrules: ignore\n    pass\n"
    body = "for x in f(\n    y\n):\n    pass  # mlrules: ignore\n"
    assert analyze(SourceFile.from_text(head), loops).findings == ()
    assert len(analyze(SourceFile.from_text(body), loops).findings) == 1
    assert analyze(SourceFile.from_text("for x in y: pass  # mlrules: ignore\n"), loops).findings == ()


@pytest.mark.parametrize(
    "code",
    [
        'x = "# mlrules: ignore"; f()\n',
        'x = """\n# mlrules: ignore\n"""\nf()\n',
        "x = f'{f()} # mlrules: ignore'\n",
        "x = f'''\n{y}\n# mlrules: ignore\n{f()}'''\n",
        "x = b'# mlrules: ignore', f()\n",
    ],
)
def test_what_stands_in_a_string_is_no_comment(code: str) -> None:
    analysis = analysis_of(code)
    assert len(analysis.findings) == 1
    assert analysis.diagnostics == ()


def test_a_comment_after_a_string_is_one() -> None:
    assert lines_found("x = 'é', f(f'{y}')  # mlrules: ignore\n") == []


def test_a_comment_that_suppresses_nothing_is_reported_where_it_stands() -> None:
    assert diagnostics_of("f()\nx = 1  # mlrules: ignore\n") == [("unused-suppression", 2)]
    assert diagnostics_of("# mlrules: ignore[found-g]\n\nf()\n") == [("unused-suppression", 1)]
    assert diagnostics_of("# mlrules: ignore") == [("unused-suppression", 1)]


def test_unused_comments_are_not_reported_where_that_is_not_wanted() -> None:
    source = SourceFile.from_text("x = 1  # mlrules: ignore\n")
    assert analyze(source, CALLS, report_unused=False).diagnostics == ()


def test_unused_comments_are_not_reported_where_not_all_was_analysed() -> None:
    assert diagnostics_of("x = 1  # mlrules: ignore\ny = = 1\n") == [("syntax-error", 2)]


def test_a_name_that_stands_for_nothing_is_reported_with_what_is_close() -> None:
    (diagnostic,) = analysis_of("f()  # mlrules: ignore[fuond-f]\n").diagnostics
    assert (diagnostic.code, diagnostic.severity, diagnostic.line) == ("unknown-suppression", "warning", 1)
    assert "found-f" in diagnostic.message


def test_a_check_that_is_only_left_out_of_this_run_is_no_unknown_name() -> None:
    assert diagnostics_of("x = 1  # mlrules: ignore[load-without-map-location]\n") == []


def test_an_unknown_verb_is_reported_with_what_to_write() -> None:
    (diagnostic,) = analysis_of("f()  # mlrules: disable[found-f]\n").diagnostics
    assert diagnostic.code == "unknown-suppression"
    assert "`# mlrules: ignore[name]`" in diagnostic.message


@pytest.mark.parametrize("comment", ["# noqa", "# type: ignore", "# pylint: disable=all", "# ml-rules: ignore"])
def test_comments_of_other_tools_are_left_alone(comment: str) -> None:
    assert lines_found(f"f()  {comment}\n") == [1]


def test_lines_of_an_indented_snippet_are_its_own() -> None:
    assert lines_found("        f()  # mlrules: ignore\n        f()\n") == [2]
    source = SourceFile.from_text("        x = 1  # mlrules: ignore\n    f()\n")
    (diagnostic,) = analyze(source, CALLS).diagnostics
    assert diagnostic.line == 1


def test_one_place_may_be_suppressed_and_the_others_of_its_group_stay() -> None:
    (finding,) = analysis_of("f()\nf()  # mlrules: ignore\nf()\n").findings
    assert finding.location.line == 1
    assert [place.line for place in finding.also_at] == [3]
