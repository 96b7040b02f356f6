"""What loading a pickle depends on outside the code: the release that a project declares, and lines of the shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlrules_mcp.analysis.engine import analyze
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.source import Project, SourceFile

CODE = 'import torch\n\nmodel.load_state_dict(torch.load("model.pt", map_location="cpu"))\n'


@pytest.mark.parametrize(("requirement", "count"), [("torch==2.5.1", 1), ("torch>=2.6", 0), ("torch", 0)])
def test_a_bare_load_is_found_where_the_release_below_2_6_unpickles_everything(
    requirement: str, count: int, tmp_path: Path
) -> None:
    (tmp_path / "requirements.txt").write_text(requirement, "utf-8")
    source = SourceFile.from_text(CODE, "train.py", project=Project(tmp_path))
    findings = analyze(source, Catalogue().narrowed(["pickle-load"])).findings
    assert len(findings) == count
    assert all("below PyTorch 2.6" in finding.message for finding in findings)


@pytest.mark.parametrize(("line", "count"), [("!wget https://x.org/m/model.pkl", 1), ("!ls model.pkl", 0)])
def test_a_file_that_the_shell_downloads_in_a_notebook_counts_as_downloaded(line: str, count: int) -> None:
    cells = [line, 'import pickle\nimport torch\nmodel = pickle.load(open("model.pkl", "rb"))']
    text = json.dumps({"cells": [{"cell_type": "code", "source": cell, "outputs": []} for cell in cells]})
    findings = analyze(SourceFile.from_text(text, "a.ipynb"), Catalogue().narrowed(["pickle-load"])).findings
    assert len(findings) == count
