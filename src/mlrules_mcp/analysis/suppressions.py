"""Suppression comments: `# mlrules: ignore[check-or-rule]`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from mlrules_mcp.catalogue import Catalogue, UnknownSelection
from mlrules_mcp.findings import Diagnostic, Finding, Span
from mlrules_mcp.source import Module

_COMMENT = re.compile(r"#\s*mlrules:\s*(?P<verb>[\w-]+)\s*(\[(?P<names>[^\]]*)\])?")


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
        self._comments: list[tuple[int, int, frozenset[str] | None, str]] = []
        self._used: set[int] = set()
        if "mlrules:" in module.source.code:
            self._read()

    def _read(self) -> None:
        for number, text in enumerate(self._module.source.lines, start=1):
            for match in _COMMENT.finditer(text) if "mlrules:" in text else ():
                if self._in_string(number, len(text[: match.start()].encode())):
                    continue
                line = number - self._module.source.shift
                if match["verb"] != "ignore":
                    self._report(
                        "unknown-suppression",
                        f"'{match[0]}' is not known; write `# mlrules: ignore[name]`.",
                        line,
                    )
                    continue
                speaks_of = self._next_code_line(number) if not text[: match.start()].strip() else number
                names = match["names"]
                checks = None if names is None else frozenset(self._checks_named(names, line))
                self._comments.append((speaks_of - self._module.source.shift, line, checks, match[0]))

    def _checks_named(self, names: str, line: int) -> Iterator[str]:
        for name in filter(None, map(str.strip, names.split(","))):
            try:
                yield from (check.name for check in self._catalogue.named(name))
            except UnknownSelection as error:
                self._report("unknown-suppression", str(error), line)

    def _in_string(self, line: int, column: int) -> bool:
        strings: list[ast.expr] = [*self._module.nodes(ast.JoinedStr)]
        strings += [node for node in self._module.nodes(ast.Constant) if isinstance(node.value, str | bytes)]
        spans = map(Span.of, strings)
        return any((s.line, s.column) <= (line, column) < (s.end_line, s.end_column) for s in spans)

    def _next_code_line(self, number: int) -> int:
        for following, text in enumerate(self._module.source.lines[number:], start=number + 1):
            if text.strip() and not text.lstrip().startswith("#"):
                return following
        return number

    def _report(self, code: str, message: str, line: int) -> None:
        self.diagnostics.append(Diagnostic(code, "warning", self._module.source.path, message, line))

    def keep(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """The findings that no comment suppresses."""
        for finding in findings:
            suppressing = [
                index
                for index, (line, _, checks, _) in enumerate(self._comments)
                if finding.location.line <= line <= finding.location.end_line
                and (checks is None or finding.check in checks)
            ]
            self._used.update(suppressing)
            if not suppressing:
                yield finding

    def unused(self) -> Iterator[Diagnostic]:
        """A diagnostic for each comment that suppressed nothing; to ask for once all findings went through `keep`."""
        for index, (_, line, checks, text) in enumerate(self._comments):
            if index not in self._used and (checks is None or checks):
                yield Diagnostic(
                    "unused-suppression",
                    "warning",
                    self._module.source.path,
                    f"'{text}' suppresses nothing here. Remove it.",
                    line,
                )
