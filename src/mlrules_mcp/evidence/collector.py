"""What a collector is: one class that answers for one rule, with its documentation and examples."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from mlrules_mcp.evidence.answer import Answer, Evidence, NextStep, Status
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.findings import Finding, Severity

if TYPE_CHECKING:
    from mlrules_mcp.evidence.code import Fact
    from mlrules_mcp.evidence.facts import Facts
    from mlrules_mcp.evidence.tree import Role
    from mlrules_mcp.source import Module

SECTIONS = ("Met", "Broken", "Not applicable", "Never counts", "References")
Need: TypeAlias = Literal["code", "training", "data", "deep_learning", "pytorch", "classical", "serving"]

_MOST_PLACES = 10


@dataclass(frozen=True, slots=True)
class Example:
    """A small project and the answer for it.

    Attributes:
        files: path -> text. Python code that is cut from inside a function may be indented.
        status: the expected one.
        places: the expected evidence in its order, each `path:line` (`path:cell:line` in a notebook, `path` alone for
            a whole file); None leaves it open.
        why: what the example shows, where it does not speak for itself.
    """

    files: Mapping[str, str]
    status: Status
    places: Sequence[str] | None = None
    why: str = ""


class Collector:
    """Answers for one rule from what a project shows.

    A collector is a subclass in a file of its own, `evidence/<block>/<rule id>.py`. It documents itself in the fixed
    SECTIONS, and its `examples` are its tests. A rule is

    - not applicable where `not_applicable` gives a reason (by default: one of `needs` is missing),
    - broken where a static check of the rule has an error or a warning in the project's own code, or where
      `contradictions` yields a place; what speaks for the rule is shown too, and does not make up for it,
    - met where `evidence` yields a place,
    - else without evidence.

    Attributes:
        asks: what has to be remembered of the code for it.
        needs: what a project must have for the rule to apply.
        would_count: what would be evidence, as the end of the sentence "This would count: …".
        shown_by_examples: whether the examples of a library meet the rule for it; else its users have to.
        looked_in: where it was looked for, as the end of the sentence "Looked in …".
        rule: the key, `block.id`.
        severity: that of the rule in the manifest.
    """

    asks: ClassVar[Asked] = Asked()
    needs: ClassVar[tuple[Need, ...]] = ("code",)
    would_count: ClassVar[str] = ""
    shown_by_examples: ClassVar[bool] = False
    looked_in: ClassVar[str] = "the code and notebooks"
    examples: ClassVar[Sequence[Example]] = ()

    rule: ClassVar[str]

    def __init_subclass__(cls) -> None:
        cls.rule = ".".join(cls.__module__.split(".")[-2:])

    def __init__(self, severity: Severity = "warning") -> None:
        self.severity = severity

    def not_applicable(self, project: Facts) -> str | None:
        """Why the rule says nothing about a project; None where it applies."""
        return next((reason for need in self.needs if (reason := project.lacks(need))), None)

    def look(self, module: Module, role: Role) -> Iterator[Fact]:
        """What to remember of a module beyond what `asks` can say; `Facts.notes` gives it back. Override it sparingly:
        it is called for every file."""
        yield from ()

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """The places that show that the rule is kept, the clearest first."""
        yield from ()

    def contradictions(self, project: Facts) -> Iterator[Evidence]:
        """Places that show that the rule is broken and that no static check reports."""
        yield from ()

    def next_step(self, project: Facts) -> NextStep | None:
        """What to do first where the rule is broken by no finding, or without evidence."""
        return None

    def collect(self, project: Facts) -> Answer:
        """The answer for a project."""
        findings = project.findings(self.rule)
        against = [*map(_of_finding, findings), *self.contradictions(project)]
        reason = self.not_applicable(project) if not against else None
        if reason and not (self.shown_by_examples and project.library):
            return self._answer("not_applicable", reason)
        met = list(dict.fromkeys(self.evidence(project)))
        if against:
            answer = self._answer("broken", _broken(findings, against), [*against, *met], findings)
            return replace(answer, next_step=mend(project, findings) if findings else self.next_step(project))
        if met:
            return self._answer("met", _found(met), met)
        if reason:
            return self._answer("not_applicable", reason)
        summary = f"Nothing shows it. This would count: {self.would_count}. Looked in {self.looked_in}{project.extent}."
        return replace(self._answer("no_evidence", summary), next_step=self.next_step(project))

    def _answer(
        self, status: Status, summary: str, places: Sequence[Evidence] = (), findings: Iterable[Finding] = ()
    ) -> Answer:
        more = max(0, len(places) - _MOST_PLACES)
        return Answer(self.rule, self.severity, status, summary, tuple(places[:_MOST_PLACES]), more, tuple(findings))


class CodeCollector(Collector):
    """Answers for a rule that the static checks decide: broken by what they find, met where `evidence` shows code that
    the rule is about and they find nothing in it, else not applicable. Never met where there was nothing to look at."""

    nothing_there: ClassVar[str]

    def collect(self, project: Facts) -> Answer:
        """The answer for a project."""
        answer = super().collect(project)
        if answer.status == "no_evidence":
            return self._answer("not_applicable", self.nothing_there)
        return answer


def mend(project: Facts, findings: Sequence[Finding]) -> NextStep:
    """The step that mends the first of some findings, and says how to go on with the others."""
    first = findings[0]
    checks = sorted({finding.check for finding in findings})
    paths = sorted({finding.path for finding in findings})
    fixable = [finding.fix for finding in findings if finding.fix]
    safe = any(fix.applicability == "safe" for fix in fixable)
    count = sum(1 + len(finding.also_at) for finding in findings)
    where = first.path if len(paths) == 1 else f"{first.path} and {len(paths) - 1} more"
    lines = [first.message]
    if fixable:
        how = "--fix" if safe else "--fix --suggested"
        lines += ["", f"mlrules-mcp check {how} --select {','.join(checks)} {' '.join(map(_quoted, paths[:5]))}"]
    title = f"Mend {first.check}" if len(checks) == 1 else f"Mend {first.check} and {len(checks) - 1} more kinds"
    return NextStep(
        f"{title} in {where}",
        "small" if safe or count <= 3 else "medium" if count <= 30 else "large",
        first.path,
        "\n".join(lines),
        first.location.line,
        first.location.cell,
    )


def documentation(collector: type[Collector]) -> dict[str, str]:
    """A collector's docstring by section; its first lines are under `summary`."""
    summary, *sections = re.split(r"^## (.+)$", inspect.cleandoc(collector.__doc__ or ""), flags=re.MULTILINE)
    return {"summary": summary.strip(), **dict(zip(sections[::2], map(str.strip, sections[1::2]), strict=True))}


def _of_finding(finding: Finding) -> Evidence:
    return Evidence(finding.path, finding.location.line, finding.message, finding.location.cell, finding.check)


def _broken(findings: Sequence[Finding], against: Sequence[Evidence]) -> str:
    if not findings:
        return against[0].message
    checks = ", ".join(sorted({finding.check for finding in findings}))
    places = sum(1 + len(finding.also_at) for finding in findings)
    said = "places in the code break it" if places > 1 else "place in the code breaks it"
    return f"{places} {said}: {checks}."


def _found(met: Sequence[Evidence]) -> str:
    return met[0].message if len(met) == 1 else f"{met[0].message} (and {len(met) - 1} more)"


def _quoted(path: str) -> str:
    return f'"{path}"' if " " in path else path
