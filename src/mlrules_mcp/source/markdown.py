"""Markdown documents: their fenced Python blocks as one program, and back again."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple

from mlrules_mcp.patterns import pattern
from mlrules_mcp.source.ipython import is_python, left_out, plain_lines
from mlrules_mcp.source.layout import Line, Part, Parts, Problem, restored, split_lines

MARKDOWN = (".md", ".markdown", ".mdx", ".qmd", ".rmd")

# A fence may stand in quotes and lists; a list item may begin with it.
_FENCE = pattern(r"(?P<before>(?:[ \t]|>|[-*+][ \t]|\d{1,9}[.)][ \t])*)(?P<fence>`{3,}|~{3,})(?P<info>.*)")
# ```python, ```py title="x", ```{python}, ```{.python}, ```{code-cell} ipython3
_PYTHON = pattern(r"\s*(?:\{code-cell\}\s*$|(?:\{code-cell\}|\{)?\s*\.?(?:i?python3?|py3?|pycon)(?![\w+/-]))", re.I)
_PROMPT = pattern(r"(?:>>>|\.\.\.)(?: |$)")
# The head of a code-cell in MyST: `:tags: [hide]`, or lines between `---`.
_OPTION = pattern(r":[\w-]+:")


class _Block(NamedTuple):
    """A fenced block: the index of its first line in the document, its lines with their ends, and what quotes them."""

    start: int
    info: str
    lines: list[tuple[str, str]]
    quote: re.Pattern[str]


class Document(Parts):
    """The Python blocks of a Markdown document that parse. Quarto, R Markdown and MyST are such documents too."""

    in_pieces = True

    def __init__(self, text: str, parts: Sequence[Part], problems: tuple[Problem, ...] = ()) -> None:
        self.text = text
        self.parts = parts
        self.problems = problems

    @classmethod
    def read(cls, text: str) -> Document:
        """The document in a text; a block that does not parse is left out and told as a problem."""
        lines = split_lines(text)
        parts: list[Part] = []
        problems: list[Problem] = []
        for number, block in enumerate(_blocks(lines), start=1):
            part = Part(number, _block_lines(block), block.start + 1)
            if is_python(part.code):
                parts.append(part)
            else:
                problems.append(_no_python(part))
        return cls(text, parts, tuple(problems))

    def place(self, line: int) -> tuple[int | None, int]:
        """The line of the document of a line of the program (from 1)."""
        if not self.parts:
            return None, line
        part, index = self.part_at(line)
        return None, part.start + index

    def line(self, cell: int | None, line: int) -> int:
        """The line of the program of a line of the document (both from 1)."""
        for part, start in zip(self.parts, self.starts, strict=True):
            if part.start <= line < part.start + len(part.lines):
                return start + line - part.start
        return line

    def rewritten(self, program: str) -> str | None:
        """The document with the blocks of a changed program; all else is as it was, to the byte."""
        changed = self.changed(program)
        if changed is None:
            return None
        lines = [text + end for text, end in split_lines(self.text)]
        for part, text in changed:
            lines[part.start - 1 : part.start - 1 + len(part.lines)] = [text]
        return "".join(lines)

    def restored(self, part: Part, code: Sequence[str]) -> str | None:
        """The text of a block for its changed code; a block with prompts gets them in front of its new lines."""
        if not any(line.prefix.endswith(">>> ") for line in part.lines):
            return restored(part.lines, code)
        before = next(line.prefix for line in part.lines if line.prefix.endswith(">>> ")).removesuffix(">>> ")
        starts = {statement.lineno - 1 for statement in ast.parse("\n".join(code)).body}
        return restored(part.lines, code, lambda index: before + (">>> " if index in starts else "... "))


def _blocks(lines: Sequence[tuple[str, str]]) -> Iterator[_Block]:
    """The fenced blocks of a document that say they are Python."""
    index = 0
    while index < len(lines):
        match = _FENCE.match(lines[index][0])
        index += 1
        if match is None or (match["fence"][0] == "`" and "`" in match["info"]):
            continue
        start = index
        depth = match["before"].count(">")
        quote = re.compile(rf"(?:[ \t]*>){{{depth}}}[ \t]?" if depth else "")
        end = re.compile(rf"[ \t>]*{match['fence'][0]}{{{len(match['fence'])},}}[ \t]*$")
        while index < len(lines) and not end.match(lines[index][0]):
            if not quote.match(lines[index][0]):
                break
            index += 1
        if index > start and _PYTHON.match(match["info"]):
            yield _Block(start, match["info"], list(lines[start:index]), quote)
        index += 1


def _block_lines(block: _Block) -> tuple[Line, ...]:
    """The lines of a block as Python, each with what stands in front of it."""
    quotes = [match[0] if (match := block.quote.match(text)) else "" for text, _ in block.lines]
    bare = [text[len(quote) :] for quote, (text, _) in zip(quotes, block.lines, strict=True)]
    margin = _margin(bare)
    prefixes = [quote + text[: len(margin)] for quote, text in zip(quotes, bare, strict=True)]
    lines = [(text[len(margin) :], end) for text, (_, end) in zip(bare, block.lines, strict=True)]
    if any(text.startswith(">>> ") for text, _ in lines):
        prompts = [match[0] if (match := _PROMPT.match(text)) else None for text, _ in lines]
        return tuple(
            left_out([line], number)[0]._replace(prefix=prefix)
            if prompt is None
            else Line(line[0][len(prompt) :], line[0][len(prompt) :], line[1], prefix + prompt)
            for number, (line, prefix, prompt) in enumerate(zip(lines, prefixes, prompts, strict=True))
        )
    options = _options([text for text, _ in lines]) if "{code-cell}" in block.info else 0
    plain = (*left_out(lines[:options]), *plain_lines(lines[options:], options))
    return tuple(line._replace(prefix=prefix) for line, prefix in zip(plain, prefixes, strict=True))


def _margin(lines: Sequence[str]) -> str:
    """The indentation that all lines with something on them share."""
    indents = [line[: len(line) - len(line.lstrip())] for line in lines if line.strip()]
    if not indents:
        return ""
    shortest = min(indents, key=len)
    return shortest if all(indent.startswith(shortest) for indent in indents) else ""


def _options(lines: Sequence[str]) -> int:
    """How many lines at the start of a MyST cell are its options."""
    if lines and lines[0].strip() == "---":
        return next((index + 1 for index, line in enumerate(lines) if index and line.strip() == "---"), 0)
    return sum(1 for _ in takewhile(_OPTION.match, lines))


def _no_python(part: Part) -> Problem:
    message, line = "It can't be parsed", 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(part.code)
    except SyntaxError as error:
        message, line = (error.msg or message).rstrip("."), error.lineno or 1
    except (ValueError, RecursionError, MemoryError):
        pass
    line = min(max(line, 1), len(part.lines))
    return Problem(
        "block-not-python",
        f"Syntax error: {message}. The block was left out; the others were analysed.",
        part.start + line - 1,
    )
