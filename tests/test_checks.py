"""Every check is held to its own documentation and examples."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import replace
from textwrap import dedent

import pytest

from mlrules_mcp.analysis.engine import analyze
from mlrules_mcp.analysis.fixes import fix
from mlrules_mcp.catalogue import AnyCheck, Catalogue, all_checks
from mlrules_mcp.checks.check import SECTIONS, Bad, Good, documentation
from mlrules_mcp.findings import Location
from mlrules_mcp.source import Module, SourceFile

CATALOGUE = Catalogue()
CHECKS = {check.name: check for check in CATALOGUE.checks}
MARKERS = re.compile("[«»‹›]")


def examples_of(kind: type) -> list[object]:
    return [
        pytest.param(check, example, id=f"{check.name}-{number}")
        for check in CHECKS.values()
        for number, example in enumerate(check.examples)
        if isinstance(example, kind)
    ]


def only(check: AnyCheck) -> Catalogue:
    return CATALOGUE.narrowed(select=[check.name])


def unmarked(code: str) -> str:
    return MARKERS.sub("", dedent(code).lstrip("\n"))


def source_of(example: Bad | Good) -> SourceFile:
    code = unmarked(example.code)
    if example.shows is None:
        return SourceFile.from_text(code, "train.py")
    output = {"output_type": "execute_result", "data": {"text/plain": dedent(example.shows).strip("\n")}}
    cell = {"cell_type": "code", "source": code, "outputs": [output]}
    return SourceFile.from_text(json.dumps({"cells": [cell], "metadata": {}}), "train.ipynb")


def marked_locations(code: str, opening: str, closing: str) -> list[Location]:
    """Where the text between two markers is, once all markers are taken out; columns in characters from 1."""
    locations: list[Location] = []
    starts: list[tuple[int, int]] = []
    line, column = 1, 1
    for character in dedent(code).lstrip("\n"):
        if character == opening:
            starts.append((line, column))
        elif character == closing:
            locations.append(Location(*starts.pop(), line, column))
        elif character == "\n":
            line, column = line + 1, 1
        elif not MARKERS.match(character):
            column += 1
    return sorted(locations, key=lambda location: location.position)


@pytest.mark.parametrize(("check", "example"), examples_of(Bad))
def test_a_bad_example_is_found_at_the_marked_place(check: AnyCheck, example: Bad) -> None:
    analysis = analyze(source_of(example), only(check))
    assert not analysis.diagnostics
    cell = None if example.shows is None else 1
    expected = [replace(location, cell=cell) for location in marked_locations(example.code, "«", "»")]
    assert [finding.location for finding in analysis.findings] == expected
    also_at = sorted(
        (location for finding in analysis.findings for location in finding.also_at),
        key=lambda location: location.position,
    )
    assert also_at == marked_locations(example.code, "‹", "›")
    for finding in analysis.findings:
        assert (finding.severity == "advice") == example.advice
        assert finding.message.endswith(".")


@pytest.mark.parametrize(("check", "example"), examples_of(Good))
def test_a_good_example_is_looked_at(check: AnyCheck, example: Good) -> None:
    module = Module(source_of(example))
    assert module.uses(check.packages), "it imports none of the check's packages: its silence shows nothing"


@pytest.mark.parametrize(("check", "example"), examples_of(Good))
def test_a_good_example_is_silent(check: AnyCheck, example: Good) -> None:
    analysis = analyze(source_of(example), only(check))
    assert analysis.findings == ()
    assert not analysis.diagnostics


@pytest.mark.parametrize(("check", "example"), examples_of(Bad))
def test_a_fix_gives_the_expected_text_and_changes_nothing_when_applied_again(check: AnyCheck, example: Bad) -> None:
    source = source_of(example)
    for applicability, expected in (("safe", example.safe_fix), ("suggested", example.suggested_fix)):
        fixed = fix(source, only(check), [applicability])
        if expected is None:
            assert fixed.applied == (), f"an unexpected {applicability} fix: {fixed.source.text}"
            continue
        assert fixed.source.text == unmarked(expected)
        ast.parse(fixed.source.text)
        again = fix(fixed.source, only(check), [applicability])
        assert again.applied == ()
        assert again.source.text == fixed.source.text


@pytest.mark.parametrize("check", [pytest.param(check, id=check.name) for check in CHECKS.values()])
def test_a_check_documents_itself_and_shows_bad_and_good_code(check: AnyCheck) -> None:
    sections = documentation(type(check))
    assert sections.pop("summary").endswith(".")
    assert tuple(sections) == SECTIONS
    assert all(sections.values())
    assert any(isinstance(example, Bad) for example in check.examples)
    assert any(isinstance(example, Good) for example in check.examples)
    assert re.search(r"https?://", sections["References"])


def test_every_check_enforces_a_rule_of_the_manifest() -> None:
    rules = {rule.key for rule in CATALOGUE.rules.rules}
    assert {check.rule for check in all_checks()} <= rules


def test_the_names_of_checks_are_unique() -> None:
    names = [check.name for check in all_checks()]
    assert len(names) == len(set(names))
