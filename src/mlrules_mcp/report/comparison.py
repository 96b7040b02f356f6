"""What got better or worse in a project between two reviews."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from mlrules_mcp.evidence.answer import STATUSES, Review, Status
from mlrules_mcp.report.findings_text import Style, count, plain

Direction: TypeAlias = Literal["better", "worse", "other"]

DIRECTIONS: tuple[Direction, ...] = ("worse", "better", "other")
_COLOURS: dict[Direction, str | None] = {"better": "green", "worse": "red", "other": None}
_RANKS: dict[Status, int] = {"broken": 0, "no_evidence": 1, "met": 2}


class NotAReview(Exception):
    """A file that is to be compared with is no review; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Past:
    """What an earlier review said of one rule; `places` counts its evidence, all of it."""

    status: Status
    places: int


@dataclass(frozen=True, slots=True)
class Change:
    """A rule whose answer is another one than before, or that is broken in more or fewer places.

    Attributes:
        before: None for a rule that the earlier review does not know.
        after: None for a rule that is gone.
        places_before: where it was broken, if it was before and after.
        places_after: where it is broken, if it was before and after.
    """

    rule: str
    direction: Direction
    before: Status | None
    after: Status | None
    places_before: int = 0
    places_after: int = 0

    @property
    def text(self) -> str:
        """What changed, in a few words."""
        if self.before == self.after:
            return f"broken in {count(self.places_after, 'place')}, was {self.places_before:,}"
        return f"{_words(self.after) or 'no longer a rule'}, was {_words(self.before) or 'not a rule'}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that changed, what got worse first.

    Attributes:
        since: the name of the earlier review's file.
    """

    since: str
    changes: tuple[Change, ...]

    def of(self, direction: Direction) -> list[Change]:
        """The changes for the better, for the worse, or neither."""
        return [change for change in self.changes if change.direction == direction]

    @property
    def summary(self) -> str:
        """The balance in one line."""
        if not self.changes:
            return f"Nothing changed since {self.since}."
        named = {"worse": "worse", "better": "better", "other": "otherwise changed"}
        said = ", ".join(f"{len(self.of(each))} {named[each]}" for each in DIRECTIONS if self.of(each))
        return f"Since {self.since}: {said}."


def read_review(path: Path) -> dict[str, Past]:
    """The answers of a review that was written with `--format json`, by rule.

    Raises:
        NotAReview: it can't be read, or is something else.
    """
    hint = "Compare with a file written by: mlrules-mcp review --format json"
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise NotAReview(f"{path} can't be read: {error.strerror or error}. {hint}") from None
    except (ValueError, RecursionError):
        raise NotAReview(f"{path} is not JSON. {hint}") from None
    rules = data.get("rules") if isinstance(data, dict) else None
    if not isinstance(rules, list) or not rules:
        raise NotAReview(f"{path} is not a review: it has no list of rules. {hint}")
    return dict(_past(rule, path, hint) for rule in rules)


def _past(rule: Any, path: Path, hint: str) -> tuple[str, Past]:
    match rule:
        case {"rule": str(name), "status": str(status)} if status in STATUSES:
            evidence, more = rule.get("evidence"), rule.get("more")
            places = (len(evidence) if isinstance(evidence, list) else 0) + (more if isinstance(more, int) else 0)
            return name, Past(status, places)
    raise NotAReview(f"{path} is not a review: a rule of it has no name or no known status. {hint}")


def compare(before: Mapping[str, Past], after: Review, since: str) -> Comparison:
    """What changed between an earlier review and this one."""
    now = {answer.rule: Past(answer.status, len(answer.evidence) + answer.more) for answer in after.answers}
    names = [*now, *(name for name in before if name not in now)]
    changes = [change for name in names for change in _change(name, before.get(name), now.get(name))]
    return Comparison(since, tuple(sorted(changes, key=lambda change: DIRECTIONS.index(change.direction))))


def _change(rule: str, before: Past | None, after: Past | None) -> Iterator[Change]:
    if before is None or after is None:
        yield Change(rule, "other", before.status if before else None, after.status if after else None)
    elif before.status != after.status:
        yield Change(rule, _direction(before.status, after.status), before.status, after.status)
    elif after.status == "broken" and before.places != after.places:
        direction: Direction = "better" if after.places < before.places else "worse"
        yield Change(rule, direction, "broken", "broken", before.places, after.places)


def _direction(before: Status, after: Status) -> Direction:
    """A rule that begins to apply is worse if it is broken at once; else that a rule applies or not is neither."""
    if before == "not_applicable" and after == "broken":
        return "worse"
    if before == "not_applicable" or after == "not_applicable":
        return "other"
    return "better" if _RANKS[after] > _RANKS[before] else "worse"


def comparison_data(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain data for JSON."""
    return {
        "since": comparison.since,
        **{
            direction: [
                {
                    "rule": change.rule,
                    "before": change.before,
                    "after": change.after,
                    "places_before": change.places_before,
                    "places_after": change.places_after,
                }
                for change in comparison.of(direction)
            ]
            for direction in DIRECTIONS
        },
    }


def comparison_text(comparison: Comparison, style: Style = plain) -> str:
    """The comparison for terminals and assistants."""
    lines = [style(comparison.summary, bold=True)]
    for change in comparison.changes:
        direction = style(f"{change.direction:6}", fg=_COLOURS[change.direction], bold=True)
        lines.append(f"  {direction}  {change.rule}: {change.text}")
    return "\n".join(lines)


def _words(status: Status | None) -> str:
    return status.replace("_", " ") if status else ""
