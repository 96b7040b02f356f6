"""What an analysis says: findings with their locations and fixes, and diagnostics about its input."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "advice"]
Applicability: TypeAlias = Literal["safe", "suggested"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "advice")


@dataclass(frozen=True, slots=True)
class Location:
    """A range of text for people: lines and columns count from 1, columns in characters, the end exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int
    cell: int | None = None

    @property
    def position(self) -> tuple[int, int, int]:
        """Where it starts: what findings of one file are put in order by."""
        return (self.cell or 0, self.line, self.column)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A range of text as `ast` counts it: lines from 1, columns from 0 in UTF-8 bytes, the end exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int

    @classmethod
    def of(cls, node: ast.expr | ast.stmt | ast.keyword) -> Span:
        """The span of a parsed node."""
        return cls(
            node.lineno,
            node.col_offset,
            node.end_lineno or node.lineno,
            node.end_col_offset or node.col_offset,
        )


@dataclass(frozen=True, slots=True)
class Replace:
    """Put `code` in the place of the expression at `span`."""

    span: Span
    code: str


@dataclass(frozen=True, slots=True)
class SetArgument:
    """Give the call at `span` the keyword argument `name=code`, replacing the one it may have."""

    span: Span
    name: str
    code: str


@dataclass(frozen=True, slots=True)
class RemoveArgument:
    """Take an argument out of the call at `span`: a position counted from 0, or a keyword's name."""

    span: Span
    argument: int | str


@dataclass(frozen=True, slots=True)
class InsertBefore:
    """Put the statements `code` on lines of their own before the statement at `span`."""

    span: Span
    code: str


@dataclass(frozen=True, slots=True)
class InsertAfter:
    """Put the statements `code` on lines of their own after the statement at `span`."""

    span: Span
    code: str


@dataclass(frozen=True, slots=True)
class RemoveStatement:
    """Take the statement at `span` out; a block left empty gets `pass`."""

    span: Span


@dataclass(frozen=True, slots=True)
class Decorate:
    """Put the decorator `code` (without `@`) next to the function at `span`."""

    span: Span
    code: str


@dataclass(frozen=True, slots=True)
class WrapInWith:
    """Put the statement at `span` inside `with code:`."""

    span: Span
    code: str


@dataclass(frozen=True, slots=True)
class AddImport:
    """Make `import module`, or `from module import name`, present at the top of the file."""

    module: str
    name: str | None = None


Edit: TypeAlias = (
    Replace
    | SetArgument
    | RemoveArgument
    | InsertBefore
    | InsertAfter
    | RemoveStatement
    | Decorate
    | WrapInWith
    | AddImport
)


@dataclass(frozen=True, slots=True)
class Fix:
    """How a finding is mended.

    `safe` keeps what the code computes or mends a certain bug, `suggested` needs a reader.
    """

    applicability: Applicability
    title: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Related:
    """A second place that a finding speaks of, such as the split that a scaler was fitted before."""

    path: str
    location: Location
    message: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem in the code: what goes wrong when it runs, where, and what to write instead."""

    rule: str
    check: str
    severity: Severity
    path: str
    location: Location
    message: str
    fix: Fix | None = None
    also_at: tuple[Location, ...] = ()
    related: tuple[Related, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """What is odd about the input itself: an unreadable file, a syntax error, a rule file that had to be guessed at.

    `code` names the kind (`syntax-error`, `unused-suppression`). `line` counts from 1 in the file, or in the `cell` of
    a notebook; None speaks of the whole file.
    """

    code: str
    severity: Literal["error", "warning"]
    path: str
    message: str
    line: int | None = None
    column: int | None = None
    cell: int | None = None
