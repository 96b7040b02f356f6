"""IPython's own syntax (`%time`, `!pip`, `%%bash`, `model?`) out of the way: Python stands for it, line by line."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from mlrules_mcp.patterns import pattern
from mlrules_mcp.source.layout import Layout, Line, restored, split_lines, unwrap

# Lines, each with its line end.
_Lines: TypeAlias = Sequence[tuple[str, str]]

# Cell magics after which the cell is still Python; after any other the cell is something else.
_PYTHON_CELL_MAGICS = frozenset(
    "time timeit capture prun memit mprun lprun wandb debug local snakeviz pyinstrument scalene".split()
)
_CELL_MAGIC = pattern(r"\s*%%(\w+)")
# Databricks gives a whole cell to another language by one percent sign.
_LANGUAGE_MAGIC = pattern(r"\s*%(?:sql|md|md-sandbox|scala|r|R|sh|fs|bash|html|javascript|js|cypher)\b")
# `%time statement` runs the statement: `if 1:` of the same width keeps its columns.
_TIMED = pattern(r"(\s*)(%time(?:it)?\s+)(?![-\s])(.+)")
_ASSIGNED = pattern(r"(\s*[\w.\[\], ]+=\s*)[!%]\S")
_MAGIC = pattern(
    r"\s*(?:%{1,2}[A-Za-z_]|!(?!=)|\?{1,2}[\w.*]+\s*$|%{0,2}[\w.*]+\?{1,2}\s*$|;\s*$"
    # A sign with a space behind it may also go on with an expression.
    r"|% +(?:matplotlib|pylab|time|timeit|run|load_ext|reload_ext|autoreload|config|env|cd|ls|pwd)\b"
    # What runs without its percent sign.
    r"|(?:pip3?|conda|mamba|uv) +[a-z-]+|(?:cd|ls|cat|mkdir|rm|cp|mv) +[\w./~$-]+[^=(\[:]*$)"
)
_NOT_UNICODE = pattern(r"[\0\ud800-\udfff]")
_MAY_BE_MAGIC = pattern(r"\n[%!]")
_CELL_MARKERS = ("# %%", "#%%")


def plain_lines(lines: _Lines, first: int = 0) -> tuple[Line, ...]:
    """The lines of a cell, each with the Python that stands for it.

    Args:
        first: the number of the first line, where the stand-ins of several cells are to be told apart.
    """
    if is_python(_joined(lines)):
        return tuple(Line(text, text, end) for text, end in lines)
    head = next((text for text, _ in lines if text.strip()), "")
    if indent := head[: len(head) - len(head.lstrip())]:
        return _indented(lines, indent, first)
    if (magic := _CELL_MAGIC.match(head)) and magic[1] not in _PYTHON_CELL_MAGICS:
        return left_out(lines, first)
    plain = tuple(_plain(lines, first))
    if _LANGUAGE_MAGIC.match(head) and not is_python(_joined([(line.code, "") for line in plain])):
        return left_out(lines, first)
    return plain


def _indented(lines: _Lines, indent: str, first: int) -> tuple[Line, ...]:
    """The lines of a cell without the indentation of its first one, which IPython takes away too."""
    prefixes = [indent if text.startswith(indent) else "" for text, _ in lines]
    bare = [(text[len(prefix) :], end) for prefix, (text, end) in zip(prefixes, lines, strict=True)]
    return tuple(line._replace(prefix=prefix) for prefix, line in zip(prefixes, plain_lines(bare, first), strict=True))


def is_python(source: str) -> bool:
    """Whether a text parses."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def left_out(lines: _Lines, first: int = 0) -> tuple[Line, ...]:
    """Lines of which none is Python."""
    return tuple(Line(text, _mark(number), end) for number, (text, end) in enumerate(lines, start=first))


def _joined(lines: Iterable[tuple[str, str]]) -> str:
    return "\n".join(text for text, _ in lines)


def _mark(number: int) -> str:
    """A comment that tells one stand-in from another, wherever a fix moves it."""
    return f"#%{number}"


def _plain(lines: _Lines, first: int) -> Iterator[Line]:
    continued = False
    for number, (line, end) in enumerate(lines, start=first):
        indent = line[: len(line) - len(line.lstrip())]
        goes_on = line.rstrip().endswith("\\")
        mark = _mark(number)
        if continued:
            yield Line(line, mark, end)
            continued = goes_on
        elif match := _TIMED.match(line):
            head = f"{match[1]}{'if 1'.ljust(len(match[2]) - 2)}: "
            code = _whole(f"{head}{match[3]}")
            yield Line(line, code if goes_on else f"{code}  {mark}", end, head=len(head))
        elif match := _ASSIGNED.match(line):
            yield Line(line, f"{match[1]}None  {mark}", end)
            continued = goes_on
        elif _CELL_MAGIC.match(line):
            yield Line(line, mark, end)
        elif _MAGIC.match(line) and not is_python(line.strip()):
            yield Line(line, f"{indent}pass  {mark}", end)
            continued = goes_on
        else:
            yield Line(line, _whole(line), end)


def _whole(line: str) -> str:
    """A line without what Python can't read anywhere: null characters and halves of surrogate pairs."""
    return _NOT_UNICODE.sub("\ufffd", line)


class Script(Layout):
    """A Python script with lines of IPython in it, as editors with `# %%` cells run it and Colab writes it."""

    def __init__(self, text: str, lines: Sequence[Line]) -> None:
        self.text = text
        self._lines = lines

    @classmethod
    def read(cls, text: str) -> Script | None:
        """The script in a text; None where all of it is Python already, or it has no such lines."""
        # Nearly every file answers here. To look at indented lines too takes ten times as long, and a script whose
        # only lines of IPython are indented is rare.
        if not _MAY_BE_MAGIC.search(text) and not text.startswith(("%", "!")):
            return None
        if is_python(text):
            return None
        lines = [line for cell in _cells(split_lines(text)) for line in cell]
        return cls(text, lines) if any(line.is_stand_in for line in lines) else None

    @property
    def program(self) -> str:
        """The script with Python in the place of what is none, line by line."""
        return "\n".join(line.code for line in self._lines)

    def arrange(self, tree: ast.Module) -> None:
        """Let what is timed (`%time f()`) stand where its `if 1:` does."""
        if timed := frozenset(number for number, line in enumerate(self._lines, start=1) if line.head):
            unwrap(tree, timed)

    def rewritten(self, program: str) -> str | None:
        """The script with its own lines back in place."""
        return restored(self._lines, program.split("\n"))


def _cells(lines: _Lines) -> Iterator[tuple[Line, ...]]:
    """The lines of each cell of a script; a marker between two is one of its own."""
    start = 0
    for index, (text, end) in enumerate(lines):
        if text.startswith(_CELL_MARKERS):
            yield plain_lines(lines[start:index], start)
            yield (Line(text, text, end),)
            start = index + 1
    yield plain_lines(lines[start:], start)
