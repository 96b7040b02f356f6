"""Leaks planted in the ways people plant them are told apart from the same work done right."""

from __future__ import annotations

import json
from textwrap import dedent

import pytest

from mlrules_mcp.analysis.engine import analyze
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import SourceFile
from tests.leakage import afterwards, choices, encoding, folds, overlap, parts, preprocessing, refits, targets
from tests.leakage.pair import Pair

MODULES = (preprocessing, afterwards, encoding, folds, refits, overlap, targets, choices, parts)
PAIRS: tuple[Pair, ...] = tuple(pair for module in MODULES for pair in module.PAIRS)
CHECKS = Catalogue().narrowed(
    [
        "sklearn_rules.data_leakage_prevention",
        "transformer-refitted-for-prediction",
        "tuned-on-test",
        "train_val_test_split",
    ]
)


def text_of(script: str) -> str:
    return dedent(script).lstrip("\n")


def as_notebook(script: str) -> SourceFile:
    """A script as a notebook with a cell for each part that `# %%` begins."""
    cells = [part.strip("\n") for part in text_of(script).split("# %%\n")]
    notebook = {
        "cells": [
            {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": cell}
            for cell in cells
        ],
        "metadata": {"language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return SourceFile.from_text(json.dumps(notebook), "train.ipynb")


def leaks(source: SourceFile) -> list[Finding]:
    analysis = analyze(source, CHECKS)
    assert not analysis.diagnostics
    return [finding for finding in analysis.findings if finding.severity != "advice"]


@pytest.mark.parametrize("pair", [pytest.param(pair, id=pair.name) for pair in PAIRS])
def test_a_planted_leak_is_found_where_it_starts(pair: Pair) -> None:
    text = text_of(pair.leaky)
    found = leaks(SourceFile.from_text(text, "train.py"))
    assert {finding.check for finding in found} == {pair.check}
    planted = {number for number, line in enumerate(text.splitlines(), start=1) if line.endswith("# LEAK")}
    places = {place.line for finding in found for place in (finding.location, *finding.also_at)}
    starts = {line for line in planted if not any(abs(line - place) <= 2 for place in places)}
    assert planted
    assert not starts


@pytest.mark.parametrize("pair", [pytest.param(pair, id=pair.name) for pair in PAIRS])
def test_the_same_work_done_right_is_silent(pair: Pair) -> None:
    assert leaks(SourceFile.from_text(text_of(pair.clean), "train.py")) == []


@pytest.mark.parametrize("pair", [pytest.param(pair, id=pair.name) for pair in PAIRS if "# %%" in pair.leaky])
def test_a_notebook_is_told_apart_as_a_script_is(pair: Pair) -> None:
    assert {finding.check for finding in leaks(as_notebook(pair.leaky))} == {pair.check}
    assert leaks(as_notebook(pair.clean)) == []


def test_there_are_thirty_of_each() -> None:
    assert len({pair.leaky for pair in PAIRS}) >= 30
    assert len({pair.clean for pair in PAIRS}) >= 30
