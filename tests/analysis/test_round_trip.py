"""Notebooks of every make are written back as they were, but for the cells that a fix changes."""

from __future__ import annotations

import ast
import copy
import itertools
import json
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from mlrules_mcp.analysis.fixes import fix
from mlrules_mcp.findings import Fix, InsertBefore, Replace, Span
from mlrules_mcp.source import Module, SourceFile
from tests.analysis.support import call_finder, catalogue_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import nbformat

PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGD4DwABBAEAX+XDSwAAAABJRU5ErkJggg=="
CODE = (
    '%matplotlib inline\nimport torch\n# größer € 😀 \\ "quoted" \t\n',
    "",
    "for x in xs:\n    f(x)  # f\n!ls\n\n",
    "%%bash\nls\n",
    "%time f(x)",
    "y = '\\u00e9'\n",
)


class Kind(NamedTuple):
    """How a notebook is written."""

    minor: int = 5
    as_list: bool = True
    indent: int | str | None = 1
    ascii_only: bool = False
    line_end: str = "\n"
    last: str = "\n"
    sort_keys: bool = True

    def text(self, cells: list[dict[str, Any]]) -> str:
        """The notebook's JSON."""
        if self.minor < 0:
            data: dict[str, Any] = {
                "metadata": {"name": "x"},
                "nbformat": 3,
                "nbformat_minor": 0,
                "worksheets": [{"cells": cells, "metadata": {}}],
            }
        else:
            metadata = {"kernelspec": {"display_name": "P", "language": "python", "name": "python3"}}
            data = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": self.minor}
        separators = (",", ":") if self.indent is None and self.ascii_only else None
        text = json.dumps(
            data, indent=self.indent, ensure_ascii=self.ascii_only, sort_keys=self.sort_keys, separators=separators
        )
        return text.replace("\n", self.line_end) + self.last

    def lines(self, source: str) -> str | list[str]:
        """A source as this kind writes it."""
        return source.splitlines(keepends=True) if self.as_list else source

    def cells(self) -> list[dict[str, Any]]:
        """Cells of all types."""
        if self.minor < 0:
            return [self._old_cell(source) for source in CODE]
        made: list[dict[str, Any]] = [
            {"cell_type": "markdown", "metadata": {}, "source": self.lines("# Ü\n![a](attachment:a.png)")},
            {"cell_type": "raw", "metadata": {}, "source": self.lines("f(x)\n")},
        ]
        if self.minor:
            made[0]["attachments"] = {"a.png": {"image/png": PICTURE}}
        made += [
            {
                "cell_type": "code",
                "execution_count": number,
                "metadata": {"tags": ["f(x)"]},
                "outputs": [
                    {"name": "stdout", "output_type": "stream", "text": self.lines("f(x)\nü\n")},
                    {
                        "data": {"image/png": PICTURE, "text/plain": self.lines("<Figure>\n f(x)")},
                        "execution_count": number,
                        "metadata": {},
                        "output_type": "execute_result",
                    },
                ],
                "source": self.lines(source),
            }
            for number, source in enumerate(CODE)
        ]
        for number, cell in enumerate(made):
            if self.minor >= 5:
                cell["id"] = f"cell-{number}"
        return made

    def _old_cell(self, source: str) -> dict[str, Any]:
        return {
            "cell_type": "code",
            "collapsed": False,
            "input": self.lines(source),
            "language": "python",
            "metadata": {},
            "outputs": [],
        }


def kinds() -> Iterator[Kind]:
    for minor, as_list in itertools.product((-1, 0, 1, 2, 3, 4, 5), (True, False)):
        yield Kind(minor, as_list)
    for as_list, indent, ascii_only, line_end in itertools.product(
        (True, False), (None, 0, 1, 2, "\t"), (True, False), ("\n", "\r\n")
    ):
        yield Kind(5, as_list, indent, ascii_only, line_end, "" if line_end == "\n" else line_end, not ascii_only)


KINDS = list(dict.fromkeys(kinds()))


def replace(node: ast.Call, module: Module) -> Fix | None:
    return Fix("safe", "Replace it.", (Replace(Span.of(node), "g(x)"),))


def insert(node: ast.Call, module: Module) -> Fix | None:
    span = Span.of(module.statement(node))
    return Fix("safe", "Put more there.", (Replace(Span.of(node), "g(x)"), InsertBefore(span, "z = 'ß'\nw = z")))


@pytest.mark.parametrize("kind", KINDS)
def test_a_notebook_without_a_change_is_identical(kind: Kind) -> None:
    data = kind.text(kind.cells()).encode()
    source = SourceFile.from_bytes(data, "explore.ipynb")
    assert Module(source).diagnostics == []
    assert source.encode(source.text_of(source.code)) == data


@pytest.mark.parametrize("kind", KINDS)
def test_a_fix_changes_its_cells_alone_and_the_notebook_stays_valid(kind: Kind) -> None:
    cells = kind.cells()
    text = kind.text(cells)
    nbformat.validate(json.loads(text))
    fixed = fix(SourceFile.from_text(text, "explore.ipynb"), catalogue_of(call_finder("f", replace)))
    assert fixed.analysis.findings == ()
    expected = copy.deepcopy(cells)
    for cell in expected[2:] if kind.minor >= 0 else expected:
        key = "source" if kind.minor >= 0 else "input"
        code = "".join(cell[key]).replace("f(x)", "g(x)")
        cell[key] = kind.lines(code)
    assert fixed.source.text == kind.text(expected)
    nbformat.validate(json.loads(fixed.source.text))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.minor == 5])
def test_lines_that_a_fix_adds_are_written_as_the_others(kind: Kind) -> None:
    cells = kind.cells()
    fixed = fix(SourceFile.from_text(kind.text(cells), "explore.ipynb"), catalogue_of(call_finder("f", insert)))
    expected = copy.deepcopy(cells)
    expected[4]["source"] = kind.lines("for x in xs:\n    z = 'ß'\n    w = z\n    g(x)  # f\n!ls\n\n")
    expected[6]["source"] = kind.lines("z = 'ß'\nw = z\n%time g(x)")
    assert fixed.source.text == kind.text(expected)
