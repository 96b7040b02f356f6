from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlrules_mcp.source.notebook import NotANotebook, Notebook


def notebook(*cells: str | list[str], indent: int | None = 1, **more: Any) -> str:
    made = [
        {"cell_type": "code", "execution_count": 1, "metadata": {}, "outputs": [], "source": source} for source in cells
    ]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5, **more}, indent=indent)


def codes(text: str) -> list[str]:
    return [cell.code for cell in Notebook.read(text).parts]


def test_cells_come_in_order_with_their_place_among_all_cells() -> None:
    text = json.dumps(
        {
            "cells": [
                {"cell_type": "markdown", "source": ["# Title"]},
                {"cell_type": "code", "source": ["import torch\n", "x = 1"]},
                {"cell_type": "code", "source": "y = 2"},
            ]
        }
    )
    read = Notebook.read(text)
    assert [(cell.number, cell.code) for cell in read.parts] == [(2, "import torch\nx = 1"), (3, "y = 2")]
    assert read.program == "# %% cell 2\nimport torch\nx = 1\n# %% cell 3\ny = 2\n"


def test_the_older_format_with_worksheets_is_read() -> None:
    text = json.dumps({"worksheets": [{"cells": [{"cell_type": "code", "input": ["x = 1"]}]}], "nbformat": 3})
    assert codes(text) == ["x = 1"]


def test_a_notebook_in_another_language_has_no_cells_for_us() -> None:
    assert codes(notebook("x <- 1", metadata={"kernelspec": {"language": "R", "name": "ir"}})) == []


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"cells": 5}', '{"cells": [5]}', '{"cells": [{"cell_type": "code", "source": 5]}', "nope"],
)
def test_what_is_no_notebook_is_refused(text: str) -> None:
    with pytest.raises(NotANotebook):
        Notebook.read(text)


@pytest.mark.parametrize("source", [None, 5, [5], {}])
def test_a_cell_without_text_is_left_out_and_told(source: object) -> None:
    text = json.dumps({"cells": [{"cell_type": "code", "source": source}, {"cell_type": "code", "source": "x"}]})
    read = Notebook.read(text)
    assert [cell.number for cell in read.parts] == [2]
    assert [(problem.code, problem.cell) for problem in read.problems] == [("cell-without-text", 1)]


@given(
    st.text()
    | st.recursive(st.none() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)).map(json.dumps)
)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        Notebook.read(text)
    except NotANotebook as refused:
        assert str(refused)


@given(st.lists(st.text() | st.lists(st.text(max_size=9), max_size=4), max_size=4), st.sampled_from([None, 1, 2]))
def test_a_program_written_back_unchanged_gives_the_same_text(cells: list[Any], indent: int | None) -> None:
    text = notebook(*cells, indent=indent)
    read = Notebook.read(text)
    assert read.rewritten(read.program) in (text, None)


def test_only_the_changed_cell_differs() -> None:
    text = notebook(["a = 1\n", "b = 2"], ["c = 'ä'\n", "d = 4"], "e = 5")
    read = Notebook.read(text)
    changed = read.rewritten(read.program.replace("d = 4", "d = 40\nd += 1"))
    assert changed is not None
    expected = json.loads(text)
    expected["cells"][1]["source"] = ["c = 'ä'\n", "d = 40\n", "d += 1"]
    assert changed == json.dumps(expected, indent=1)


@pytest.mark.parametrize("indent", [None, 1, 2])
def test_the_layout_of_a_changed_cell_stays(indent: int | None) -> None:
    text = notebook(["a = 1\n", "b = 2"], "c = 3", indent=indent)
    read = Notebook.read(text)
    changed = read.rewritten(read.program.replace("b = 2", "b = 20").replace("c = 3", "c = 30"))
    assert changed == text.replace("b = 2", "b = 20").replace("c = 3", "c = 30")


def test_ipython_lines_are_put_back_into_a_changed_cell() -> None:
    text = notebook("!pip install torch\npass\n%time f(x)\n%time f(x)\nx = 1")
    read = Notebook.read(text)
    changed = read.rewritten(read.program.replace("x = 1", "y = 2\nx = 1"))
    assert changed is not None
    assert json.loads(changed)["cells"][0]["source"] == "!pip install torch\npass\n%time f(x)\n%time f(x)\ny = 2\nx = 1"


def test_a_change_of_a_timed_statement_is_written() -> None:
    text = notebook("!ls\n%time f(x)\n%timeit   f(x)  # twice")
    read = Notebook.read(text)
    changed = read.rewritten(read.program.replace("f(x)", "g(y)"))
    assert changed == text.replace("f(x)", "g(y)")


def test_a_cell_keeps_the_indentation_that_ipython_takes_away() -> None:
    text = notebook("  x = 1\n\n  if x:\n    y = 2")
    read = Notebook.read(text)
    changed = read.rewritten(read.program.replace("y = 2", "y = 3\n  z = 4"))
    assert changed == text.replace("    y = 2", "    y = 3\\n    z = 4")


@pytest.mark.parametrize("change", [("pass", "stop"), ("    pass  #%1\n", ""), ("%1", "%7"), ("if 1:", "if 2:")])
def test_a_change_of_a_line_that_stands_for_ipython_is_not_written(change: tuple[str, str]) -> None:
    read = Notebook.read(notebook("while x:\n    !ls\n%time f(x)"))
    assert change[0] in read.program
    assert read.rewritten(read.program.replace(*change)) is None


def test_a_program_whose_cells_cannot_be_told_apart_is_not_written() -> None:
    read = Notebook.read(notebook("x = 1", "y = 2"))
    assert read.rewritten(read.program.replace("# %% cell 2\n", "")) is None


@pytest.mark.parametrize(
    ("block", "written"),
    [
        ("    y = 1\n    g(x)  #%1", "y = 1\n%time g(x)"),
        ("    g(x)  #%1\n    y = 1\n    z = 2", "%time g(x)\ny = 1\nz = 2"),
        ("    y = 1\n    g(x,\n      y)  #%1", None),
    ],
)
def test_what_a_fix_puts_beside_a_timed_statement_stands_around_it(block: str, written: str | None) -> None:
    text = notebook("!ls\n%time f(x)\na = 1")
    read = Notebook.read(text)
    changed = read.rewritten(read.program.replace("if 1: f(x)  #%1", f"if 1:\n{block}"))
    assert changed == (written and text.replace("%time f(x)", written.replace("\n", "\\n")))
