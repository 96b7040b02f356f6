from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mlrules_mcp.cli import cli

BAD = "import torch\n\nwith torch.no_grad:\n    pass\n"
SUGGESTED = "import torch\n\nmodel.to(device)\nmodel.load_state_dict(torch.load('model.pt'))\n"
CLEAN = "import torch\n\nwith torch.no_grad():\n    pass\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(cli, arguments, input=stdin)


def test_findings_end_with_exit_code_1_and_name_the_place(folder: Path) -> None:
    (folder / "train.py").write_text(BAD)
    result = invoke("check")
    assert result.exit_code == 1
    assert "train.py:3:6: error [no-grad-not-called]" in result.stdout
    assert "1 error in 1 file. Available: 1 safe fix." in result.stdout


def test_clean_code_ends_with_exit_code_0(folder: Path) -> None:
    (folder / "train.py").write_text(CLEAN)
    result = invoke("check", "train.py")
    assert result.exit_code == 0
    assert result.stdout == "No findings in 1 file.\n"


def test_json_has_every_key_of_the_contract(folder: Path) -> None:
    (folder / "train.py").write_text(BAD)
    result = invoke("check", "train.py", "--format", "json")
    data = json.loads(result.stdout)
    assert set(data) == {"files", "findings", "diagnostics"}
    assert data["files"] == 1
    (finding,) = data["findings"]
    assert finding == {
        "rule": "pytorch_rules.gradient_management",
        "check": "no-grad-not-called",
        "severity": "error",
        "path": "train.py",
        "cell": None,
        "line": 3,
        "column": 6,
        "end_line": 3,
        "end_column": 19,
        "message": finding["message"],
        "fix": {"applicability": "safe", "title": "Call torch.no_grad"},
        "also_at": [],
        "related": [],
    }


def test_sarif_reads_columns_and_fixes_from_files_and_from_standard_input(folder: Path) -> None:
    (folder / "train.py").write_text(BAD)
    for arguments in (["train.py"], ["-", "--stdin-filename", "train.py"], [str(folder / "train.py")]):
        result = invoke("check", *arguments, "--format", "sarif", stdin=BAD.encode())
        assert result.exit_code == 1
        (found,) = json.loads(result.stdout)["runs"][0]["results"]
        place = found["locations"][0]["physicalLocation"]
        assert place["artifactLocation"] == {"uri": "train.py", "uriBaseId": "%SRCROOT%"}
        assert place["region"] == {"startLine": 3, "startColumn": 6, "endLine": 3, "endColumn": 19}
        (change,) = found["fixes"][0]["artifactChanges"]
        assert change["replacements"][0]["insertedContent"] == {"text": "with torch.no_grad():\n"}


def test_a_page_of_findings_shows_the_code_and_the_exit_code_stays(folder: Path) -> None:
    (folder / "train.py").write_text(BAD)
    for arguments in (["."], ["-"]):
        result = invoke("check", *arguments, "--format", "html", stdin=BAD.encode())
        assert result.exit_code == 1
        assert "with <mark>torch.no_grad</mark>:" in result.stdout


def test_github_gets_commands_and_the_exit_code_stays(folder: Path) -> None:
    (folder / "train.py").write_text(BAD)
    result = invoke("check", "--format", "github")
    assert result.exit_code == 1
    assert result.stdout.startswith(
        "::error file=train.py,line=3,endLine=3,col=6,endColumn=19,title=no-grad-not-called::"
    )


def test_columns_count_characters_not_bytes(folder: Path) -> None:
    (folder / "train.py").write_text('import torch\nname = "größe"; state = torch.load(name)\n', encoding="utf-8")
    (finding,) = json.loads(invoke("check", "--format", "json").stdout)["findings"]
    assert (finding["column"], finding["end_column"]) == (25, 41)


def test_fix_writes_safe_fixes_and_keeps_encoding_line_ends_and_permissions(folder: Path) -> None:
    file = folder / "train.py"
    before = "# coding: latin-1\r\nimport torch  # größe\r\nwith torch.no_grad:\r\n    pass\r\n"
    file.write_bytes(before.encode("latin-1"))
    file.chmod(0o755)
    result = invoke("check", "--fix")
    assert result.exit_code == 0
    assert file.read_bytes() == before.replace("no_grad:", "no_grad():").encode("latin-1")
    assert file.stat().st_mode & 0o777 == 0o755
    assert [entry.name for entry in folder.iterdir()] == ["train.py"]


def test_fix_leaves_suggested_fixes_unless_they_are_asked_for(folder: Path) -> None:
    file = folder / "train.py"
    file.write_text(SUGGESTED)
    assert invoke("check", "--fix").exit_code == 1
    assert file.read_text() == SUGGESTED
    assert invoke("check", "--fix", "--suggested").exit_code == 0
    assert 'map_location="cpu"' in file.read_text()


def test_diff_shows_the_change_and_writes_nothing(folder: Path) -> None:
    file = folder / "train.py"
    file.write_text(BAD)
    result = invoke("check", "--diff")
    assert "--- a/train.py\n+++ b/train.py\n" in result.stdout
    assert "-with torch.no_grad:\n+with torch.no_grad():\n" in result.stdout
    assert file.read_text() == BAD


def test_a_file_that_cannot_be_replaced_is_left_as_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    file = folder / "train.py"
    file.write_text(BAD)
    monkeypatch.setattr(Path, "replace", refuse)
    result = invoke("check", "--fix")
    assert result.exit_code == 2
    assert "train.py can't be written: No space left on device" in result.stderr
    assert file.read_text() == BAD
    assert [entry.name for entry in folder.iterdir()] == ["train.py"]


def test_code_on_standard_input_is_checked_under_the_name_given() -> None:
    result = invoke("check", "-", "--stdin-filename", "src/train.py", stdin=BAD.encode())
    assert result.exit_code == 1
    assert "src/train.py:3:6" in result.stdout


def test_fixing_standard_input_prints_the_fixed_code() -> None:
    result = invoke("check", "-", "--fix", stdin=BAD.encode())
    assert result.stdout_bytes == CLEAN.encode()


NOTEBOOK = json.dumps({"cells": [{"cell_type": "code", "source": BAD}], "nbformat": 4, "nbformat_minor": 5})
FORMATS = {
    "explore.ipynb": (NOTEBOOK, "explore.ipynb:cell 1:3:6: error"),
    "docs/README.md": (f"# Title\n\n```python\n{BAD}```\n", "docs/README.md:6:6: error"),
    "report.qmd": (f"```{{python}}\n{BAD}```\n", "report.qmd:4:6: error"),
    "cells.py": (f"# %%\n%matplotlib inline\n{BAD}", "cells.py:5:6: error"),
    "databricks.py": (f"# Databricks notebook source\n# MAGIC %run ./a\n{BAD}", "databricks.py:5:6: error"),
    "marimo.py": (
        "import marimo\n\napp = marimo.App()\n\n\n@app.cell\ndef _():\n    import torch\n"
        "    with torch.no_grad:\n        pass\n    return (torch,)\n",
        "marimo.py:9:10: error",
    ),
}


@pytest.mark.parametrize("name", FORMATS)
def test_unsaved_buffers_of_all_formats_are_checked_and_fixed(folder: Path, name: str) -> None:
    text, expected = FORMATS[name]
    result = invoke("check", "-", "--stdin-filename", name, stdin=text.encode())
    assert result.stdout.startswith(f"{expected} [no-grad-not-called]")
    fixed = text.replace("torch.no_grad:", "torch.no_grad():")
    result = invoke("check", "-", "--stdin-filename", name, "--fix", stdin=text.encode())
    assert result.stdout == fixed
    result = invoke("check", "-", "--stdin-filename", name, "--diff", stdin=text.encode())
    assert [line[0] for line in result.stdout.splitlines() if "no_grad" in line] == ["-", "+"]
    assert [*folder.iterdir()] == []


def test_documents_are_checked_where_they_are_named(folder: Path) -> None:
    (folder / "README.md").write_text(FORMATS["docs/README.md"][0])
    assert invoke("check").stdout == "No findings in 0 files.\n"
    assert "README.md:6:6: error" in invoke("check", "README.md").stdout
    assert invoke("check", "README.md", "--fix").exit_code == 0
    assert (folder / "README.md").read_text() == FORMATS["docs/README.md"][0].replace("no_grad:", "no_grad():")


def test_each_cause_is_shown_once_unless_all_is_asked_for(folder: Path) -> None:
    for name in ("a.py", "b.py"):
        (folder / name).write_text(BAD)
    assert "    also in b.py, line 3\n" in invoke("check").stdout
    assert "b.py:3:6: error" in invoke("check", "--all").stdout
    assert "2 errors in 2 files." in invoke("check").stdout


def test_standard_input_does_not_go_with_files() -> None:
    result = invoke("check", "-", "train.py")
    assert result.exit_code == 2
    assert "'-' stands alone" in result.stderr


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"\x7fELF\x00", "binary-file"), (b"x = '\xe9'\n", "wrong-encoding"), (b"def (:\n", "syntax-error")],
)
def test_unreadable_input_ends_with_exit_code_2(folder: Path, content: bytes, code: str) -> None:
    (folder / "broken.py").write_bytes(content)
    result = invoke("check")
    assert result.exit_code == 2
    assert f"[{code}]" in result.stdout
    assert "No findings in what could be read of 1 file." in result.stdout


def test_a_missing_path_ends_with_exit_code_2() -> None:
    result = invoke("check", "gone.py")
    assert result.exit_code == 2
    assert "gone.py: error [unreadable] There is no such file or folder." in result.stdout


def test_folders_of_tools_and_environments_are_not_searched(folder: Path) -> None:
    for name in (".venv", "node_modules", "env/lib"):
        (folder / name).mkdir(parents=True)
        (folder / name / "bad.py").write_text(BAD)
    (folder / "env" / "pyvenv.cfg").write_text("")
    assert invoke("check").stdout == "No findings in 0 files.\n"


@pytest.mark.parametrize("name", ["no-grad-not-called", "pytorch_rules.gradient_management", "pytorch_rules"])
def test_select_and_ignore_take_checks_rules_and_blocks(folder: Path, name: str) -> None:
    (folder / "train.py").write_text(BAD)
    assert invoke("check", "--select", name).exit_code == 1
    assert invoke("check", "--ignore", name).exit_code == 0


def test_an_unknown_selection_names_what_is_close() -> None:
    result = invoke("check", "--select", "no-grad-not-call")
    assert result.exit_code == 2
    assert "Did you mean no-grad-not-called" in result.stderr


def test_all_rules_are_listed_by_block() -> None:
    result = invoke("rules")
    assert result.exit_code == 0
    data = json.loads(invoke("rules", "--format", "json").stdout)
    assert len(data["rules"]) == 46
    assert all(rule["rule"].partition(".")[2] in result.stdout for rule in data["rules"])


def test_rules_for_a_path_say_which_glob_matched() -> None:
    result = invoke("rules", "src/train.py")
    assert result.stdout.startswith("src/train.py: on, always on; **/*.py matches src/train.py")


def test_a_further_manifest_overrides_and_the_answer_says_where(folder: Path) -> None:
    manifest = folder / "house.md"
    manifest.write_text(
        '# House\n\n@pytorch_rules [{"id": "gradient_management", "severity": "warning"},\n'
        ' {"id": "device_agnostic_code", "enabled": false}]\n'
    )
    (folder / "train.py").write_text(BAD + SUGGESTED)
    listed = invoke("rules", "--manifest", "house.md").stdout
    assert "severity error -> warning by house.md:3" in listed
    assert "enabled on -> off by house.md:4" in listed
    (finding,) = json.loads(invoke("check", "--format", "json", "--manifest", "house.md").stdout)["findings"]
    assert (finding["check"], finding["severity"]) == ("no-grad-not-called", "warning")


def test_a_broken_manifest_is_refused_with_its_place(folder: Path) -> None:
    (folder / "broken.md").write_text('# Rules\n\n@my_rules [\n  {"id": "a" "description": "b"}\n]\n')
    result = invoke("rules", "--manifest", "broken.md")
    assert result.exit_code == 2
    assert "broken.md:4" in result.stderr


def test_a_missing_manifest_is_named() -> None:
    result = invoke("check", "--manifest", "gone.md")
    assert result.exit_code == 2
    assert "gone.md" in result.stderr


def test_explain_shows_bad_fixed_and_good_code() -> None:
    result = invoke("explain", "no-grad-not-called")
    assert result.exit_code == 0
    for title in ("Why it matters", "Bad:", "Fixed (safe):", "Good:"):
        assert title in result.stdout


def test_explaining_an_ambiguous_id_names_the_candidates() -> None:
    result = invoke("explain", "cross_validation")
    assert result.exit_code == 2
    assert "sklearn_rules.cross_validation, evaluation_rules.cross_validation" in result.stderr


def test_the_training_check_that_cannot_run_says_why() -> None:
    result = invoke("train-check", "--device", "tpu")
    assert result.exit_code == 2
    assert "tpu" in result.stderr


def test_output_that_is_no_terminal_has_no_colour(folder: Path) -> None:
    (folder / "train.py").write_text(BAD)
    assert "\x1b" not in invoke("check").stdout


def test_help_names_every_command_and_the_exit_codes() -> None:
    overview = invoke("--help").stdout
    assert all(name in overview for name in ("check", "rules", "explain", "train-check", "serve"))
    assert "Exit code: 0 clean" in invoke("check", "--help").stdout


def test_output_is_utf_8_whatever_the_locale(folder: Path) -> None:
    (folder / "größe.py").write_text(BAD)
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "mlrules_mcp", "check", "größe.py"]
    result = subprocess.run(command, capture_output=True, env=environment, cwd=folder, check=False)
    assert "größe.py:3:6: error" in result.stdout.decode("utf-8")


def test_checking_loads_nothing_heavy(folder: Path) -> None:
    (folder / "train.py").write_text(BAD)
    script = (
        "import sys\nfrom mlrules_mcp.cli import cli\n"
        "try:\n    cli(['check', 'train.py'])\nexcept SystemExit as end:\n    assert end.code == 1\n"
        "heavy = {'mcp', 'mcp_types', 'libcst', 'torch', 'lightning', 'pydantic', 'yaml', 'rich', 'asyncio'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=folder, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


HOOK = "import lightning as L\n\nclass Net(L.LightningModule):\n    def on_epoch_end(self):\n        self.reset()\n"


def test_the_releases_that_a_project_declares_decide(folder: Path) -> None:
    (folder / "train.py").write_text(HOOK)
    assert "[removed-hook]" in invoke("check", "--select", "removed-hook").stdout
    assert "[removed-hook]" in invoke("check", "-", "--select", "removed-hook", stdin=HOOK.encode()).stdout
    (folder / "requirements.txt").write_text("pytorch-lightning==1.4\n")
    for arguments in (["."], ["train.py"], ["-"], ["--fix"], ["-", "--diff"]):
        result = invoke("check", *arguments, "--select", "removed-hook", stdin=HOOK.encode())
        assert "removed-hook" not in result.output, arguments
        assert result.exit_code == 0
