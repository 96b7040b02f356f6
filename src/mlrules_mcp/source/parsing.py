"""Code into a syntax tree, whole or, around syntax errors, in part."""

from __future__ import annotations

import ast
import re
import threading
import warnings
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace

from mlrules_mcp.findings import Diagnostic
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source.layout import Layout
from mlrules_mcp.source.reading import SourceFile

_MOST_ERRORS = 20
_MOST_READ_AGAIN = 4_000_000  # characters: every syntax error takes another reading of the rest
_CONTINUES = pattern(r"[\])}]|(else|elif|except|finally)\b")
_STRING_OR_COMMENT = pattern(
    r'#[^\n]*|"""(?:\\.|[^\\])*?"""|\'\'\'(?:\\.|[^\\])*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL
)
_PYTHON_2 = pattern(r"Missing parentheses in call to '(print|exec)'|multiple exception types must be parenthesized")
# `warnings.catch_warnings` changes what the whole process does, so two threads must not be in it at once.
_ONE_AT_A_TIME = threading.Lock()


def parse(source: SourceFile) -> tuple[ast.Module, list[Diagnostic]]:
    """The tree of a source, and a diagnostic for each syntax error.

    A top-level statement that holds a syntax error is left out and the rest is parsed, so that a
    file with one broken function still gets its findings. The tree is empty where nothing parses.
    """
    lines = list(source.lines)
    starts: list[int] = []
    errors: list[Diagnostic] = []
    while True:
        try:
            tree = _parse_code("\n".join(lines) if errors else source.code)
            if source.layout is not None:
                source.layout.arrange(tree)
                errors += _problems(source, source.layout)
            return tree, sorted(errors, key=lambda diagnostic: (diagnostic.cell or 0, diagnostic.line or 0))
        except SyntaxError as error:
            starts = starts or _statement_starts(source)
            line = min(max(error.lineno or 1, 1), len(lines))
            start, end = _statement_around(starts, line - 1, len(lines))
            errors.append(_syntax_error(source, error, line))
            lines[start:end] = [""] * (end - start)
            too_many = len(errors) >= _MOST_ERRORS or len(errors) * len(source.code) > _MOST_READ_AGAIN
            if too_many or not any(map(str.strip, lines[source.shift :])):
                return ast.Module([], []), [_gave_up(errors[0])]
        except (ValueError, RecursionError, MemoryError) as error:
            return ast.Module([], []), [*errors, _unparsable(source, error)]


def _problems(source: SourceFile, layout: Layout) -> Iterator[Diagnostic]:
    for code, message, line, cell in layout.problems:
        yield Diagnostic(code, "warning", source.path, message, line, cell=cell)


def _parse_code(code: str) -> ast.Module:
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(code)


def _statement_starts(source: SourceFile) -> list[int]:
    """The indices of the lines on which the outermost statements start, decorators being part of what they decorate.

    A snippet cut from an indented place has its outermost statements there.
    """
    code = "\n".join(source.lines)
    in_strings: set[int] = set()
    line, position = 0, 0
    for match in _STRING_OR_COMMENT.finditer(code):
        line += code.count("\n", position, match.start())
        position = match.end()
        last = line + code.count("\n", match.start(), position)
        in_strings.update(range(line + 1, last + 1))
        line = last
    starts: list[int] = []
    decorated = False
    outermost = 0
    for index, text in enumerate(source.lines[source.shift :], start=source.shift):
        stripped = text.lstrip()
        if not stripped or stripped[0] == "#" or index in in_strings or _CONTINUES.match(stripped):
            continue
        if not starts:
            outermost = _indent(text)
        if _indent(text) <= outermost:
            if not decorated:
                starts.append(index)
            decorated = stripped[0] == "@"
    return starts


def _indent(text: str) -> int:
    text = text.lstrip("\f")  # a form feed at the margin counts for nothing
    return len(text) - len(text.lstrip())


def _statement_around(starts: list[int], index: int, lines: int) -> tuple[int, int]:
    """The half-open range of line indices of the statement that holds a line."""
    following = bisect_right(starts, index)
    start = starts[following - 1] if following else index
    return start, starts[following] if following < len(starts) else lines


def _syntax_error(source: SourceFile, error: SyntaxError, line: int) -> Diagnostic:
    message = (error.msg or "invalid syntax").rstrip(".")
    if _PYTHON_2.match(message):
        message += " (this is Python 2; only Python 3 can be analysed)"
    cell, own_line = source.place(line)
    return Diagnostic(
        "syntax-error",
        "error",
        source.path,
        f"Syntax error: {message}. The statement around it was left out; the rest was analysed.",
        own_line,
        max(error.offset or 1, 1),
        cell,
    )


def _gave_up(first: Diagnostic) -> Diagnostic:
    """The first error, for a text of which nothing is left."""
    message = first.message.partition(" The statement around it")[0]
    return replace(first, message=f"{message} Too little of the code parses as Python 3, so none of it was analysed.")


def _unparsable(source: SourceFile, error: Exception) -> Diagnostic:
    if isinstance(error, ValueError):
        message = "The text holds half of a surrogate pair, which is not valid Unicode, so it is not Python source."
    else:
        message = "The code is nested too deeply to be parsed. Break the nested expression up."
    return Diagnostic("not-analysed", "error", source.path, message)
