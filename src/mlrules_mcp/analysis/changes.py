"""What an edit changed: which findings are new since an earlier text, and which are gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from mlrules_mcp.analysis.engine import Analysis
from mlrules_mcp.findings import Finding, Location
from mlrules_mcp.source import SourceFile

# Comparing lines takes the square of their number at worst; beyond, places are told apart by their text alone.
_MOST_LINES = 4_000


@dataclass(frozen=True, slots=True)
class Changes:
    """What two analyses of one file differ in.

    Attributes:
        new: the later analysis with only those findings and places that the earlier text did not have.
        unchanged: how many places of the later analysis the earlier one had too.
        resolved: how many places of the earlier one are gone.
    """

    new: Analysis
    unchanged: int
    resolved: int

    def __add__(self, other: Changes) -> Changes:
        """Those of several files together."""
        return Changes(self.new + other.new, self.unchanged + other.unchanged, self.resolved + other.resolved)


@dataclass(frozen=True, slots=True)
class _Place:
    finding: int
    check: str
    location: Location
    line: int
    text: str


def changes(before: tuple[SourceFile, Analysis], after: tuple[SourceFile, Analysis]) -> Changes:
    """Compare the findings of two states of a file, whatever lines were moved.

    A place is the same where its check reported it before on the line that this line was; else where the check
    reported a line of the same text, as when a function was moved; else where the lines around were rewritten and the
    check reported something there before.
    """
    old, new = _places(*before), _places(*after)
    lines = _Lines(before[0].lines, after[0].lines)
    keys: list[tuple[Callable[[_Place], Hashable | None], Callable[[_Place], Hashable | None]]] = [
        (lambda place: lines.kept.get(place.line), lambda place: place.line),
        (lambda place: place.text, lambda place: place.text),
        (lambda place: lines.old_hunk(place.line), lambda place: lines.new_hunk(place.line)),
    ]
    found = len(new)
    for of_old, of_new in keys:
        old, new = _unmatched(old, of_old, new, of_new)
    findings = tuple(_regrouped(after[1].findings, new))
    return Changes(replace(after[1], findings=findings), found - len(new), len(old))


def _places(source: SourceFile, analysis: Analysis) -> list[_Place]:
    places = []
    for number, finding in enumerate(analysis.findings):
        for location in (finding.location, *finding.also_at):
            line = source.code_line(location)
            text = source.lines[line - 1].strip() if 0 < line <= len(source.lines) else ""
            places.append(_Place(number, finding.check, location, line, text))
    return places


def _unmatched(
    old: list[_Place],
    key_of_old: Callable[[_Place], Hashable | None],
    new: list[_Place],
    key_of_new: Callable[[_Place], Hashable | None],
) -> tuple[list[_Place], list[_Place]]:
    """The places without a partner of the same check and key on the other side; each is the partner of one."""
    there = Counter((place.check, key) for place in old if (key := key_of_old(place)) is not None)
    taken: Counter[tuple[str, Hashable]] = Counter()
    left_new = []
    for place in new:
        key = (place.check, key_of_new(place))
        if key[1] is not None and taken[key] < there[key]:
            taken[key] += 1
        else:
            left_new.append(place)
    left_old = []
    for place in old:
        key = (place.check, key_of_old(place))
        if taken[key] > 0:
            taken[key] -= 1
        else:
            left_old.append(place)
    return left_old, left_new


class _Lines:
    """Which line became which: `kept` from old to new, and the stretches that were rewritten."""

    def __init__(self, old: Sequence[str], new: Sequence[str]) -> None:
        self.kept: dict[int, int] = {}
        self._hunks: list[tuple[range, range]] = []
        head = _common(zip(old, new, strict=False))
        tail = _common(zip(reversed(old[head:]), reversed(new[head:]), strict=False))
        self._keep(0, 0, head)
        self._keep(len(old) - tail, len(new) - tail, tail)
        old_middle, new_middle = old[head : len(old) - tail], new[head : len(new) - tail]
        if max(len(old_middle), len(new_middle)) > _MOST_LINES:
            return
        for tag, i1, i2, j1, j2 in SequenceMatcher(None, old_middle, new_middle, autojunk=False).get_opcodes():
            if tag == "equal":
                self._keep(head + i1, head + j1, i2 - i1)
            elif tag == "replace":
                self._hunks.append((range(head + i1 + 1, head + i2 + 1), range(head + j1 + 1, head + j2 + 1)))

    def _keep(self, old: int, new: int, number: int) -> None:
        self.kept.update((old + each, new + each) for each in range(1, number + 1))

    def old_hunk(self, line: int) -> int | None:
        """The number of the rewritten stretch that an old line lies in."""
        return next((number for number, (old, _) in enumerate(self._hunks) if line in old), None)

    def new_hunk(self, line: int) -> int | None:
        """The number of the rewritten stretch that a new line lies in."""
        return next((number for number, (_, new) in enumerate(self._hunks) if line in new), None)


def _common(pairs: Iterable[tuple[str, str]]) -> int:
    number = 0
    for one, other in pairs:
        if one != other:
            break
        number += 1
    return number


def _regrouped(findings: Sequence[Finding], places: Iterable[_Place]) -> Iterable[Finding]:
    """The findings that have some of the places, each with those alone."""
    by_finding: dict[int, list[Location]] = {}
    for place in places:
        by_finding.setdefault(place.finding, []).append(place.location)
    for number, (first, *others) in by_finding.items():
        yield replace(findings[number], location=first, also_at=tuple(others))
