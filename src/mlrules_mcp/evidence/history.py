"""The history of a project, as far as the git command tells it without running anything that the project configures."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

_MOST_COMMITS = 1000
_SECONDS = 10
# A repository's own settings can name programs that git runs: none of those that `log` and `tag` know.
_SAFE = (
    "-c core.fsmonitor=false -c core.hooksPath=/dev/null -c log.showSignature=false -c core.pager=cat "
    "-c protocol.allow=never -c gpg.program=false -c diff.external= -c submodule.recurse=false"
).split()


@dataclass(frozen=True, slots=True)
class Commit:
    """One change: when (seconds since 1970) and what its first line says."""

    name: str
    time: int
    subject: str


@dataclass(frozen=True, slots=True)
class History:
    """The newest changes of a project, newest first, and its tags."""

    commits: tuple[Commit, ...]
    tags: tuple[str, ...]

    @property
    def all_seen(self) -> bool:
        """Whether there are no older ones."""
        return len(self.commits) < _MOST_COMMITS


def history_of(root: Path) -> History | None:
    """The history of the repository whose top folder this is; None where it is none, or git can't tell."""
    if not (root / ".git").exists():
        return None
    log = _git(root, "log", f"--max-count={_MOST_COMMITS}", "--no-show-signature", "--format=%h%x09%ct%x09%s")
    if log is None:
        return None
    commits = [Commit(name, int(time), subject[:300]) for name, time, subject in _rows(log) if time.isdigit()]
    tags = (_git(root, "tag", "--list") or "").split()
    return History(tuple(commits), tuple(tags[:_MOST_COMMITS]))


def _rows(log: str) -> list[list[str]]:
    return [row for line in log.splitlines() if len(row := line.split("\t", 2)) == 3]


def _git(root: Path, *arguments: str) -> str | None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment = kept | {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_CEILING_DIRECTORIES": str(root.parent),
    }
    try:
        done = subprocess.run(
            ["git", *_SAFE, "--no-pager", "-C", str(root), *arguments],
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
