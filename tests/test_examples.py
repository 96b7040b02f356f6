"""The example scripts: one as people write them, and its corrected twin, which comes out clean and trains."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from mlrules_mcp.analysis.engine import analyze
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.source import SourceFile

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_the_script_has_its_problems_found() -> None:
    analysis = analyze(SourceFile.from_path(EXAMPLES / "train_reviews.py"), Catalogue())
    assert {finding.check for finding in analysis.findings} >= {
        "backward-without-zero-grad",
        "clip-without-unscale",
        "cuda-only-amp",
        "empty-cache-in-loop",
        "evaluation-without-no-grad",
        "forward-called-directly",
        "hardcoded-cuda",
        "item-in-training-loop",
        "legacy-tensor-constructor",
        "load-without-map-location",
        "loss-kept-with-graph",
        "modules-in-plain-container",
        "no-grad-not-called",
        "numpy-on-device-tensor",
        "softmax-into-cross-entropy",
        "tensor-attribute-not-buffer",
        "tensor-created-on-cpu",
        "tensor-data-attribute",
    }
    assert not analysis.diagnostics


def test_the_corrected_twin_is_clean() -> None:
    analysis = analyze(SourceFile.from_path(EXAMPLES / "train_reviews_fixed.py"), Catalogue())
    assert {finding.check for finding in analysis.findings} <= {"hand-trained-module"}  # advice to use Lightning
    assert analysis.exit_code == 0
    assert not analysis.diagnostics


def test_the_corrected_twin_learns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = {0: "awful broken refund", 1: "lovely sturdy recommend"}
    rows = [f"{label},the {words[label]} thing number {number}" for number in range(64) for label in (0, 1)]
    data = tmp_path / "reviews.csv"
    data.write_text("label,text\n" + "\n".join(rows), encoding="utf-8")
    script = runpy.run_path(str(EXAMPLES / "train_reviews_fixed.py"))
    arguments = [str(data), "--epochs", "4", "--lr", "0.01", "--target", "1.1", "--output", str(tmp_path / "m.pt")]
    history = script["train"](script["make_parser"]().parse_args(arguments))
    assert history[-1] < 0.5 * history[0]
    assert "accuracy 1.000" in capsys.readouterr().out
