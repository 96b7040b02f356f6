"""Which files a path on the command line stands for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from mlrules_mcp.findings import Diagnostic

# Folders that hold what others wrote or what tools made.
_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages", "__pypackages__", "venv"})


def python_files(paths: Iterable[Path]) -> Iterator[Path | Diagnostic]:
    """The Python files and notebooks that some paths stand for, each once, folders searched in order.

    A file that is named is taken whatever its ending; Markdown documents are taken only so. In folders, hidden ones,
    virtual environments and what tools made are left out, and links are not followed. A path that isn't there, or
    can't be analysed, gives a diagnostic instead.
    """
    seen: set[Path] = set()
    for path in paths:
        if path.is_dir():
            files: Iterable[Path] = _search(path)
        elif path.exists():
            files = [path]
        else:
            yield Diagnostic("unreadable", "error", path.as_posix(), "There is no such file or folder.")
            continue
        for file in files:
            if file not in seen:
                seen.add(file)
                yield file


def _search(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not _is_skipped(folder, name))
        yield from (Path(folder, name) for name in sorted(files) if name.endswith((".py", ".pyw", ".ipynb")))


def _is_skipped(folder: str, name: str) -> bool:
    return name.startswith(".") or name in _SKIPPED or Path(folder, name, "pyvenv.cfg").exists()
