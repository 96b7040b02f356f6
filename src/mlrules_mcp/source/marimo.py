"""marimo notebooks: functions whose names flow between them, as the one program that they are.

In a marimo notebook (https://docs.marimo.io) a cell is a function under `@app.cell`: its parameters are the names it
reads from other cells, it returns those it gives to them, and it runs after those it reads from, wherever it stands.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

from mlrules_mcp.source.ipython import is_python
from mlrules_mcp.source.layout import Layout, split_lines
from mlrules_mcp.source.marimo_cells import Cell, is_cell, with_signatures

_MARK = "marimo.App("


class Marimo(Layout):
    """A marimo notebook; its cells come in the order in which they run."""

    def __init__(self, text: str, order: Sequence[int] = ()) -> None:
        self.text = text
        self._order = order  # the indices of the text's outermost statements as they run; empty where it is the same

    @classmethod
    def read(cls, text: str) -> Marimo | None:
        """The notebook in a text; None for other Python."""
        if _MARK not in text:
            return None
        if not is_python(text) or not text.endswith(("\n", "\r")):
            return cls(text)
        statements = ast.parse(text).body
        order = _running_order(statements)
        return cls(text, order if order != sorted(order) else ())

    @cached_property
    def program(self) -> str:
        """The text with its cells in the order in which they run."""
        if not self._order:
            return self.text
        head, pieces = _pieces(self.text)
        return head + "".join(pieces[index] for index in self._order)

    @cached_property
    def _lines(self) -> list[int]:
        """For each line of the program its line in the text; empty where they are the same."""
        if not self._order:
            return []
        starts = _starts(self.text)
        first, *_ = starts
        moved = [line for index in self._order for line in range(starts[index], starts[index + 1])]
        return [*range(1, first), *moved]

    def place(self, line: int) -> tuple[int | None, int]:
        """The line of the text of a line of the program (from 1)."""
        return None, self._lines[line - 1] if 0 < line <= len(self._lines) else line

    def line(self, cell: int | None, line: int) -> int:
        """The line of the program of a line of the text (both from 1)."""
        return self._lines.index(line) + 1 if line in self._lines else line

    def arrange(self, tree: ast.Module) -> None:
        """Let the code of the cells stand where the functions around it do: all of them share their names."""
        body: list[ast.stmt] = []
        for statement in tree.body:
            if is_cell(statement):
                body += [inner for inner in statement.body if not isinstance(inner, ast.Return)]
            else:
                body.append(statement)
        tree.body = body

    def rewritten(self, program: str) -> str | None:
        """The notebook's text for a changed program; parameters and returned names follow what the cells use now."""
        if not is_python(program):
            return None
        program = with_signatures(self.program, program)
        if not self._order:
            return program
        head, pieces = _pieces(program)
        if len(pieces) != len(self._order):
            return None
        return head + "".join(pieces[self._order.index(index)] for index in range(len(pieces)))


def _starts(text: str) -> list[int]:
    """The lines that the outermost statements start on, decorators being part of them, and the one behind all."""
    starts = [
        min([statement.lineno, *(decorator.lineno for decorator in getattr(statement, "decorator_list", ()))])
        for statement in ast.parse(text).body
    ]
    return [*starts, len(split_lines(text))]


def _pieces(text: str) -> tuple[str, list[str]]:
    """What stands before the first statement of a text, and its outermost statements with what follows each."""
    lines = [line + end for line, end in split_lines(text)]
    starts = _starts(text)
    return "".join(lines[: starts[0] - 1]), ["".join(lines[a - 1 : b - 1]) for a, b in pairwise(starts)]


def _running_order(statements: Sequence[ast.stmt]) -> list[int]:
    """The indices of statements as they run: each cell behind those it reads from, all else as it stands."""
    cells = {index: Cell.of(statement) for index, statement in enumerate(statements) if is_cell(statement)}
    givers = {name: index for index, cell in cells.items() for name in cell.given}
    order: dict[int, None] = {}
    begun: set[int] = set()
    for index in range(len(statements)):
        waiting = [index]
        while waiting:
            current = waiting[-1]
            before: list[int] = []
            if current not in begun:  # cells that read from each other in a circle stay as they stand
                begun.add(current)
                taken = cells[current].taken if current in cells else ()
                before = [givers[name] for name in taken if name in givers and givers[name] not in begun]
                waiting += reversed(before)
            if not before:
                order.setdefault(waiting.pop())
    return list(order)
