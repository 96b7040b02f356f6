"""Jupyter notebooks as one program: cells in order, IPython's own syntax out of the way, and back again.

The JSON text is cut, never parsed and dumped, so that everything but a changed cell stays as it is to the byte.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from mlrules_mcp.patterns import pattern
from mlrules_mcp.source.ipython import plain_lines
from mlrules_mcp.source.layout import Part, Parts, Problem, split_lines

_SPACE = pattern(r"[ \t\r\n]*")
_SURROGATE = pattern(r"[\ud800-\udfff]")
_PYTHON = frozenset({"python", "python2", "python3", "ipython", "ipython3", "pyspark", "sage"})


class NotANotebook(ValueError):
    """The text is no notebook with cells; the message says where it stops being one."""


class _Cell(NamedTuple):
    """A code cell, and where the JSON value of its source lies in the notebook's text."""

    part: Part
    span: tuple[int, int]


class Notebook(Parts):
    """A notebook's text and its code cells in order, numbered by their places among all cells.

    Attributes:
        spans: for each part, where the JSON value of its source lies in the text.
    """

    def __init__(self, text: str, cells: Sequence[_Cell] = (), problems: tuple[Problem, ...] = ()) -> None:
        self.text = text
        self.parts = [cell.part for cell in cells]
        self.spans = [cell.span for cell in cells]
        self.problems = problems

    @classmethod
    def read(cls, text: str) -> Notebook:
        """The notebook in a JSON text, format 3 or 4. One that is not in Python has no cells, and a problem.

        Raises:
            NotANotebook: the text is not JSON, or holds no list of cells.
        """
        language = "python"
        starts: list[int] | None = None
        try:
            for key, start, _ in _members(text, _skip(text, 0)):
                if key == "metadata":
                    language = _language(_value(text, start)) or language
                under_key = _cells(text, key, start)
                starts = under_key if starts is None else starts + (under_key or [])
            if starts is None:
                raise _UnexpectedJson
            if language.lower() not in _PYTHON:
                return cls(text, (), (_in_another_language(language),))
            found = [_code_cell(text, start, number) for number, start in enumerate(starts, start=1)]
            cells = [cell for cell in found if isinstance(cell, _Cell)]
            return cls(text, cells, tuple(problem for problem in found if isinstance(problem, Problem)))
        except json.JSONDecodeError as error:
            raise NotANotebook(f"it is not JSON: {error.msg} at line {error.lineno}") from None
        except (_UnexpectedJson, RecursionError):
            raise NotANotebook("it holds no list of cells with their sources") from None

    def place(self, line: int) -> tuple[int | None, int]:
        """The number of the cell, and the line in it, of a line of the program (from 1)."""
        if not self.parts:
            return None, line
        part, index = self.part_at(line)
        return part.number, index + 1

    def line(self, cell: int | None, line: int) -> int:
        """The line of the program of a line in the cell with a number (both from 1)."""
        parts = zip(self.parts, self.starts, strict=True)
        return next((start + line - 1 for part, start in parts if part.number == cell), line)

    def rewritten(self, program: str) -> str | None:
        """The notebook's text with the cells of a changed program; all else is as it was, to the byte.

        None where the program's cells can't be told apart any more, or a line that is not Python was changed.
        """
        changed = self.changed(program)
        if changed is None:
            return None
        text = self.text
        for part, source in changed:
            start, end = next(span for other, span in zip(self.parts, self.spans, strict=True) if other is part)
            separator = ", " if '"cell_type": ' in self.text else ","
            new = _dumped(source, text[start:end], separator, ascii_only=self.text.isascii())
            text = text[:start] + new + text[end:]
        return text


def _in_another_language(language: str) -> Problem:
    message = f"The notebook is in {language}: only Python is analysed, so nothing of it was."
    return Problem("not-python", message)


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


def _value(text: str, start: int) -> Any:
    return json.JSONDecoder().raw_decode(text, start)[0]


def _end(text: str, start: int) -> int:
    return json.JSONDecoder().raw_decode(text, start)[1]


def _cells(text: str, key: str, start: int) -> list[int] | None:
    """The starts of the cells under a member of the notebook: format 4 has them directly, format 3 in worksheets."""
    if key == "cells":
        return list(_items(text, start))
    if key == "worksheets":
        return [
            cell
            for worksheet in _items(text, start)
            for name, cells, _ in _members(text, worksheet)
            if name == "cells"
            for cell in _items(text, cells)
        ]
    return None


def _language(metadata: Any) -> str | None:
    match metadata:
        case {"language_info": {"name": str() as name}} | {"kernelspec": {"language": str() as name}}:
            return name
        case {"kernelspec": {"name": "ir"}}:
            return "R"
        case {"kernelspec": {"name": str() as name}} if name.startswith("julia"):
            return "Julia"
    return None


def _code_cell(text: str, start: int, number: int) -> _Cell | Problem | None:
    kind, span, source, metadata = None, None, None, None
    for key, value_start, value_end in _members(text, start):
        if key == "cell_type":
            kind = _value(text, value_start)
        elif key == "metadata":
            metadata = _value(text, value_start)
        elif key in ("source", "input"):
            span, source = (value_start, value_end), _value(text, value_start)
    if kind != "code" or span is None:
        return None
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        return Problem("cell-without-text", "The source of this cell is no text: it was left out.", cell=number)
    match metadata:
        case {"vscode": {"languageId": str() as language}} if language != "python":
            return None
    return _Cell(Part(number, plain_lines(split_lines(source))), span)


def _dumped(source: str, old: str, separator: str, *, ascii_only: bool) -> str:
    """A cell's source as JSON in the layout that the old value had.

    Args:
        separator: what stands between items on one line.
    """

    def dump(value: str) -> str:
        return json.dumps(value, ensure_ascii=ascii_only or _SURROGATE.search(value) is not None)

    if not old.startswith("["):
        return dump(source)
    lines = source.splitlines(keepends=True)
    inner = old[1:-1]
    before = inner[: len(inner) - len(inner.lstrip())]
    after = inner[len(inner.rstrip()) :]
    if not inner.strip() or not lines:
        return "[" + separator.join(map(dump, lines)) + "]"
    as_before = {_value(old, start): old[start : _end(old, start)] for start in _items(old, 0)}
    separator = f",{before}" if "\n" in before else separator
    return "[" + before + separator.join(as_before.get(line) or dump(line) for line in lines) + after + "]"
