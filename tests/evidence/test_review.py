from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.evidence.answer import Review
from mlrules_mcp.evidence.limits import Limits
from mlrules_mcp.evidence.reading import Stopped
from mlrules_mcp.evidence.review import NothingToReview, review
from mlrules_mcp.evidence.workflow_rules.baseline_first import BaselineFirst
from mlrules_mcp.manifest.merging import load_manifests
from tests.evidence.support import CATALOGUE, place, reviewed, write

LIBRARIES = "Topic :: Software Development :: Libraries"
TRAINS = """\
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in loader:
    optimizer.zero_grad()
    nn.functional.mse_loss(model(x), y).backward()
    optimizer.step()
"""


def statuses(result: Review) -> set[str]:
    return {answer.status for answer in result.answers}


def test_every_rule_of_the_manifest_gets_an_answer_in_its_order(tmp_path: Path) -> None:
    result = reviewed(tmp_path, {"train.py": TRAINS})
    assert [answer.rule for answer in result.answers] == [rule.key for rule in CATALOGUE.rules.rules]
    assert all(answer.summary and answer.description for answer in result.answers)


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({}, id="empty"),
        pytest.param({"notes.md": "# Baseline\n\nIt reaches 61.2 %.\n", "main.js": "train()"}, id="no Python"),
    ],
)
def test_where_there_is_no_python_nothing_applies_and_the_answer_says_so(files: dict[str, str], tmp_path: Path) -> None:
    result = reviewed(tmp_path, files)
    assert statuses(result) == {"not_applicable"}
    assert result.kinds == ()
    assert result.exit_code == 0
    baseline = next(answer for answer in result.answers if answer.rule == "workflow_rules.baseline_first")
    assert baseline.summary == "There is no Python code and no notebook here."


@pytest.mark.parametrize(
    ("name", "says"), [("train.py", "is a file"), ("nowhere", "no folder"), ("a\0b", "can't be read")]
)
def test_what_is_no_folder_cannot_be_reviewed(name: str, says: str, tmp_path: Path) -> None:
    write(tmp_path, {"train.py": TRAINS})
    with pytest.raises(NothingToReview, match=says):
        review(tmp_path / name, CATALOGUE)


def test_a_root_may_be_a_link(tmp_path: Path) -> None:
    write(tmp_path / "project", {"train.py": TRAINS})
    (tmp_path / "link").symlink_to(tmp_path / "project")
    assert "met" in statuses(review(tmp_path / "link", CATALOGUE))


def test_links_out_of_the_root_are_told_and_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", {"train.py": TRAINS})
    root = write(tmp_path / "project", {"a.py": "x = 1\n"})
    (root / "out").symlink_to(tmp_path / "elsewhere")
    (root / "train.py").symlink_to(tmp_path / "elsewhere" / "train.py")
    (root / "inside").symlink_to(root / "a.py")
    (root / "loop").symlink_to(root / "loop")
    result = review(root, CATALOGUE)
    assert result.kinds == ()
    assert result.counts.python == 1
    told = {each.path for each in result.diagnostics if each.code == "link-not-followed"}
    assert {"out", "train.py"} <= told
    assert "inside" not in told


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="whoever may read everything reads this too")
def test_what_may_not_be_read_is_told(tmp_path: Path) -> None:
    root = write(tmp_path, {"secret.py": TRAINS, "closed/a.py": TRAINS, "b.py": "x = 1\n"})
    (root / "secret.py").chmod(0)
    (root / "closed").chmod(0)
    result = review(root, CATALOGUE)
    (root / "closed").chmod(0o700)
    assert {each.path for each in result.diagnostics} == {"secret.py", "closed"}


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(tmp_path, {"closed/train.py": TRAINS, "a.py": "x = 1\n"})
    real = os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    result = review(root, CATALOGUE)
    assert [(each.path, each.code) for each in result.diagnostics] == [("closed", "unreadable")]
    assert result.counts.python == 1


def test_broken_and_strange_files_are_remarks_and_the_rest_is_reviewed(tmp_path: Path) -> None:
    files = {
        "train.py": TRAINS,
        "wrong.py": "def (:\n",
        "pyproject.toml": "[project\n",
        "config.yaml": "a: [1\n",
        "settings.json": "{'a': 1}",
        "pointer.ipynb": "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n",
        "tagged.yaml": "a: !!python/object/apply:os.system ['false']\n",
    }
    root = write(tmp_path, files)
    (root / "zeros.py").write_bytes(b"\0\0")
    (root / "latin.md").write_bytes("# Größe\n".encode("latin-1"))
    with (root / "huge.py").open("wb") as file:
        file.truncate(50_000_000)
    os.mkfifo(root / "pipe.py")
    result = review(root, CATALOGUE)
    codes = {each.path: each.code for each in result.diagnostics}
    assert codes == {
        "wrong.py": "syntax-error",
        "pyproject.toml": "broken-settings",
        "config.yaml": "broken-settings",
        "settings.json": "broken-settings",
        "pointer.ipynb": "not-a-notebook",
        "zeros.py": "binary-file",
        "huge.py": "too-large",
        "pipe.py": "unreadable",
    }
    assert "met" in statuses(result)


def test_a_limit_that_is_reached_is_said(tmp_path: Path) -> None:
    files = {f"part_{number}/a.py": TRAINS for number in range(8)}
    assert "5 files and folders" in reviewed(tmp_path, files, Limits(files=5)).limits[0]
    few = review(tmp_path, CATALOGUE, Limits(python=3))
    assert (few.counts.python, few.limits) == (
        3,
        ("3 of 8 Python files and notebooks were read, the project's own first.",),
    )
    assert "8 Python files" in review(tmp_path, CATALOGUE, Limits(seconds=0)).limits[0]
    assert "bytes" in review(tmp_path, CATALOGUE, Limits(bytes_read=len(TRAINS) * 2)).limits[0]
    assert review(tmp_path, CATALOGUE).limits == ()


def test_environments_caches_and_hidden_folders_are_not_read(tmp_path: Path) -> None:
    files = {
        "env/pyvenv.cfg": "",
        "env/lib/train.py": TRAINS,
        "node_modules/a.py": TRAINS,
        ".cache/a.py": TRAINS,
        "x.egg-info/a.py": TRAINS,
        "a.py": "x = 1\n",
    }
    result = reviewed(tmp_path, files)
    assert (result.counts.files, result.kinds) == (1, ())


def test_tests_and_vendored_code_are_no_part_of_it_and_examples_only_by_themselves(
    tmp_path: Path,
) -> None:
    beside = {"tests/test_train.py": TRAINS, "third_party/x/train.py": TRAINS, "examples/train.py": TRAINS}
    assert reviewed(tmp_path / "a", {**beside, "a.py": "x = 1\n"}).kinds == ()
    assert [kind.name for kind in reviewed(tmp_path / "b", {**beside, "setup.py": ""}).kinds] == ["deep_learning"]


def test_what_examples_break_counts_in_a_library_alone(tmp_path: Path) -> None:
    files = {"lib/core.py": "x = 1\n", "examples/train.py": "import torch\n\nnet = torch.nn.Linear(2, 1).cuda()\n"}
    installed = {"README.md": "# Lib\n\n    pip install lib\n", "pyproject.toml": '[project]\nname = "lib"\n'}
    rule = "pytorch_rules.device_agnostic_code"
    alone, packaged = reviewed(tmp_path / "a", files), reviewed(tmp_path / "b", {**files, **installed})
    statuses = [next(each.status for each in one.answers if each.rule == rule) for one in (alone, packaged)]
    assert statuses == ["not_applicable", "broken"]


def test_the_kinds_of_a_project_are_shown_with_their_reasons(tmp_path: Path) -> None:
    notebook = {"cells": [{"cell_type": "code", "source": TRAINS, "outputs": []}], "metadata": {}}
    files = {
        "a.ipynb": json.dumps(notebook),
        "app.py": """\
            import joblib
            from fastapi import FastAPI
            from sklearn.linear_model import Ridge

            app = FastAPI()
            model = Ridge().fit(X, y)
            """,
    }
    result = reviewed(tmp_path, files)
    assert {kind.name: place(kind.reasons[0]) for kind in result.kinds} == {
        "deep_learning": "a.ipynb:1:8",
        "classical": "app.py:6",
        "serving": "app.py:5",
        "research_notebook": "a.ipynb",
    }


@pytest.mark.parametrize(
    ("metadata", "is_library"),
    [
        (
            {"pyproject.toml": '[project]\nname = "my-layers"\n', "README.md": "# L\n\n    pip install my_layers\n"},
            True,
        ),
        (
            {"setup.py": "NAME = 'my-layers'\nsetup(\n    name=NAME,\n)\n", "README.md": "`pip install my-layers`\n"},
            True,
        ),
        (
            {"pyproject.toml": f'[project]\nname = "mine"\nclassifiers = ["{LIBRARIES}"]\n'},
            False,
        ),
        ({"pyproject.toml": '[project]\nname = "my-layers"\n', "README.md": "pip install torch\n"}, False),
        ({"README.md": "# L\n\npip install my-layers\n"}, False),
    ],
)
def test_a_library_is_what_is_packaged_for_others(metadata: dict[str, str], is_library: bool, tmp_path: Path) -> None:
    result = reviewed(tmp_path, {**metadata, "layers.py": TRAINS})
    assert ("library" in {kind.name for kind in result.kinds}) == is_library
    baseline = next(answer for answer in result.answers if answer.rule == "workflow_rules.baseline_first")
    assert (baseline.status == "not_applicable") == is_library


def test_steps_come_by_severity_then_what_is_broken_then_effort(tmp_path: Path) -> None:
    files = {"train.py": TRAINS.replace("    optimizer.zero_grad()\n", "    print(loss.item())\n")}
    steps = reviewed(tmp_path, files).next_steps
    keys = [({"error": 0, "warning": 1}[step.severity], step.status != "broken") for step in steps]
    assert keys == sorted(keys)
    assert steps[0].rule == "pytorch_rules.gradient_management"
    assert steps[0].next_step is not None
    assert (steps[0].next_step.path, steps[0].next_step.line) == ("train.py", 8)


def test_a_rule_that_is_switched_off_does_not_apply(tmp_path: Path) -> None:
    manifest = tmp_path / "own.md"
    manifest.write_text('@pytorch_rules [{"id": "gradient_management", "enabled": false}]\n', encoding="utf-8")
    catalogue = Catalogue(load_manifests([manifest]))
    root = write(tmp_path / "project", {"train.py": TRAINS})
    answer = next(a for a in review(root, catalogue).answers if a.rule == "pytorch_rules.gradient_management")
    assert (answer.status, "switched off" in answer.summary) == ("not_applicable", True)


def test_a_review_tells_how_far_it_is_and_can_be_stopped(tmp_path: Path) -> None:
    root = write(tmp_path, {f"part_{number}.py": TRAINS for number in range(4)})
    told: list[tuple[int, int, str]] = []
    review(root, CATALOGUE, progress=lambda *progress: told.append(progress))
    assert told[1:] == [(number, 4, f"part_{number}.py") for number in range(4)]

    def stop(done: int, _total: int, _what: str) -> None:
        if done == 2:
            raise Stopped

    with pytest.raises(Stopped):
        review(root, CATALOGUE, progress=stop)


def test_a_review_leaves_the_project_as_it_is(tmp_path: Path) -> None:
    root = write(tmp_path, {"train.py": TRAINS, "README.md": "# A\n"})
    before = {path: path.read_bytes() for path in root.rglob("*")}
    review(root, CATALOGUE)
    assert {path: path.read_bytes() for path in root.rglob("*")} == before


def test_what_a_repository_configures_is_not_run(tmp_path: Path) -> None:
    root = write(tmp_path, {"train.py": TRAINS})
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=A", "-c", "user.email=a@b.c", "commit", "-qm", "One"],
    ):
        subprocess.run(["git", "-C", str(root), *command], check=True)
    run = tmp_path / "run"
    script = f"#!/bin/sh\ntouch {run.as_posix()}\n"
    (root / "evil.sh").write_text(script)
    (root / "evil.sh").chmod(0o755)
    evil = (root / "evil.sh").as_posix()
    with (root / ".git" / "config").open("a") as file:
        file.write(
            f"[core]\n\tfsmonitor = {evil}\n\tpager = {evil}\n"
            f"[log]\n\tshowSignature = true\n[gpg]\n\tprogram = {evil}\n"
        )
    review(root, CATALOGUE)
    assert not run.exists()


def test_a_bug_in_one_collector_costs_no_other_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def collect(_collector: object, _project: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(BaselineFirst, "collect", collect)
    result = reviewed(tmp_path, {"train.py": TRAINS})
    assert [each.code for each in result.diagnostics] == ["review-failed"]
    assert "KeyError" in result.diagnostics[0].message
    assert "met" in statuses(result)
