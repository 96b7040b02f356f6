"""How the program that is analysed lies in the text of a file, where the text is not the program itself."""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate, takewhile
from typing import NamedTuple

from mlrules_mcp.patterns import pattern

_LINE_END = pattern(r"(\r\n|\r|\n)")


class Problem(NamedTuple):
    """What is odd about a file without being in the way of the rest; lines and cells count from 1."""

    code: str
    message: str
    line: int | None = None
    cell: int | None = None


class Line(NamedTuple):
    """A line of a file, and the line of Python that stands for it.

    Attributes:
        text: the line as it is written, without what is in front of the code.
        code: the same, or, where the line is not Python, what stands for it.
        end: the line end that it is written with.
        prefix: what the file has in front of the code: the indentation of a block, a prompt.
        head: for a stand-in whose end is Python as it is written, how many characters are not.
    """

    text: str
    code: str
    end: str = "\n"
    prefix: str = ""
    head: int = 0

    @property
    def is_stand_in(self) -> bool:
        """Whether the line is not Python as it is written."""
        return self.code != self.text


class Layout:
    """How a program lies in the text of a file.

    Attributes:
        text: the text of the file.
        program: the Python that is analysed for it.
        problems: what in the text is left out, and why.
        in_pieces: whether the text shows pieces of a program, which leave out what they don't speak of.
    """

    text: str
    problems: tuple[Problem, ...] = ()
    in_pieces: bool = False

    @property
    def program(self) -> str:
        """The Python that is analysed for the text."""
        raise NotImplementedError

    def place(self, line: int) -> tuple[int | None, int]:
        """The number of the cell, where cells count lines of their own, and the line in the text or cell, of a line
        of the program (all from 1)."""
        return None, line

    def line(self, cell: int | None, line: int) -> int:
        """The line of the program of a line in the text or cell: the opposite of `place`."""
        return line

    def indent(self, line: int) -> int:
        """How many characters the text has in front of a line of the program (from 1)."""
        return 0

    def arrange(self, tree: ast.Module) -> None:
        """Take out of the program's tree what is only there to hold the code."""

    def rewritten(self, program: str) -> str | None:
        """The text for a changed program; all else is as it was, to the byte.

        None where it does not show where a change belongs, or a line that is not Python was changed.
        """
        raise NotImplementedError


class Part(NamedTuple):
    """A piece of a file that holds code: the cell of a notebook, a block of a document.

    Attributes:
        number: its place among the cells of the notebook or the blocks of the document, from 1.
        lines: its lines in order.
        start: the line of the text that its first line is, from 1, where its lines are counted there.
    """

    number: int
    lines: tuple[Line, ...]
    start: int = 1

    @property
    def code(self) -> str:
        """Its program."""
        return "\n".join(line.code for line in self.lines)


class Parts(Layout):
    """Pieces of code in a text, which together are one program; a comment with its number stands before each."""

    parts: Sequence[Part]

    @cached_property
    def program(self) -> str:
        """All parts as one program."""
        return "".join(f"{self._separator}{part.number}\n{part.code}\n" for part in self.parts)

    @cached_property
    def _separator(self) -> str:
        """What the comments before the parts start with: something that stands in none of them."""
        codes = [part.code for part in self.parts]
        separator = "# %% cell "
        while any(separator in code for code in codes):
            separator = f"#{separator}"
        return separator

    @cached_property
    def starts(self) -> list[int]:
        """The lines of the program that the parts start on."""
        lengths = (len(part.lines) + 1 for part in self.parts)
        return list(accumulate(lengths, initial=2))[:-1]

    def part_at(self, line: int) -> tuple[Part, int]:
        """The part that holds a line of the program, and the index of the line in it."""
        index = max(bisect_right(self.starts, line) - 1, 0)
        part = self.parts[index]
        return part, min(max(line - self.starts[index], 0), len(part.lines) - 1)

    def indent(self, line: int) -> int:
        """The length of the prefix of a line."""
        if not self.parts:
            return 0
        part, index = self.part_at(line)
        return len(part.lines[index].prefix)

    def arrange(self, tree: ast.Module) -> None:
        """Let what is timed (`%time f()`) stand where its `if 1:` does."""
        timed = [
            start + offset
            for part, start in zip(self.parts, self.starts, strict=True)
            for offset, line in enumerate(part.lines)
            if line.head
        ]
        if timed:
            unwrap(tree, frozenset(timed))

    def changed(self, program: str) -> list[tuple[Part, str]] | None:
        """The parts that differ in a changed program, the last first, each with its new text.

        None where the parts can't be told apart any more, or a line that is not Python was changed.
        """
        pieces = re.split(rf"^{re.escape(self._separator)}(\d+)\n", program, flags=re.MULTILINE)
        codes = dict(zip(map(int, pieces[1::2]), pieces[2::2], strict=True))
        if pieces[0].strip() or list(codes) != [part.number for part in self.parts]:
            return None
        found: list[tuple[Part, str]] = []
        for part in reversed(self.parts):
            code = codes[part.number].removesuffix("\n")
            if code == part.code:
                continue
            text = self.restored(part, code.split("\n"))
            if text is None:
                return None
            found.append((part, text))
        return found

    def restored(self, part: Part, code: Sequence[str]) -> str | None:
        """The text of a part for the lines of its changed code; None where a line that is not Python was changed."""
        return restored(part.lines, code)


def unwrap(tree: ast.Module, lines: frozenset[int]) -> None:
    """Put the bodies of the `if` statements on some lines in their places."""
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list) and any(isinstance(child, ast.If) for child in block):
                block[:] = [
                    inner
                    for child in block
                    for inner in (child.body if isinstance(child, ast.If) and child.lineno in lines else [child])
                ]


def split_lines(text: str) -> list[tuple[str, str]]:
    """The lines of a text as Python counts them, each with its line end; that of the last is empty."""
    pieces = _LINE_END.split(text)
    return list(zip(pieces[::2], [*pieces[1::2], ""], strict=True))


def restored(lines: Sequence[Line], code: Sequence[str], prefix: Callable[[int], str] | None = None) -> str | None:
    """The text for the lines of some changed code; those that did not change are as they were.

    None where a line that is not Python was changed or is gone.

    Args:
        prefix: what to put in front of a new line, given its index in `code`; by default what the first has.
    """
    common = next((line.prefix for line in lines if line.code.strip()), "")
    end = lines[0].end or "\n"
    result: list[Line] = []
    for line in lines:
        code = _on_one_line(line, code) if line.head else code
    for old, new in _aligned([line.code for line in lines], code):
        gone = [lines[index] for index in old]
        if len(gone) == len(new) == 1 and gone[0].code == code[new[0]]:
            result.append(gone[0])
            continue
        stand_ins = [line for line in gone if line.is_stand_in]
        for index in new:
            text = code[index]
            if stand_ins and (changed := _with_head(stand_ins[0], text)) is not None:
                text = changed
                stand_ins.pop(0)
            before = prefix(index) if prefix else common
            result.append(Line(text, text, end, before if text.strip() else before.rstrip()))
        if stand_ins:
            return None
    ends = [*(line.end or end for line in result[:-1]), lines[-1].end]
    return "".join(line.prefix + line.text + line_end for line, line_end in zip(result, ends, strict=True))


def _aligned(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[range, range]]:
    """Ranges of indices of lines that belong together, line by line where the lines are equal."""
    from difflib import SequenceMatcher  # noqa: PLC0415 - only fixes need it, and `check` starts without

    head = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
    most = min(len(old), len(new)) - head
    pairs = zip(reversed(old), reversed(new), strict=False)
    tail = sum(1 for _ in takewhile(lambda pair: pair[1][0] == pair[1][1], zip(range(most), pairs, strict=False)))
    for index in range(head):
        yield range(index, index + 1), range(index, index + 1)
    matcher = SequenceMatcher(None, old[head : len(old) - tail], new[head : len(new) - tail])
    for kind, start, end, new_start, new_end in matcher.get_opcodes():
        if kind == "equal":
            for offset in range(end - start):
                first, second = head + start + offset, head + new_start + offset
                yield range(first, first + 1), range(second, second + 1)
        else:
            yield range(head + start, head + end), range(head + new_start, head + new_end)
    for offset in range(tail, 0, -1):
        yield range(len(old) - offset, len(old) - offset + 1), range(len(new) - offset, len(new) - offset + 1)


def _on_one_line(line: Line, code: Sequence[str]) -> Sequence[str]:
    """Code in which the stand-in `if 1: f()` is on one line again, and what was put beside `f()` stands around it."""
    head, mark = line.code[: line.head], line.code[len(line.text) :]
    first = next((index for index, text in enumerate(code) if text == head.rstrip()), None)
    last = next((index for index, text in enumerate(code) if mark and text.endswith(mark)), None)
    if first is None or last is None or first >= last:
        return code
    inner = len(code[first + 1]) - len(code[first + 1].lstrip())
    outer = len(head) - len(head.lstrip())
    end = next((index for index in range(last, len(code)) if not code[index].startswith(" " * inner)), len(code))
    block = [head[:outer] + text[inner:] for text in code[first + 1 : end]]
    statement = block[last - first - 1].lstrip()
    if not _parses(statement):  # the end of one that goes over several lines
        return code
    block[last - first - 1] = head + statement
    return [*code[:first], *block, *code[end:]]


def _parses(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _with_head(line: Line, code: str) -> str | None:
    """What `%time f()` becomes where the statement in its stand-in was changed; None for all else."""
    mark = line.code[len(line.text) :]
    if not line.head or not mark or not code.startswith(line.code[: line.head]) or not code.endswith(mark):
        return None
    return line.text[: line.head] + code[line.head : len(code) - len(mark)]
