from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from mlrules_mcp.catalogue import all_checks
from mlrules_mcp.findings import Finding, Location

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
VERDICTS = sorted((BENCHMARKS / "accuracy" / "verdicts").glob("*.jsonl"))


@pytest.fixture(scope="module")
def accuracy() -> dict[str, Any]:
    return runpy.run_path(str(BENCHMARKS / "accuracy.py"))


@pytest.fixture(scope="module")
def recall() -> dict[str, Any]:
    return runpy.run_path(str(BENCHMARKS / "recall.py"))


def finding(line: int, *also_at: int, check: str = "hardcoded-cuda") -> Finding:
    places = [Location(number, 1, number, 2) for number in (line, *also_at)]
    return Finding("rule", check, "error", "train.py", places[0], "It breaks.", None, tuple(places[1:]))


def test_verdicts_name_their_repository_commit_place_and_reason() -> None:
    assert VERDICTS
    for file in VERDICTS:
        for line in file.read_text(encoding="utf-8").splitlines():
            data = json.loads(line)
            assert set(data) == {"repository", "commit", "path", "cell", "line", "check", "verdict", "reason"}
            assert data["check"] == file.stem
            assert data["repository"].count("/") == 1
            assert len(data["commit"]) == 40
            assert isinstance(data["verdict"], bool)
            assert data["reason"]


def test_precision_counts_each_finding_that_is_still_reported(accuracy: dict[str, Any]) -> None:
    place = accuracy["Place"]
    verdicts = {
        place("hardcoded-cuda", "a/b", "train.py", None, 1): True,
        place("hardcoded-cuda", "a/b", "train.py", None, 2): True,
        place("hardcoded-cuda", "a/b", "train.py", None, 5): False,
        place("hardcoded-cuda", "a/b", "train.py", None, 9): False,
    }
    findings = {"a/b": [finding(1, 2), finding(5), finding(7)]}
    (row,) = accuracy["judged"](verdicts, findings)
    assert (row.right, row.wrong, row.unjudged) == (1, 1, 1)
    assert row.precision == 0.5
    assert accuracy["gone"](verdicts, findings) == {"hardcoded-cuda": {False: 1}}


def test_a_finding_of_which_one_place_is_wrong_is_wrong(accuracy: dict[str, Any]) -> None:
    place = accuracy["Place"]
    verdicts = {
        place("hardcoded-cuda", "a/b", "train.py", None, 1): True,
        place("hardcoded-cuda", "a/b", "train.py", None, 2): False,
    }
    (row,) = accuracy["judged"](verdicts, {"a/b": [finding(1, 2)]})
    assert (row.right, row.wrong) == (0, 1)


def test_the_marks_of_each_tool_are_read(recall: dict[str, Any], tmp_path: Path) -> None:
    checker = tmp_path / "torchfix" / "misc" / "checker"
    checker.mkdir(parents=True)
    (checker / "qr.py").write_text("import torch\nq = torch.qr(\n    x)\ny = 1\n")
    (checker / "qr.txt").write_text("2:5 TOR101 Use of deprecated function torch.qr\n")
    codemod = tmp_path / "torchfix" / "misc" / "codemod"
    codemod.mkdir()
    (codemod / "qr.in.py").write_text("import torch\nq = torch.qr(x)\n")
    (codemod / "qr.out.py").write_text("import torch\nq = torch.linalg.qr(x)\n")
    torchfix, pair = recall["READERS"]["TorchFix"](tmp_path / "torchfix", {})
    assert [tuple(mark) for mark in pair.marks] == [("fix qr", 2, 2, False)]
    assert [tuple(mark) for mark in torchfix.marks] == [
        ("TOR101", 2, 3, False),
        ("TOR101", 1, 1, True),
        ("TOR101", 4, 4, True),
    ]
    (tmp_path / "load.py").write_text("a()  # Noncompliant\nb()\n# Noncompliant@-1\nc()  # FN\nd()\n")
    (sonar,) = recall["READERS"]["SonarPython"](tmp_path, {"checks": {"load": []}, "out_of_scope": {}})
    assert [(mark.first, mark.good) for mark in sonar.marks] == [(1, False), (2, False), (5, True)]
    (tmp_path / "load.py").write_text(
        "# ruleid: load\n\nclass A:\n    x = 1\n# ok: load\na()\n# todoruleid: load\nb()\n"
    )
    (checkers := tmp_path / "checkers").mkdir()
    (checkers / "test_nan.py").write_text(
        "class T:\n    def test_a(self):\n        script = 'x\\ny'\n        with self.assertNoMessages(): pass\n"
        "    def test_b(self):\n        n = extract('z')\n        assert n\n"
    )
    (dslinter,) = recall["READERS"]["dslinter"](checkers, {})
    assert [tuple(mark) for mark in dslinter.marks] == [("nan", 1, 2, True)]
    (semgrep,) = recall["READERS"]["Trail of Bits"](tmp_path, {})
    assert [tuple(mark) for mark in semgrep.marks] == [("load", 3, 4, False), ("load", 6, 6, True)]


def test_a_rule_of_another_tool_is_in_scope_or_has_a_reason_not_to_be(recall: dict[str, Any]) -> None:
    known = {check.name for check in all_checks()}
    for scope in json.loads(recall["SCOPE"].read_text(encoding="utf-8")).values():
        assert {check for checks in scope["checks"].values() for check in checks} <= known
        assert not set(scope["checks"]) & set(scope["out_of_scope"])
        assert all(scope["out_of_scope"].values())
        for exception in scope["exceptions"]:
            assert exception["rule"] in scope["checks"]
            assert exception["reason"]
