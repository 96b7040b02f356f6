from __future__ import annotations

import json
from textwrap import dedent

from mlrules_mcp.analysis.changes import Changes, changes
from mlrules_mcp.analysis.engine import analyze
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.source import SourceFile

CATALOGUE = Catalogue()
BEFORE = """\
import torch

def load():
    state = torch.load("model.pt")
    return state

def evaluate(model, x):
    with torch.no_grad:
        return model(x)
"""


def compare(before: str, after: str, name: str = "train.py") -> Changes:
    sources = [SourceFile.from_text(dedent(text), name) for text in (before, after)]
    old, new = ((source, analyze(source, CATALOGUE)) for source in sources)
    return changes(old, new)


def new_places(found: Changes) -> list[tuple[str, int]]:
    return [
        (finding.check, place.line) for finding in found.new.findings for place in (finding.location, *finding.also_at)
    ]


def test_nothing_is_new_in_the_same_text() -> None:
    found = compare(BEFORE, BEFORE)
    assert (new_places(found), found.unchanged, found.resolved) == ([], 2, 0)


def test_a_mistake_that_was_written_is_new_and_those_below_it_are_not() -> None:
    after = BEFORE.replace("import torch\n", "import torch\nfirst = torch.load('model.pt')\n# a comment\n")
    found = compare(BEFORE, after)
    assert new_places(found) == [("load-without-map-location", 2)]
    assert (found.unchanged, found.resolved) == (2, 0)


def test_a_mistake_that_was_mended_is_resolved() -> None:
    found = compare(BEFORE, BEFORE.replace("no_grad:", "no_grad():"))
    assert (new_places(found), found.unchanged, found.resolved) == ([], 1, 1)


def test_a_function_that_was_moved_is_as_before() -> None:
    head, load, evaluate = BEFORE.split("\ndef ")
    found = compare(BEFORE, f"{head}\ndef {evaluate}\ndef {load}")
    assert (new_places(found), found.unchanged, found.resolved) == ([], 2, 0)


def test_code_that_was_indented_is_as_before() -> None:
    body = "\n".join(f"    {line}" if line else line for line in BEFORE.splitlines()[2:])
    found = compare(BEFORE, f"import torch\nclass Tools:\n{body}\n")
    assert (new_places(found), found.unchanged) == ([], 2)


def test_a_line_that_was_rewritten_with_its_mistake_is_as_before() -> None:
    found = compare(BEFORE, BEFORE.replace('load("model.pt")', 'load("other.pt")'))
    assert (new_places(found), found.unchanged, found.resolved) == ([], 2, 0)


def test_the_same_mistake_once_more_in_the_same_function_is_told_with_its_place_alone() -> None:
    mistake = '    state = torch.load("model.pt")\n'
    found = compare(BEFORE, BEFORE.replace(mistake, f"    old = 1\n{mistake}{mistake}"))
    assert [line for _, line in new_places(found)] in ([5], [6])
    assert found.unchanged == 2


def test_a_copied_line_is_new_once() -> None:
    before = "import torch\nstate = torch.load('model.pt')\n"
    found = compare(before, before + "b = 1\nstate = torch.load('model.pt')\n")
    assert new_places(found) == [("load-without-map-location", 4)]


def test_cells_of_a_notebook_may_be_moved() -> None:
    def notebook(*cells: str) -> str:
        return json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells], "nbformat": 4})

    one, other = "import torch\nstate = torch.load('model.pt')", "x = 1\nwith torch.no_grad:\n    x"
    found = compare(notebook(one, other), notebook("y = 2", one, "z = 3", other), "a.ipynb")
    assert (new_places(found), found.unchanged) == ([], 2)


def test_long_files_are_compared_by_their_lines_text_alone() -> None:
    filler = "".join(f"a{number} = {number}\n" for number in range(5_000))
    other = "".join(f"b{number} = {number}\n" for number in range(5_000))
    mistake = "state = torch.load('model.pt')\n"
    found = compare(f"import torch\n{filler}{mistake}x = 1\n", f"import torch\n{mistake}{other}y = 1\n")
    assert (new_places(found), found.unchanged) == ([], 1)
