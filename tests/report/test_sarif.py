from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlrules_mcp.analysis.engine import Analysis, analyze
from mlrules_mcp.analysis.fixes import fixed_alone
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.findings import Diagnostic, Related
from mlrules_mcp.report.sarif import sarif
from mlrules_mcp.source import SourceFile

CODE = """\
import torch
name = "🙂größe"; model.load_state_dict(torch.load(name))
with torch.no_grad:
    pass
for x in data:
    a = x.to("cuda")
    b = x.to("cuda")
"""


def log(code: str, path: str = "src/train me.py", **changes: Any) -> dict[str, Any]:
    catalogue = Catalogue()
    source = SourceFile.from_text(code, path)
    analysis = replace(analyze(source, catalogue), **changes)
    written = sarif(analysis, catalogue, lambda _: source, fixed_alone)
    return json.loads(json.dumps(written, allow_nan=False))["runs"][0]  # type: ignore[no-any-return]


def of(run: dict[str, Any], check: str) -> dict[str, Any]:
    (result,) = [each for each in run["results"] if each["ruleId"] == check]
    return result  # type: ignore[no-any-return]


def region(result: dict[str, Any]) -> tuple[int, ...]:
    place = result["locations"][0]["physicalLocation"]["region"]
    return tuple(place[key] for key in ("startLine", "startColumn", "endLine", "endColumn"))


@pytest.fixture(scope="module")
def run() -> dict[str, Any]:
    return log(CODE)


def test_every_result_names_its_rule_its_level_and_a_file_relative_to_the_checkout(run: dict[str, Any]) -> None:
    rules = run["tool"]["driver"]["rules"]
    assert run["results"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"]
        artifact = result["locations"][0]["physicalLocation"]["artifactLocation"]
        assert artifact == {"uri": "src/train%20me.py", "uriBaseId": "%SRCROOT%"}
    assert of(run, "no-grad-not-called")["level"] == "error"


def test_rules_carry_their_documentation_and_the_practices_they_enforce(run: dict[str, Any]) -> None:
    (rule,) = [each for each in run["tool"]["driver"]["rules"] if each["id"] == "no-grad-not-called"]
    assert rule["name"] == "NoGradNotCalled"
    assert rule["defaultConfiguration"] == {"level": "error"}
    assert rule["properties"]["tags"] == ["machine-learning", "pytorch_rules.gradient_management"]
    assert rule["help"]["markdown"].startswith("## What it does\n\n")
    assert all(rule[key]["text"] for key in ("shortDescription", "fullDescription", "help"))


def test_columns_count_utf_16_units(run: dict[str, Any]) -> None:
    assert run["columnKind"] == "utf16CodeUnits"
    line = CODE.splitlines()[1].encode("utf-16-le")
    start_line, start, end_line, end = region(of(run, "load-without-map-location"))
    assert (start_line, end_line) == (2, 2)
    assert line[2 * start - 2 : 2 * end - 2].decode("utf-16-le") == "torch.load(name)"


def test_other_places_of_a_finding_are_related_locations(run: dict[str, Any]) -> None:
    (related,) = of(run, "hardcoded-cuda")["relatedLocations"]
    assert related["id"] == 1
    assert related["physicalLocation"]["region"]["startLine"] == 7


def test_a_related_place_in_another_file_says_what_is_there() -> None:
    catalogue, source = Catalogue(), SourceFile.from_text(CODE, "a.py")
    first = analyze(source, catalogue).findings[0]
    told = replace(first, related=(Related("b.py", first.location, "the split"),), also_at=())
    written = sarif(Analysis(1, (told,)), catalogue, lambda _: source, fixed_alone)
    (related,) = written["runs"][0]["results"][0]["relatedLocations"]
    assert related["message"] == {"text": "the split"}
    assert related["physicalLocation"]["artifactLocation"]["uri"] == "b.py"


@pytest.mark.parametrize(
    "code", [CODE, CODE.replace("\n", "\r\n"), CODE.rpartition("for x")[0] + "with torch.no_grad: a"]
)
def test_a_safe_fix_is_given_as_what_to_replace_and_a_suggested_one_is_not(code: str) -> None:
    run = log(code)
    for result in run["results"]:
        if result["ruleId"] != "no-grad-not-called":
            assert "fixes" not in result
    fixed = code
    for result in sorted(run["results"], key=region, reverse=True):
        for fix in result.get("fixes", ()):
            assert fix["description"]["text"] == "Call torch.no_grad"
            (change,) = fix["artifactChanges"]
            for replacement in reversed(change["replacements"]):
                fixed = applied(fixed, replacement)
    assert fixed == code.replace("no_grad:", "no_grad():")


def applied(text: str, replacement: dict[str, Any]) -> str:
    """What an editor makes of a replacement."""
    starts = [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", text))]
    place = replacement["deletedRegion"]
    start = starts[place["startLine"] - 1] + place["startColumn"] - 1
    end = starts[place["endLine"] - 1] + place["endColumn"] - 1
    return text[:start] + replacement["insertedContent"]["text"] + text[end:]


def test_a_fingerprint_stays_when_lines_come_above_and_differs_between_findings(run: dict[str, Any]) -> None:
    def prints(of: dict[str, Any]) -> list[str]:
        return [result["partialFingerprints"]["mlrulesFinding/v1"] for result in of["results"]]

    assert len(set(prints(run))) == len(run["results"])
    assert prints(log("# a line\n\n" + CODE)) == prints(run)


def test_a_place_in_a_notebook_is_its_cell_because_lines_of_the_file_mean_nothing() -> None:
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": CODE}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    result = of(log(json.dumps(notebook), "explore.ipynb"), "no-grad-not-called")
    (place,) = result["locations"]
    assert "region" not in place["physicalLocation"]
    assert place["logicalLocations"][0]["name"] == "cell 1, line 3"
    assert result["message"]["text"].endswith("(cell 1, line 3)")
    assert "fixes" not in result


def test_what_could_not_be_read_is_told_and_makes_the_run_unsuccessful() -> None:
    broken = Diagnostic("syntax-error", "error", "old.py", "invalid syntax", 4, 2)
    (invocation,) = log(CODE, diagnostics=(broken,))["invocations"]
    assert invocation["executionSuccessful"] is False
    (note,) = invocation["toolExecutionNotifications"]
    assert (note["level"], note["descriptor"]["id"]) == ("error", "syntax-error")
    assert note["locations"][0]["physicalLocation"]["region"] == {"startLine": 4}
    assert log(CODE)["invocations"][0]["executionSuccessful"] is True


def test_a_file_that_is_gone_meanwhile_keeps_its_lines() -> None:
    catalogue, source = Catalogue(), SourceFile.from_text(CODE, "a.py")
    written = sarif(analyze(source, catalogue), catalogue, lambda _: None, fixed_alone)
    places = [result["locations"][0]["physicalLocation"]["region"] for result in written["runs"][0]["results"]]
    assert {"startLine": 3} in places


@pytest.mark.parametrize(
    ("path", "artifact"),
    [
        ("a b/größe.py", {"uri": "a%20b/gr%C3%B6%C3%9Fe.py", "uriBaseId": "%SRCROOT%"}),
        ("/tmp/a.py", {"uri": "file:///tmp/a.py"}),
        ("C:/work/a.py", {"uri": "file:///C:/work/a.py"}),
        ("../a#b?.py", {"uri": "../a%23b%3F.py", "uriBaseId": "%SRCROOT%"}),
    ],
)
def test_a_path_becomes_an_address(path: str, artifact: dict[str, str]) -> None:
    result = log(CODE, path)["results"][0]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == artifact


def test_nothing_found_is_an_empty_run(tmp_path: Path) -> None:
    run = log("import torch\n")
    assert run["results"] == []
    assert run["tool"]["driver"]["rules"] == []
