from __future__ import annotations

import json
from typing import Any

from mlrules_mcp.source import Module, SourceFile
from mlrules_mcp.source.saved import saved_cells, written_lines


def module_of(text: str, path: str = "a.ipynb") -> Module:
    return Module(SourceFile.from_text(text, path))


def notebook(*cells: dict[str, Any], **more: Any) -> Module:
    return module_of(json.dumps({"cells": cells, "metadata": {}, **more}))


def code(source: str | list[str], *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "outputs": list(outputs)}


def test_cells_come_with_their_place_among_all_and_with_what_they_have_shown() -> None:
    module = notebook(
        {"cell_type": "markdown", "source": "# Title"},
        code(
            ["!ls\n", "x"],
            {"output_type": "stream", "name": "stdout", "text": ["one\n", "two\n"]},
            {"output_type": "execute_result", "data": {"text/plain": "3", "text/html": ["<b>", "3</b>"]}},
        ),
    )
    (cell,) = saved_cells(module)
    assert (cell.number, cell.lines, cell.outputs) == (2, ["!ls", "x"], ["one\ntwo\n", "3", "<b>3</b>"])


def test_pictures_are_no_text_and_tracebacks_are_without_their_colours() -> None:
    module = notebook(
        code(
            "f()",
            {"output_type": "display_data", "data": {"image/png": "aGVsbG8="}},
            {"output_type": "error", "ename": "E", "evalue": "no", "traceback": ["\x1b[0;31mE\x1b[0m: no", "end"]},
        )
    )
    (cell,) = saved_cells(module)
    assert cell.outputs == ["E: no\nend\n"]


def test_the_older_format_has_outputs_beside_their_kind() -> None:
    cell = {
        "cell_type": "code",
        "input": ["x"],
        "outputs": [{"output_type": "pyout", "text": ["1"], "html": "<i>1</i>"}],
    }
    text = json.dumps({"worksheets": [{"cells": [cell]}], "nbformat": 3})
    (saved,) = saved_cells(module_of(text))
    assert saved.outputs == ["1", "<i>1</i>"]


def test_the_head_of_a_cell_is_its_first_line_of_code() -> None:
    (cell,) = saved_cells(notebook(code("\n# read\nimport torch\nx = 1")))
    assert (cell.head.cell, cell.head.line, cell.head.column, cell.head.end_column) == (1, 3, 1, 13)


def test_a_notebook_in_another_language_and_a_script_have_no_saved_cells() -> None:
    assert saved_cells(notebook(code("x <- 1"), metadata={"kernelspec": {"language": "R"}})) == []
    assert saved_cells(module_of("x = 1", "a.py")) == []


def test_what_follows_the_end_of_a_notebook_does_not_raise() -> None:
    text = json.dumps({"cells": [code("x")], "metadata": {}})
    assert saved_cells(module_of(text + " more")) == []


def test_written_lines_have_shell_lines_and_magics_with_their_place() -> None:
    lines = list(written_lines(notebook(code("!wandb login x\nimport wandb"))))
    assert [(place.cell, place.line, text) for place, text in lines] == [
        (1, 1, "!wandb login x"),
        (1, 2, "import wandb"),
    ]


def test_written_lines_of_a_snippet_count_from_its_own_first_line() -> None:
    lines = list(written_lines(module_of("    x = 1\r\n    y = 2", "a.py")))
    assert [(place.line, place.end_column, text) for place, text in lines] == [
        (1, 10, "    x = 1"),
        (2, 10, "    y = 2"),
    ]


def test_the_head_of_a_cell_of_comments_is_the_first_of_them() -> None:
    (cell,) = saved_cells(notebook(code("\n# nothing\n# here")))
    assert (cell.head.line, cell.head.end_column) == (2, 10)
