"""Small projects on disk, and their reviews."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.evidence.answer import Evidence, Review
from mlrules_mcp.evidence.limits import Limits
from mlrules_mcp.evidence.review import review

CATALOGUE = Catalogue()


def write(root: Path, files: Mapping[str, str]) -> Path:
    """The folder with these files, their common indentation taken off."""
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")
    return root


def reviewed(root: Path, files: Mapping[str, str], limits: Limits | None = None) -> Review:
    """The review of a project of these files."""
    return review(write(root, files), CATALOGUE, limits)


def place(evidence: Evidence) -> str:
    """`path`, `path:line` or `path:cell:line`."""
    return ":".join(str(part) for part in (evidence.path, evidence.cell, evidence.line) if part is not None)
