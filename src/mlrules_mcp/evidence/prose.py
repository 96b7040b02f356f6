"""What people wrote about a project: the sections of its documents and of its notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mlrules_mcp.patterns import pattern

DOCUMENTS = (".md", ".rst", ".markdown", ".qmd", ".txt")
MOST_BYTES = 400_000
_MOST_SECTIONS = 200
_MOST_TEXT = 4000
_HEADING = pattern(r"^ {0,3}(#{1,6})\s+(.+?)\s*#*\s*$")
_FENCE = pattern(r"^\s*(`{3,}|~{3,})")
_UNDERLINE = pattern(r"^(=+|-+|~+|\^+|\"+|\*+)\s*$")


class Section(NamedTuple):
    """A heading and what stands below it up to the next one, code blocks included.

    Attributes:
        heading: without its marks; empty for what stands before the first.
        line: of the heading, from 1 in the file, or in the `cell` of a notebook.
        text: at most some of it.
    """

    path: str
    line: int
    heading: str
    text: str
    cell: int | None = None

    def line_of(self, start: int) -> int:
        """The line in the file of a place in `text`."""
        return self.line + bool(self.heading) + self.text.count("\n", 0, start)


def sections_in(path: str, text: str, cell: int | None = None) -> list[Section]:
    """The sections of a Markdown or reStructuredText document, or of a notebook's cell."""
    found: list[Section] = []
    for line, heading, body in _split(text.splitlines()):
        shown = "\n".join(body)[:_MOST_TEXT]
        if heading or shown.strip():
            found.append(Section(path, line, heading, shown, cell))
        if len(found) == _MOST_SECTIONS:
            break
    return found


def _split(lines: list[str]) -> Iterator[tuple[int, str, list[str]]]:
    start, heading, fence = 1, "", ""
    body: list[str] = []
    for number, line in enumerate(lines, start=1):
        if mark := _FENCE.match(line):
            fence = "" if fence and mark[1].startswith(fence) else fence or mark[1]
        found = None if fence else _HEADING.match(line)
        if found:
            yield start, heading, body
            start, heading, body = number, found[2], []
        elif not fence and body and _is_underline(line, body[-1]):
            title = body.pop()
            yield start, heading, body
            # The text goes on below the underline: a line later than below a heading of one line.
            start, heading, body = number - 1, title.strip(), [""]
        else:
            body.append(line)
    yield start, heading, body


def _is_underline(line: str, title: str) -> bool:
    return bool(_UNDERLINE.match(line)) and len(line.strip()) >= max(3, len(title.strip())) and bool(title.strip())
