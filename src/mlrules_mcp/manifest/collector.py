"""Where the parts of the reader put what they find odd about one file."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlrules_mcp.findings import Diagnostic


@dataclass(slots=True)
class Collector:
    """Diagnostics about the rule file `source`: errors where something is left out, warnings where it is guessed."""

    source: str
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def error(self, code: str, message: str, line: int | None = None, column: int | None = None) -> None:
        """Something of the file is left out; `message` says what, and what to do."""
        self.diagnostics.append(Diagnostic(code, "error", self.source, message, line, column))

    def warning(self, code: str, message: str, line: int | None = None, column: int | None = None) -> None:
        """Something had to be assumed; `message` says what."""
        self.diagnostics.append(Diagnostic(code, "warning", self.source, message, line, column))

    def in_order(self) -> tuple[Diagnostic, ...]:
        """The diagnostics by line, those of the whole file first."""
        return tuple(sorted(self.diagnostics, key=lambda item: (item.line or 0, item.column or 0)))
