"""Suppression comments: `# mlrules: ignore[check-or-rule]`."""

from __future__ import annotations

import ast
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from mlrules_mcp.catalogue import Catalogue, UnknownSelection, all_checks
from mlrules_mcp.findings import Diagnostic, Finding, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module

_COMMENT = pattern(r"#\s*mlrules:\s*(?P<verb>[\w-]+)\s*(\[(?P<names>[^\]]*)\])?")
_COMPOUND = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If, ast.For, ast.AsyncFor),
    *(ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar),
)


@dataclass(frozen=True, slots=True)
class _Comment:
    """A suppression comment; lines count from 1 in the text as given, `checks` None means all."""

    speaks_of: int
    written_at: int
    checks: frozenset[str] | None
    text: str


class Suppressions:
    """The suppression comments of one module, and which of them were needed.

    A comment speaks of the findings on its own line, or, alone on its line, of those on the next line with code.
    `# mlrules: ignore[hardcoded-cuda, gradient_management]` names checks, rules or blocks; without names it
    speaks of every check. Comments of other tools, such as `# noqa`, are left alone.
    """

    def __init__(self, module: Module, catalogue: Catalogue) -> None:
        self._module = module
        self._catalogue = catalogue
        self.diagnostics: list[Diagnostic] = []
        # Most files have no such comment, and for them this is all it costs.
        found = self._read() if "mlrules:" in module.source.code else ()
        self._comments = sorted(found, key=lambda comment: comment.speaks_of)
        self._lines = [comment.speaks_of for comment in self._comments]
        self._used: set[_Comment] = set()

    def _read(self) -> Iterator[_Comment]:
        for number, text in enumerate(self._module.source.lines, start=1):
            for match in _COMMENT.finditer(text) if "mlrules:" in text else ():
                before = text[: match.start()]
                if self._in_string(number, len(before.encode("utf-8", "surrogatepass"))):
                    continue
                if match["verb"] != "ignore":
                    message = f"'{match[0]}' is not known; write `# mlrules: ignore[name]`."
                    self._report("unknown-suppression", message, number)
                    continue
                alone = not before.strip() or before.lstrip().startswith("#")
                speaks_of = self._next_code_line(number) if alone else number
                checks = None if match["names"] is None else frozenset(self._named(match["names"], number))
                yield _Comment(speaks_of, number, checks, match[0])

    def _named(self, names: str, line: int) -> Iterator[str]:
        for name in filter(None, map(str.strip, names.split(","))):
            try:
                yield from (check.name for check in self._catalogue.named(name))
            except UnknownSelection as error:
                # A check that is only left out of this catalogue is no mistake.
                if all(check.name != name for check in all_checks()):
                    self._report("unknown-suppression", str(error), line)

    def _in_string(self, line: int, column: int) -> bool:
        starts, ends = self._strings
        before = bisect_right(starts, (line, column))
        return before > 0 and ends[before - 1] > (line, column)

    @cached_property
    def _strings(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """The starts of all strings, and for each the furthest end so far: strings may lie in formatted ones."""
        strings: list[ast.expr] = [*self._module.nodes(ast.JoinedStr)]
        strings += [node for node in self._module.nodes(ast.Constant) if isinstance(node.value, str | bytes)]
        spans = sorted(map(Span.of, strings))
        ends = accumulate(((span.end_line, span.end_column) for span in spans), max)
        return [(span.line, span.column) for span in spans], list(ends)

    def _next_code_line(self, number: int) -> int:
        for following, text in enumerate(self._module.source.lines[number:], start=number + 1):
            if text.strip() and not text.lstrip().startswith("#"):
                return following
        return number

    def _report(self, code: str, message: str, line: int) -> None:
        self.diagnostics.append(self._diagnostic(code, message, line))

    def _diagnostic(self, code: str, message: str, code_line: int) -> Diagnostic:
        cell, line = self._module.source.place(code_line)
        return Diagnostic(code, "warning", self._module.source.path, message, line, cell=cell)

    def keep(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """The findings that no comment suppresses."""
        for finding in findings:
            suppressing = list(self._suppressing(finding)) if self._comments else []
            self._used.update(suppressing)
            if not suppressing:
                yield finding

    def _suppressing(self, finding: Finding) -> Iterator[_Comment]:
        first = self._module.source.code_line(finding.location)
        # A finding at a whole loop or function is not spoken of by what stands inside.
        end = first + finding.location.end_line - finding.location.line
        last = min(end, self._headers.get(first, end))
        for comment in self._comments[bisect_left(self._lines, first) : bisect_right(self._lines, last)]:
            if comment.checks is None or finding.check in comment.checks:
                yield comment

    @cached_property
    def _headers(self) -> dict[int, int]:
        """The last line of the head of each compound statement, by its first line."""
        return {
            statement.lineno: max(statement.lineno, statement.body[0].lineno - 1)  # type: ignore[attr-defined]
            for kind in _COMPOUND
            for statement in self._module.nodes(kind)
        }

    def unused(self) -> Iterator[Diagnostic]:
        """A diagnostic for each comment that suppressed nothing; to ask for once all findings went through `keep`."""
        for comment in self._comments:
            if comment not in self._used and comment.checks != frozenset():
                message = f"'{comment.text}' suppresses nothing here. Remove it."
                yield self._diagnostic("unused-suppression", message, comment.written_at)
