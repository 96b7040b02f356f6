"""Bytes or text into a SourceFile: encodings, byte order marks and indented snippets."""

from __future__ import annotations

import codecs
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from mlrules_mcp.findings import Diagnostic, Location
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source.ipython import Script
from mlrules_mcp.source.layout import Layout
from mlrules_mcp.source.marimo import Marimo
from mlrules_mcp.source.markdown import MARKDOWN, Document
from mlrules_mcp.source.notebook import NotANotebook, Notebook
from mlrules_mcp.source.project import Project

MAX_BYTES = 2_000_000
MAX_NOTEBOOK_BYTES = 50_000_000  # saved pictures weigh more than code
_LINE_END = pattern(r"\r\n|\r|\n")
_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
# The indentation of the first line with code: blank lines and comments may stand anywhere.
_FIRST_INDENT = pattern(r"(?:[ \t\f]*(?:#[^\r\n]*)?(?:\r\n|\r|\n))*\f*([ \t]*)[^\s#]")


class UnreadableSource(Exception):
    """The input is not something that can be analysed; `diagnostic` says why and what to do."""

    def __init__(self, code: str, path: str, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(code, "error", path, message, line)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file or snippet as it was given, and the code that is parsed for it.

    A snippet may be cut from inside a function. Rather than shifting its columns, `code` puts
    `if True:` lines in front (`shift` of them) that open the indentation it starts with.
    Where the text is not Python itself (a notebook, a Markdown document), `layout` knows how the code lies in it.
    `project` is the folder that `path` is relative to.
    """

    path: str
    text: str
    code: str
    lines: tuple[str, ...]
    shift: int = 0
    encoding: str = "utf-8"
    bom: bool = False
    layout: Layout | None = None
    project: Project | None = field(default=None, compare=False, repr=False)

    @classmethod
    def from_text(
        cls,
        text: str,
        path: str = "<snippet>",
        encoding: str = "utf-8",
        bom: bool = False,
        project: Project | None = None,
    ) -> SourceFile:
        """A source from decoded text; `path` is only what findings are reported under.

        Raises:
            UnreadableSource: it is longer than `MAX_BYTES`, holds null characters, or is no notebook though its path
                says so.
        """
        if len(text) > _most_bytes(path):
            raise _too_large(path, len(text))
        if "\0" in text:
            raise UnreadableSource("binary-file", path, "The text holds null characters: it is not Python source.")
        if text.startswith("\ufeff"):
            text, bom = text[1:], True
        if (layout := _layout(text, path)) is not None:
            code = layout.program
            return cls(path, text, code, tuple(_LINE_END.split(code)), 0, encoding, bom, layout, project)
        first = _FIRST_INDENT.match(text)
        ladder = _ladder(text, first[1]) if first and first[1] else []
        code = "".join(f"{indent}if True:\n" for indent in ladder) + text
        return cls(path, text, code, tuple(_LINE_END.split(code)), len(ladder), encoding, bom, project=project)

    @classmethod
    def from_bytes(cls, data: bytes, path: str, project: Project | None = None) -> SourceFile:
        """A source from a file's content: UTF-8, or of a Python file the encoding that it declares (PEP 263).

        Raises:
            UnreadableSource: it is binary, over `MAX_BYTES`, or not in its encoding.
        """
        if len(data) > _most_bytes(path):
            raise _too_large(path, len(data))
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise UnreadableSource("wrong-encoding", path, "The file is UTF-16: save it as UTF-8.")
        if b"\0" in data:
            raise UnreadableSource("binary-file", path, "The file holds null bytes: it is not Python source.")
        bom = data.startswith(codecs.BOM_UTF8)
        body = data.removeprefix(codecs.BOM_UTF8)
        of_python = not path.lower().endswith((".ipynb", *MARKDOWN))
        encoding = _declared_encoding(body, path) if of_python and not bom else "utf-8"
        try:
            return cls.from_text(body.decode(encoding), path, encoding, bom, project)
        except UnicodeError as error:
            line = body.count(b"\n", 0, error.start) + 1 if isinstance(error, UnicodeDecodeError) else 1
            raise UnreadableSource(
                "wrong-encoding",
                path,
                f"Line {line} is not {encoding}: save the file as UTF-8, or declare its encoding in the first line.",
                line,
            ) from None

    @classmethod
    def from_path(cls, path: Path, name: str | None = None, project: Project | None = None) -> SourceFile:
        """A source from a file on disk, reported as `name` (by default its path).

        Raises:
            UnreadableSource: it can't be opened, or as for `from_bytes`.
        """
        name = path.as_posix() if name is None else name
        try:
            status = path.stat()
            if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
                raise UnreadableSource("unreadable", name, "The file can't be read: it is a device or a pipe.")
            if status.st_size > _most_bytes(name):
                raise _too_large(name, status.st_size)
            data = path.read_bytes()
        except OSError as error:
            reason = error.strerror or str(error)
            raise UnreadableSource("unreadable", name, f"The file can't be read: {reason}.") from None
        except ValueError:  # a null character in the path
            raise UnreadableSource("unreadable", name, "The file can't be read: its path is not a valid one.") from None
        return cls.from_bytes(data, name, project)

    @property
    def notebook(self) -> Notebook | None:
        """The Jupyter notebook that it is, if it is one."""
        return self.layout if isinstance(self.layout, Notebook) else None

    def text_of(self, code: str) -> str:
        """The text for a changed `code`; the old text where it does not show what belongs where."""
        if self.layout is not None:
            text = self.layout.rewritten(code)
            return self.text if text is None else text
        return _LINE_END.split(code, maxsplit=self.shift)[-1] if self.shift else code

    def encode(self, text: str) -> bytes:
        """The file content for a text, with this source's encoding and byte order mark."""
        return (codecs.BOM_UTF8 if self.bom else b"") + text.encode(self.encoding)

    def place(self, line: int) -> tuple[int | None, int]:
        """The cell, in a notebook, and the line in the text or cell, of a line of the parsed code (all from 1)."""
        if self.layout is not None:
            return self.layout.place(line)
        return None, max(line - self.shift, 1)

    def code_line(self, location: Location) -> int:
        """The line of the parsed code that a location starts on: the opposite of `place`."""
        if self.layout is not None:
            return self.layout.line(location.cell, location.line)
        return location.line + self.shift

    def location(self, line: int, column: int, end_line: int, end_column: int) -> Location:
        """Where a range of `ast` (columns from 0 in UTF-8 bytes) is for people: characters, from 1."""
        cell, first = self.place(line)
        layout = self.layout
        return Location(
            first,
            self.characters(line, column) + 1 + (layout.indent(line) if layout else 0),
            self.place(end_line)[1],
            self.characters(end_line, end_column) + 1 + (layout.indent(end_line) if layout else 0),
            cell,
        )

    def characters(self, line: int, byte_column: int) -> int:
        """A column of `ast` (from 0 in UTF-8 bytes) in characters (from 0), for a line of the parsed code."""
        text = self.lines[line - 1] if line <= len(self.lines) else ""
        if text.isascii():
            return min(byte_column, len(text))
        return len(text.encode("utf-8", "surrogatepass")[:byte_column].decode("utf-8", "ignore"))


def _layout(text: str, path: str) -> Layout | None:
    """How the code lies in a text, where the text is not the code."""
    name = path.lower()
    if name.endswith(".ipynb"):
        try:
            return Notebook.read(text)
        except NotANotebook as error:
            raise UnreadableSource("not-a-notebook", path, f"The file is no Jupyter notebook: {error}.") from None
    if name.endswith(MARKDOWN):
        return Document.read(text)
    return Marimo.read(text) or Script.read(text)


def _most_bytes(path: str) -> int:
    return MAX_NOTEBOOK_BYTES if path.lower().endswith(".ipynb") else MAX_BYTES


def _too_large(path: str, size: int) -> UnreadableSource:
    return UnreadableSource(
        "too-large",
        path,
        f"{size:,} bytes are too many: files over {_most_bytes(path):,} bytes are not analysed. Split it, "
        "or leave it out.",
    )


def _declared_encoding(data: bytes, path: str) -> str:
    for number, line in enumerate(re.split(rb"\r\n|\r|\n", data, maxsplit=2)[:2], start=1):
        if match := _CODING.match(line):
            declared = match[1].decode("ascii")
            try:
                codec = codecs.lookup(declared)
                "".encode(codec.name)
            except (LookupError, UnicodeError):
                raise UnreadableSource(
                    "unknown-encoding",
                    path,
                    f"Line {number} declares the unknown encoding '{declared}'.",
                    number,
                ) from None
            return codec.name
        if line.strip() and not line.lstrip().startswith(b"#"):
            break
    return "utf-8"


def _ladder(text: str, first: str) -> list[str]:
    """The indentations, outermost first, at which `if True:` lets a snippet start with the indentation `first`."""
    indents = {line[: len(line) - len(line.lstrip())] for line in _LINE_END.split(text) if line.strip()}
    outer = {indent for indent in indents if len(indent) < len(first) and first.startswith(indent)}
    return sorted(outer | {""}, key=len)
