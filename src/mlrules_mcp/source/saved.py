"""What a source holds beside its code: comments, shell lines, and what a notebook's cells have shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from mlrules_mcp.findings import Location
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source.module import Module
from mlrules_mcp.source.reading import SourceFile

_LINE_END = pattern(r"\r\n|\r|\n")
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_SHOWN_AS_TEXT = ("text/plain", "text/html", "text/markdown")


class SavedCell(NamedTuple):
    """A code cell as the notebook's file has it.

    Attributes:
        number: its place among all cells of the notebook, from 1.
        lines: its text, with shell lines and magics.
        outputs: what its saved outputs show as text or HTML: printed lines, values, tables, tracebacks.
    """

    number: int
    lines: list[str]
    outputs: list[str]

    @property
    def head(self) -> Location:
        """The first line of code: the place to report what the cell has shown."""
        numbered = [(number, line) for number, line in enumerate(self.lines, start=1) if line.strip()]
        code = [(number, line) for number, line in numbered if not line.lstrip().startswith("#")]
        number, line = next(iter(code or numbered), (1, ""))
        return Location(number, 1, number, max(len(line), 1) + 1, self.number)


def written_lines(module: Module) -> Iterator[tuple[Location, str]]:
    """Every line of a source as it was written, with its place; of a notebook those of its code cells."""
    if not module.source.path.endswith(".ipynb"):
        for number, line in enumerate(_LINE_END.split(module.source.text), start=1):
            yield Location(number, 1, number, len(line) + 1), line
        return
    for cell in saved_cells(module):
        for number, line in enumerate(cell.lines, start=1):
            yield Location(number, 1, number, len(line) + 1, cell.number), line


def written_text(module: Module) -> str:
    """All text of a source as it was written; of a notebook that of its code cells, without what they have shown."""
    if not module.source.path.endswith(".ipynb"):
        return module.source.text
    return "\n".join(line for cell in saved_cells(module) for line in cell.lines)


def saved_cells(module: Module) -> list[SavedCell]:
    """The code cells of a Jupyter notebook in Python, format 3 or 4; none of anything else."""
    return module.fact(_saved_cells)


def prose_cells(module: Module) -> list[tuple[int, str]]:
    """The texts between the code cells of a Jupyter notebook in Python, each with its place among all cells, from 1."""
    return [
        (number, _joined(cell.get("source")))
        for number, cell in _numbered_cells(module.source)
        if isinstance(cell, dict) and cell.get("cell_type") in ("markdown", "heading")
    ]


def _saved_cells(module: Module) -> list[SavedCell]:
    return list(_read_cells(module.source))


def _numbered_cells(source: SourceFile) -> Iterator[tuple[int, Any]]:
    if not source.path.endswith(".ipynb") or not source.code:
        return
    try:
        notebook = json.loads(source.text)
    except ValueError:  # what follows the notebook's end is not looked at by who reads its code
        return
    yield from enumerate(_cells(notebook), start=1)


def _read_cells(source: SourceFile) -> Iterator[SavedCell]:
    for number, cell in _numbered_cells(source):
        match cell:
            case {"cell_type": "code", "source": text} | {"cell_type": "code", "input": text}:
                outputs = cell.get("outputs") or ()
                shown = [_joined(text) for output in outputs for text in _texts(output)]
                yield SavedCell(number, _joined(text).split("\n"), list(filter(None, shown)))


def _cells(notebook: Any) -> Iterator[Any]:
    match notebook:
        case {"cells": [*cells]}:
            yield from cells
        case {"worksheets": [*worksheets]}:
            for worksheet in worksheets:
                yield from worksheet.get("cells", ())


def _texts(output: Any) -> Iterator[Any]:
    """The texts of one output: format 4 has those of results under `data`, format 3 beside their kind."""
    match output:
        case {"data": {**data}}:
            yield from (data.get(kind) for kind in _SHOWN_AS_TEXT)
        case {"traceback": [*lines]}:
            yield [f"{line}\n" for line in lines]
        case {**parts}:
            yield from (parts.get(kind) for kind in ("text", "html"))


def _joined(text: Any) -> str:
    """A text that may be saved as a list of lines, without the colours of a terminal."""
    if isinstance(text, list):
        text = "".join(line for line in text if isinstance(line, str))
    return _ESCAPE.sub("", text) if isinstance(text, str) else ""
