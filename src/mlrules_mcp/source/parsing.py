"""Code into a syntax tree, whole or, around syntax errors, in part."""

from __future__ import annotations

import ast
import re
import warnings

from mlrules_mcp.findings import Diagnostic
from mlrules_mcp.source.reading import SourceFile

_MOST_ERRORS = 20
_STATEMENT_START = re.compile(r"[^\s#)\]}]")
_CONTINUES = re.compile(r"(else|elif|except|finally)\b")


def parse(source: SourceFile) -> tuple[ast.Module, list[Diagnostic]]:
    """The tree of a source, and a diagnostic for each syntax error.

    A top-level statement that holds a syntax error is left out and the rest is parsed, so that a
    file with one broken function still gets its findings. The tree is empty where nothing parses.
    """
    lines = list(source.lines)
    diagnostics: list[Diagnostic] = []
    while True:
        try:
            return _parse_code("\n".join(lines) if diagnostics else source.code), diagnostics
        except SyntaxError as error:
            line = min(max(error.lineno or 1, 1), len(lines))
            start, end = _statement_around(lines, line)
            diagnostics.append(_syntax_error(source, error, line))
            if len(diagnostics) == _MOST_ERRORS or source.shift or not any(map(str.strip, lines[start:end])):
                diagnostics.append(_gave_up(source))
                return ast.Module([], []), diagnostics
            lines[start:end] = [""] * (end - start)
        except (ValueError, RecursionError, MemoryError) as error:
            diagnostics.append(_unparsable(source, error))
            return ast.Module([], []), diagnostics


def _parse_code(code: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(code)


def _statement_around(lines: list[str], line: int) -> tuple[int, int]:
    """The half-open range of line indices of the top-level statement that holds a line (from 1)."""

    def starts(index: int) -> bool:
        text = lines[index]
        if not _STATEMENT_START.match(text) or _CONTINUES.match(text):
            return False
        return not (index and lines[index - 1].startswith("@"))

    start = line - 1
    while start > 0 and not starts(start):
        start -= 1
    end = line
    while end < len(lines) and not starts(end):
        end += 1
    return start, end


def _syntax_error(source: SourceFile, error: SyntaxError, line: int) -> Diagnostic:
    message = (error.msg or "invalid syntax").rstrip(".")
    if "Missing parentheses in call to 'print'" in message or "Missing parentheses in call to 'exec'" in message:
        message += " (this is Python 2; only Python 3 can be analysed)"
    return Diagnostic(
        "syntax-error",
        "error",
        source.path,
        f"Syntax error: {message}. The statement around it was left out; the rest was analysed.",
        max(line - source.shift, 1),
        max(error.offset or 1, 1),
    )


def _gave_up(source: SourceFile) -> Diagnostic:
    return Diagnostic(
        "not-analysed",
        "error",
        source.path,
        "Too little of this file parses as Python 3, so none of it was analysed. Mend the syntax errors first.",
    )


def _unparsable(source: SourceFile, error: Exception) -> Diagnostic:
    if isinstance(error, ValueError):
        message = "The text holds null characters or broken Unicode, so it is not Python source."
    else:
        message = "The code is nested too deeply to be parsed. Break the nested expression up."
    return Diagnostic("not-analysed", "error", source.path, message)
