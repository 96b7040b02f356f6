"""Whatever a source holds, the analysis answers, in place and in time, and fixes leave working code."""

from __future__ import annotations

import ast
import warnings

from hypothesis import given, settings
from hypothesis import strategies as st

from mlrules_mcp.analysis.engine import Analysis, read_and_analyze
from mlrules_mcp.analysis.fixes import fix
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.findings import Location
from mlrules_mcp.source import SourceFile, UnreadableSource
from tests.analysis.programs import MANGLED_EXAMPLES, MANGLED_PROGRAMS, PROGRAMS

ALL = Catalogue()
BOTH = ("safe", "suggested")
# The same programs in every run, so that a red build is never a matter of luck; longer runs draw others.
quick = settings(derandomize=True, deadline=None, max_examples=60, database=None)


def checked(text: str) -> Analysis:
    """The analysis of a text, which must be whole and in place."""
    analysis = read_and_analyze(lambda: SourceFile.from_text(text, "train.py"), ALL)
    assert [diagnostic for diagnostic in analysis.diagnostics if diagnostic.code == "check-failed"] == []
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for finding in analysis.findings:
        related = [place.location for place in finding.related]
        for location in (finding.location, *finding.also_at, *related):
            assert_lies_in(location, lines)
    for diagnostic in analysis.diagnostics:
        assert diagnostic.line is None or 1 <= diagnostic.line <= len(lines)
    return analysis


def assert_lies_in(location: Location, lines: list[str]) -> None:
    assert (location.line, location.column) < (location.end_line, location.end_column)
    assert 1 <= location.line <= location.end_line <= len(lines)
    assert 1 <= location.column <= len(lines[location.line - 1]) + 1
    assert 1 <= location.end_column <= len(lines[location.end_line - 1]) + 1


def assert_fixed_well(text: str) -> None:
    """Fixed code parses, and there is nothing more to fix in it."""
    try:
        source = SourceFile.from_text(text, "train.py")
    except UnreadableSource:
        return
    for applicabilities in (("safe",), BOTH):
        fixed = fix(source, ALL, applicabilities)
        assert (fixed.source.text != source.text) == bool(fixed.applied)
        if not fixed.applied:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(fixed.source.code)
        again = fix(fixed.source, ALL, applicabilities)
        assert again.applied == ()
        assert again.source.text == fixed.source.text


@quick
@given(PROGRAMS)
def test_programs_are_analysed_and_fixed(text: str) -> None:
    checked(text)
    assert_fixed_well(text)


@quick
@given(MANGLED_EXAMPLES)
def test_mangled_examples_are_analysed_and_fixed(text: str) -> None:
    checked(text)
    assert_fixed_well(text)


@quick
@given(MANGLED_PROGRAMS)
def test_mangled_programs_are_analysed(text: str) -> None:
    checked(text)


@quick
@given(st.text(max_size=60))
def test_any_text_is_answered(text: str) -> None:
    checked(text)


@quick
@given(st.binary(max_size=60))
def test_any_bytes_are_answered(data: bytes) -> None:
    read_and_analyze(lambda: SourceFile.from_bytes(data, "train.py"), ALL)
