"""What a review says: an answer for each rule, with its evidence and the next step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from mlrules_mcp.findings import Diagnostic, Finding, Severity

Status: TypeAlias = Literal["met", "broken", "no_evidence", "not_applicable"]
Effort: TypeAlias = Literal["small", "medium", "large"]
KindName: TypeAlias = Literal["deep_learning", "classical", "serving", "research_notebook", "library"]

STATUSES: tuple[Status, ...] = ("broken", "no_evidence", "met", "not_applicable")
EFFORTS: tuple[Effort, ...] = ("small", "medium", "large")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One place of a project that speaks for a rule or against it, and what it shows.

    Attributes:
        line: from 1 in the file, or in the `cell` of a notebook; None where the file or folder as a whole speaks.
        check: the static check that found it, where it speaks against the rule.
    """

    path: str
    line: int | None
    message: str
    cell: int | None = None
    check: str | None = None


@dataclass(frozen=True, slots=True)
class NextStep:
    """The smallest concrete thing that brings a project nearer to a rule.

    Attributes:
        title: what to do, as an order.
        effort: small (minutes), medium (an hour or two), large (more than a day).
        path: the file to add or to change.
        line: where in it, or in the `cell` of a notebook; None for a file to add.
        content: the text of the file to add, or what to write at that place.
    """

    title: str
    effort: Effort
    path: str
    content: str
    line: int | None = None
    cell: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a project shows of one rule.

    Attributes:
        summary: in a sentence or two: what was found, what would count and where it was looked for, or why the rule
            does not apply.
        evidence: the places, those against the rule first; at most some of them.
        more: how many further places there are.
        findings: what the static checks found against the rule, all of it.
        description: what the manifest says of the rule.
    """

    rule: str
    severity: Severity
    status: Status
    summary: str
    evidence: tuple[Evidence, ...] = ()
    more: int = 0
    findings: tuple[Finding, ...] = ()
    next_step: NextStep | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a project is (one of several things, maybe), and the places that show it."""

    name: KindName
    reasons: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """How much of a project was read."""

    files: int = 0
    python: int = 0
    notebooks: int = 0
    bytes_read: int = 0


@dataclass(frozen=True, slots=True)
class Review:
    """A project against every rule.

    Attributes:
        root: the name of the project's folder.
        answers: in the order of the manifest.
        limits: the limits that were reached, each in a sentence; empty where everything was read.
    """

    root: str
    kinds: tuple[Kind, ...]
    answers: tuple[Answer, ...]
    counts: Counts = field(default_factory=Counts)
    limits: tuple[str, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """The command line's answer: 1 where a rule is broken, else 0."""
        return int(any(answer.status == "broken" for answer in self.answers))

    @property
    def next_steps(self) -> tuple[Answer, ...]:
        """The answers that need work, in the order in which to do it: by severity, what is broken first, by effort.

        What one step does for several rules comes once.
        """
        first: dict[NextStep, Answer] = {}
        for answer in sorted(self.answers, key=_urgency):
            if answer.next_step is not None:
                first.setdefault(answer.next_step, answer)
        return tuple(first.values())


def _urgency(answer: Answer) -> tuple[int, int, int]:
    effort = EFFORTS.index(answer.next_step.effort) if answer.next_step else len(EFFORTS)
    return ({"error": 0, "warning": 1, "advice": 2}[answer.severity], STATUSES.index(answer.status), effort)
