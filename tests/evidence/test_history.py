from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mlrules_mcp.evidence.history import history_of


def git(root: Path, *arguments: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, "-C", str(root), *arguments], check=True, capture_output=True)


def test_the_newest_changes_come_first_with_their_tags(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    for subject in ("Add a baseline", "Try a deeper\tnet"):
        git(tmp_path, "commit", "--allow-empty", "-qm", subject)
    git(tmp_path, "tag", "v1")
    history = history_of(tmp_path)
    assert history is not None
    assert [commit.subject for commit in history.commits] == ["Try a deeper\tnet", "Add a baseline"]
    assert (history.tags, history.all_seen) == (("v1",), True)


def test_a_folder_inside_a_repository_of_others_has_no_history(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "--allow-empty", "-qm", "Not ours")
    (tmp_path / "project").mkdir()
    assert history_of(tmp_path / "project") is None


def test_without_git_there_is_no_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "-q")
    assert history_of(tmp_path) is None, "no commit yet"
    git(tmp_path, "commit", "--allow-empty", "-qm", "One")
    monkeypatch.setenv("PATH", "")
    assert history_of(tmp_path) is None


def test_a_broken_repository_has_no_history(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: nowhere\n")
    assert history_of(tmp_path) is None
