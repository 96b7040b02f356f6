"""Whatever a notebook, a document or a script with cells holds, it is answered, in place, and fixed without harm."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlrules_mcp.analysis.engine import read_and_analyze
from mlrules_mcp.analysis.fixes import fix
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.findings import Location
from mlrules_mcp.source import SourceFile, UnreadableSource
from mlrules_mcp.source.layout import split_lines
from tests.analysis.formats import MANGLED, WHOLE
from tests.analysis.test_robustness import assert_lies_in

ALL = Catalogue()
BOTH = ("safe", "suggested")
quick = settings(
    derandomize=True,
    deadline=None,
    max_examples=100,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def source_of(name: str, text: str) -> SourceFile | None:
    try:
        return SourceFile.from_text(text, name)
    except UnreadableSource as error:
        assert error.diagnostic.message
        return None


def lines_around(source: SourceFile, location: Location) -> list[str]:
    """The lines that a location counts: of its cell, or of the file."""
    text = source.text
    if location.cell is not None:
        assert source.notebook is not None
        (cell,) = (cell for cell in source.notebook.parts if cell.number == location.cell)
        text = "\n".join(line.prefix + line.text for line in cell.lines)
    return [line for line, _ in split_lines(text)]


def assert_answered(name: str, text: str) -> None:
    analysis = read_and_analyze(lambda: SourceFile.from_text(text, name), ALL)
    assert [each for each in analysis.diagnostics if each.code == "check-failed"] == []
    source = source_of(name, text)
    for finding in analysis.findings:
        assert source is not None
        for location in (finding.location, *finding.also_at, *(place.location for place in finding.related)):
            assert_lies_in(location, lines_around(source, location))
    for diagnostic in analysis.diagnostics:
        if diagnostic.line is not None and source is not None:
            place = Location(diagnostic.line, 1, diagnostic.line, 1, diagnostic.cell)
            assert 1 <= diagnostic.line <= len(lines_around(source, place))


def assert_kept(name: str, text: str) -> None:
    """What is written back without a change is the same."""
    source = source_of(name, text)
    assert source is None or source.text_of(source.code) == source.text


@quick
@given(MANGLED)
def test_mangled_files_are_answered_and_kept(named: tuple[str, str]) -> None:
    assert_answered(*named)
    assert_kept(*named)


@quick
@given(WHOLE)
def test_whole_files_are_answered_and_kept(named: tuple[str, str]) -> None:
    assert_answered(*named)
    assert_kept(*named)


@quick
@given(WHOLE)
def test_fixed_files_have_the_same_lines_but_those_that_were_fixed(named: tuple[str, str]) -> None:
    source = source_of(*named)
    if source is None:
        return
    fixed = fix(source, ALL, BOTH)
    assert (fixed.source.text != source.text) == bool(fixed.applied)
    again = fix(fixed.source, ALL, BOTH)
    assert again.source.text == fixed.source.text
    if source.layout and fixed.source.layout:
        # What was left out still is, though on other lines.
        assert [each.message for each in fixed.source.layout.problems] == [
            each.message for each in source.layout.problems
        ]


@quick
@given(st.text(max_size=60), st.sampled_from(["a.ipynb", "a.md", "a.Rmd", "a.py"]))
def test_any_text_is_answered(text: str, name: str) -> None:
    assert_answered(name, text)
    assert_kept(name, text)
