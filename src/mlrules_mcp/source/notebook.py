"""Jupyter notebooks as one program: cells in order, IPython's own syntax out of the way, and back again.

The JSON text is cut, never parsed and dumped, so that everything but a changed cell stays as it is to the byte.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Any

from mlrules_mcp.patterns import pattern

_SPACE = pattern(r"[ \t\r\n]*")
_SEPARATOR = "# %% cell "
_SEPARATOR_LINE = pattern(r"^# %% cell (\d+)\n", re.MULTILINE)

# Cell magics after which the cell is still Python; after any other the cell is something else.
_PYTHON_CELL_MAGICS = frozenset({"time", "timeit", "capture", "prun", "memit", "mprun", "lprun"})
_CELL_MAGIC = pattern(r"\s*%%(\w+)")
# `%time statement` runs the statement: `if 1:` of the same width keeps its columns.
_TIMED = pattern(r"^(\s*)(%time(?:it)?\s+)(?![-\s])(.+)$")
_ASSIGNED = pattern(r"^(\s*[\w.\[\], ]+=\s*)([!%]\S.*)$")
_MAGIC = pattern(r"^\s*(%|!|\?{1,2}\w)|\?{1,2}\s*$")


class NotANotebook(ValueError):
    """The text is no notebook with cells; the message says where it stops being one."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A code cell.

    Attributes:
        number: its place among all cells of the notebook, from 1.
        source: its text.
        span: where the JSON value of its source lies in the notebook's text.
        code: the text as plain Python, line by line of the same length or replaced as a whole.
        replaced: for each line that is not Python in the text, its index from 0, and what stands for it in `code`.
    """

    number: int
    source: str
    span: tuple[int, int]
    code: str
    replaced: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Notebook:
    """A notebook's text and its code cells in order."""

    text: str
    cells: tuple[Cell, ...]

    @classmethod
    def read(cls, text: str) -> Notebook:
        """The notebook in a JSON text, format 3 or 4.

        Raises:
            NotANotebook: the text is not JSON, or holds no list of cells.
        """
        language = "python"
        cells: list[Cell] = []
        number = 0
        try:
            for key, start, _ in _members(text, _skip(text, 0)):
                if key == "metadata":
                    language = _language(json.JSONDecoder().raw_decode(text, start)[0]) or language
                for cell_start in _cells(text, key, start):
                    number += 1
                    if (cell := _code_cell(text, cell_start, number)) is not None:
                        cells.append(cell)
        except json.JSONDecodeError as error:
            raise NotANotebook(f"it is not JSON: {error.msg} at line {error.lineno}") from None
        except (_UnexpectedJson, RecursionError):
            raise NotANotebook("it holds no list of cells with their sources") from None
        if number == 0 and '"cells"' not in text:
            raise NotANotebook("it holds no list of cells with their sources")
        return cls(text, tuple(cells) if language.lower() in {"python", "python3", "ipython"} else ())

    @property
    def program(self) -> str:
        """All cells as one program; a comment with the cell's number stands before each."""
        return "".join(f"{_SEPARATOR}{cell.number}\n{cell.code}\n" for cell in self.cells)

    def place(self, line: int) -> tuple[int, int]:
        """The number of the cell, and the line in it, of a line of the program (from 1)."""
        index = max(bisect_right(self._starts, line) - 1, 0)
        return self.cells[index].number, max(line - self._starts[index], 1)

    @cached_property
    def _starts(self) -> list[int]:
        """The lines of the program on which the comments before the cells stand."""
        lengths = (cell.code.count("\n") + 2 for cell in self.cells)
        return list(accumulate(lengths, initial=1))[:-1]

    def line(self, number: int, line: int) -> int:
        """The line of the program of a line in the cell with a number (both from 1)."""
        index = next(index for index, cell in enumerate(self.cells) if cell.number == number)
        return self._starts[index] + line

    def rewritten(self, program: str) -> str | None:
        """The notebook's text with the cells of a changed program; all else is as it was, to the byte.

        None where the program's cells can't be told apart any more, or a line that is not Python was changed.
        """
        parts = _SEPARATOR_LINE.split(program)
        sources = dict(zip(map(int, parts[1::2]), parts[2::2], strict=True))
        if parts[0].strip() or list(sources) != [cell.number for cell in self.cells]:
            return None
        text = self.text
        for cell in reversed(self.cells):
            code = sources[cell.number].removesuffix("\n")
            if code == cell.code:
                continue
            source = _with_magics(cell, code)
            if source is None:
                return None
            start, end = cell.span
            text = text[:start] + _dumped(source, text[start:end], ascii_only=self.text.isascii()) + text[end:]
        return text


class _UnexpectedJson(Exception):
    pass


def _skip(text: str, index: int) -> int:
    match = _SPACE.match(text, index)
    return match.end() if match else index


def _members(text: str, index: int) -> Iterator[tuple[str, int, int]]:
    """The keys of the object at an index, each with the start and end of its value."""
    if text[index : index + 1] != "{":
        raise _UnexpectedJson
    decoder = json.JSONDecoder()
    index = _skip(text, index + 1)
    while text[index : index + 1] == '"':
        key, index = decoder.raw_decode(text, index)
        index = _skip(text, index)
        if text[index : index + 1] != ":":
            raise json.JSONDecodeError("Expecting ':' delimiter", text, index)
        start = _skip(text, index + 1)
        _, end = decoder.raw_decode(text, start)
        yield key, start, end
        index = _skip(text, end)
        if text[index : index + 1] == ",":
            index = _skip(text, index + 1)
    if text[index : index + 1] != "}":
        raise json.JSONDecodeError("Expecting property name or '}'", text, index)


def _items(text: str, index: int) -> Iterator[int]:
    """The starts of the items of the list at an index."""
    if text[index : index + 1] != "[":
        raise _UnexpectedJson
    decoder = json.JSONDecoder()
    index = _skip(text, index + 1)
    while text[index : index + 1] not in ("]", ""):
        yield index
        _, index = decoder.raw_decode(text, index)
        index = _skip(text, index)
        if text[index : index + 1] == ",":
            index = _skip(text, index + 1)


def _cells(text: str, key: str, start: int) -> Iterator[int]:
    """The starts of the cells under a member of the notebook: format 4 has them directly, format 3 in worksheets."""
    if key == "cells":
        yield from _items(text, start)
    elif key == "worksheets":
        for worksheet in _items(text, start):
            for name, cells, _ in _members(text, worksheet):
                if name == "cells":
                    yield from _items(text, cells)


def _language(metadata: Any) -> str | None:
    match metadata:
        case {"language_info": {"name": str() as name}} | {"kernelspec": {"language": str() as name}}:
            return name
    return None


def _code_cell(text: str, start: int, number: int) -> Cell | None:
    decoder = json.JSONDecoder()
    kind, span, source = None, None, None
    for key, value_start, value_end in _members(text, start):
        if key == "cell_type":
            kind = decoder.raw_decode(text, value_start)[0]
        elif key in ("source", "input"):
            span, source = (value_start, value_end), decoder.raw_decode(text, value_start)[0]
    if kind != "code" or span is None:
        return None
    match source:
        case str():
            return _plain_cell(number, source, span)
        case list() if all(isinstance(line, str) for line in source):
            return _plain_cell(number, "".join(source), span)
    raise _UnexpectedJson


def _plain_cell(number: int, source: str, span: tuple[int, int]) -> Cell:
    whole = Cell(number, source, span, source, ())
    if _is_python(source):
        return whole
    lines = source.split("\n")
    first = next((line for line in lines if line.strip()), "")
    if (magic := _CELL_MAGIC.match(first)) and magic[1] not in _PYTHON_CELL_MAGICS:
        replaced = tuple((index, "") for index in range(len(lines)))
        return replace(whole, code="\n" * (len(lines) - 1), replaced=replaced)
    stand_ins = list(_stand_ins(lines))
    for index, code in stand_ins:
        lines[index] = code
    return replace(whole, code="\n".join(lines), replaced=tuple(stand_ins))


def _is_python(source: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _stand_ins(lines: list[str]) -> Iterator[tuple[int, str]]:
    """For each line in IPython's own syntax: its index, and Python that stands for it."""
    continued = False
    for index, line in enumerate(lines):
        indent = line[: len(line) - len(line.lstrip())]
        if continued:
            yield index, ""
        elif match := _TIMED.match(line):
            yield index, f"{match[1]}{'if 1'.ljust(len(match[2]) - 2)}: {match[3]}"
            continue
        elif match := _ASSIGNED.match(line):
            yield index, f"{match[1]}None"
        elif _CELL_MAGIC.match(line):
            yield index, ""
        elif _MAGIC.search(line) and not line.lstrip().startswith("#"):
            yield index, f"{indent}pass"
        else:
            continue
        continued = line.rstrip().endswith("\\")


def _with_magics(cell: Cell, code: str) -> str | None:
    """A cell's changed code with its IPython lines back in place; None where one of them was changed or moved."""
    if not cell.replaced:
        return code
    if not cell.code.strip():
        return None
    originals, old, new = (text.split("\n") for text in (cell.source, cell.code, code))
    result = list(new)
    replaced = {index for index, _ in cell.replaced}
    for stand_in in {text for _, text in cell.replaced}:
        old_places = [index for index, line in enumerate(old) if line == stand_in]
        new_places = [index for index, line in enumerate(new) if line == stand_in]
        if len(old_places) != len(new_places):
            return None
        for before, now in zip(old_places, new_places, strict=True):
            if before in replaced:
                result[now] = originals[before]
    return "\n".join(result)


def _dumped(source: str, old: str, *, ascii_only: bool) -> str:
    """A cell's source as JSON in the layout that the old value had."""

    def dump(value: str) -> str:
        return json.dumps(value, ensure_ascii=ascii_only)

    if not old.startswith("["):
        return dump(source)
    lines = source.splitlines(keepends=True)
    inner = old[1:-1]
    before = inner[: len(inner) - len(inner.lstrip())]
    after = inner[len(inner.rstrip()) :]
    if not inner.strip() or not lines:
        return json.dumps(lines, ensure_ascii=ascii_only)
    separator = f",{before}" if "\n" in before else ", "
    return "[" + before + separator.join(map(dump, lines)) + after + "]"
