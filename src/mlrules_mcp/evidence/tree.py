"""The files of a project: which there are, what each is for, and what of them may be read."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from mlrules_mcp.evidence.limits import Budget
from mlrules_mcp.findings import Diagnostic
from mlrules_mcp.patterns import pattern

Role: TypeAlias = Literal["code", "tests", "examples", "vendored"]

_SKIPPED = frozenset(
    "node_modules __pycache__ site-packages __pypackages__ venv env.bak build dist .git .hg .svn .tox .nox".split()
)
_HIDDEN_KEPT = frozenset({".github", ".circleci", ".dvc"})
# What trackers write: the names of the runs matter, and there may be very many files in each.
TRACKERS = frozenset({"mlruns", "wandb", "lightning_logs", "multirun"})
_MOST_IN_TRACKER = 500

_TESTS = pattern(r"(^|/)(tests?|testing|unittests?)(_\w+)?/|(^|/)(test_[^/]*|conftest)\.py$|_test\.py$")
_EXAMPLES = pattern(
    r"(^|/)(examples?|tutorials?|docs?|documentation|demos?|samples?|courses?|exercises?|lessons?|benchmarks?)(_\w+)?/"
    r"|(^|/)(colab|quick_?start)[^/]*\.ipynb$"
)
_VENDORED = pattern(r"(^|/)(third[_-]?party|vendor(ed)?|_vendor|externals?|extern|submodules?|thirdparty)/")
# Python files that hold no work of a project.
_FORMALITIES = frozenset({"setup.py", "conf.py", "noxfile.py", "conftest.py", "__init__.py", "hubconf.py", "tasks.py"})
PYTHON = (".py", ".pyw", ".ipynb")


@dataclass(slots=True)
class Listing:
    """The files of a folder, without what tools made.

    Attributes:
        files: their paths from the root, with forward slashes, those near the root first.
        links: links that lead out of the root, or nowhere; none is followed.
        only_examples: whether the project is nothing but tests or examples, which then are its code.
    """

    root: Path
    files: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    only_examples: bool = False

    @property
    def python(self) -> list[str]:
        """Python files and notebooks, the project's own code first."""
        order: dict[Role, int] = {"code": 0, "examples": 1, "tests": 2, "vendored": 3}
        found = [path for path in self.files if path.lower().endswith(PYTHON)]
        return sorted(found, key=lambda path: order[self.role(path)])

    def role(self, path: str) -> Role:
        """What a file is for."""
        role = _role(path)
        return "code" if role == "examples" and self.only_examples else role


def list_files(root: Path, budget: Budget) -> Listing:
    """The files of a project, folder by folder, those near the root first.

    Hidden folders, virtual environments and what tools made are left out; links are not followed, and told where they
    lead out of the root. A folder that can't be read is a diagnostic.
    """
    listing = Listing(root)
    pending = [""]
    in_trackers: dict[str, int] = {}
    for folder in pending:
        try:
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except OSError as error:
            message = f"The folder can't be read: {error.strerror or error}."
            listing.diagnostics.append(Diagnostic("unreadable", "warning", folder or ".", message))
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if len(listing.files) + len(pending) >= budget.limits.files:
                budget.reached["files"] = (
                    f"Listing stopped after {budget.limits.files:,} files and folders: what lies deeper, "
                    "or comes later in the alphabet, was not looked at."
                )
                return _finished(listing)
            if entry.is_symlink():
                listing.links += [path] if _leads_out(root / path, root) else []
            elif entry.is_dir(follow_symlinks=False):
                pending += [] if _is_skipped(root / path, entry.name) else [path]
            elif _is_kept(path, in_trackers):
                listing.files.append(path)
    return _finished(listing)


def _finished(listing: Listing) -> Listing:
    roles = [_role(path) for path in listing.files if path.lower().endswith(PYTHON) and _is_work(path)]
    listing.only_examples = "examples" in roles and "code" not in roles
    return listing


def _is_work(path: str) -> bool:
    return path.rpartition("/")[2] not in _FORMALITIES


def _role(path: str) -> Role:
    path = path.lower()
    if _VENDORED.search(path):
        return "vendored"
    if _TESTS.search(path):
        return "tests"
    return "examples" if _EXAMPLES.search(path) else "code"


def _is_skipped(path: Path, name: str) -> bool:
    if name in _SKIPPED or name.endswith(".egg-info") or (path / "pyvenv.cfg").exists():
        return True
    return name.startswith(".") and name not in _HIDDEN_KEPT


def _is_kept(path: str, in_trackers: dict[str, int]) -> bool:
    """Whether a file is listed; of what a tracker wrote only so many."""
    tracker = next((part for part in path.split("/")[:-1] if part in TRACKERS), None)
    if tracker is None:
        return True
    in_trackers[tracker] = in_trackers.get(tracker, 0) + 1
    return in_trackers[tracker] <= _MOST_IN_TRACKER


def _leads_out(link: Path, root: Path) -> bool:
    try:
        return not link.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a loop
        return True


def read_text(root: Path, path: str, budget: Budget, most: int) -> str | None:
    """The text of a file of the project; None where it is too large, no text, or can't be read."""
    file = root / path
    try:
        size = file.lstat().st_size
        if size > most or not file.is_file() or file.is_symlink() or not budget.read(size):
            return None
        data = file.read_bytes()
    except (OSError, ValueError):
        return None
    return None if b"\0" in data else data.decode("utf-8-sig", "replace")
