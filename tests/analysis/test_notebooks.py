from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlrules_mcp.analysis.engine import analyze, analyze_files
from mlrules_mcp.analysis.fixes import fix, write
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.report.text import analysis_text
from mlrules_mcp.source import SourceFile, UnreadableSource

CHECKS = Catalogue().narrowed(select=["no-grad-not-called"])


def notebook(*cells: list[str]) -> str:
    made: list[object] = [{"cell_type": "markdown", "metadata": {}, "source": ["# Größe\n"]}]
    made += [{"cell_type": "code", "execution_count": 1, "metadata": {}, "outputs": [], "source": c} for c in cells]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1, ensure_ascii=False)


BAD = notebook(
    ["%matplotlib inline\n", "import torch as t"],
    ["!nvidia-smi\n", "with t.no_grad:\n", "    pass"],
    ["# ä\n", "with t.no_grad:  # here too\n", "    pass\n"],
)


def test_cells_are_one_program_and_findings_name_the_cell_and_its_line() -> None:
    (finding,) = analyze(SourceFile.from_text(BAD, "explore.ipynb"), CHECKS).findings
    assert (finding.location.cell, finding.location.line, finding.location.column) == (3, 2, 6)
    assert [(place.cell, place.line) for place in finding.also_at] == [(4, 2)]


def test_the_text_names_cells() -> None:
    text = analysis_text(analyze(SourceFile.from_text(BAD, "explore.ipynb"), CHECKS))
    assert text.startswith("explore.ipynb:cell 3:2:6: error [no-grad-not-called]")
    assert "also at cell:line 4:2" in text


def test_a_fix_is_written_into_its_cell_and_nothing_else_changes(tmp_path: Path) -> None:
    file = tmp_path / "explore.ipynb"
    file.write_bytes(BAD.encode())
    fixed = fix(SourceFile.from_path(file), CHECKS)
    write(fixed.source, file)
    assert file.read_bytes() == BAD.replace("t.no_grad:", "t.no_grad():").encode()
    assert fixed.analysis.findings == ()


def test_a_comment_in_a_cell_suppresses_there() -> None:
    suppressed = BAD.replace("t.no_grad:\\n", "t.no_grad:  # mlrules: ignore[no-grad-not-called]\\n")
    analysis = analyze(SourceFile.from_text(suppressed, "explore.ipynb"), CHECKS)
    assert [finding.location.cell for finding in analysis.findings] == [4]
    assert analysis.diagnostics == ()


def test_an_unused_suppression_is_reported_with_its_cell() -> None:
    text = notebook(["x = 1\n"], ["y = 2  # mlrules: ignore\n"])
    (diagnostic,) = analyze(SourceFile.from_text(text, "explore.ipynb"), CHECKS).diagnostics
    assert (diagnostic.code, diagnostic.cell, diagnostic.line) == ("unused-suppression", 3, 1)


def test_a_broken_cell_is_named_and_the_others_are_analysed() -> None:
    text = notebook(["def f(:\n", "    pass\n"], ["import torch\n", "with torch.no_grad:\n", "    pass\n"])
    analysis = analyze(SourceFile.from_text(text, "explore.ipynb"), CHECKS)
    (diagnostic,) = analysis.diagnostics
    assert (diagnostic.code, diagnostic.cell, diagnostic.line) == ("syntax-error", 2, 1)
    assert [finding.location.cell for finding in analysis.findings] == [3]


def test_a_notebook_that_is_none_is_told(tmp_path: Path) -> None:
    file = tmp_path / "explore.ipynb"
    file.write_text("{}")
    (diagnostic,) = analyze_files([file], CHECKS).diagnostics
    assert diagnostic.code == "not-a-notebook"
    with pytest.raises(UnreadableSource):
        SourceFile.from_path(file)


def test_a_notebook_without_code_is_clean() -> None:
    assert analyze(SourceFile.from_text(notebook(), "explore.ipynb"), CHECKS).findings == ()
