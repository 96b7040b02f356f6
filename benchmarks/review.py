"""How right the project review is: what people answered after reading repositories, beside what the review says now.

Run: python benchmarks/review.py CORPUS [REPOSITORY …], CORPUS being a folder with a copy of each repository of
`benchmarks/review/answers/`, by its name, at the commit that stands there. Prints for each repository how many of the
answers are right, and every wrong one; `--places` also lists evidence of the review that lies elsewhere than the
people's. An answer counts as right where it is the people's own, or another that they hold acceptable; `exact` counts
their own alone. Repositories with `first_run` were answered before the review had ever run on them, and nothing was
mended before those figures were taken: they tell how it does on what it does not know.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from mlrules_mcp.evidence.answer import Answer, Evidence, Review
from mlrules_mcp.evidence.review import review

ANSWERS = Path(__file__).with_name("review") / "answers"
GOAL = 0.95
CONSOLE = Console(soft_wrap=True)


class Wrong(NamedTuple):
    """An answer of the review that people would not give."""

    rule: str
    said: Answer
    truth: dict[str, Any]


class Row(NamedTuple):
    """One repository: what people found it to be, and how the review did."""

    repository: str
    kinds: list[str]
    first: dict[str, int] | None
    right: int
    exact: int
    wrong: list[Wrong]
    review: Review


def main(arguments: list[str]) -> int:
    """Print the table and what is wrong; 1 where the goal is missed."""
    names = [argument for argument in arguments if not argument.startswith("--")]
    if not names or not Path(names[0]).is_dir():
        CONSOLE.print(__doc__)
        return 2
    corpus, wanted = Path(names[0]), set(names[1:])
    rows = list(_rows(corpus, wanted))
    if not rows:
        CONSOLE.print(f"None of the repositories of {ANSWERS.name}/ lies in {corpus}.")
        return 2
    CONSOLE.print(_table(rows))
    for row in rows:
        for wrong in row.wrong:
            _explain(row.repository, wrong)
        if "--places" in arguments:
            _places(row)
    right, total = sum(row.right for row in rows), sum(row.right + len(row.wrong) for row in rows)
    return int(right / total < GOAL)


def _rows(corpus: Path, wanted: set[str]) -> Iterator[Row]:
    for file in sorted(ANSWERS.glob("*.json")):
        truth = json.loads(file.read_text(encoding="utf-8"))
        name = truth["repository"].rpartition("/")[2]
        if (wanted and name not in wanted) or not (corpus / name).is_dir():
            continue
        result = review(corpus / name)
        answers = {answer.rule: answer for answer in result.answers}
        wrong = [
            Wrong(rule, answers[rule], each)
            for rule, each in truth["rules"].items()
            if answers[rule].status not in {each["status"], *each.get("also_acceptable", ())}
        ]
        exact = sum(answers[rule].status == each["status"] for rule, each in truth["rules"].items())
        right = len(truth["rules"]) - len(wrong)
        yield Row(truth["repository"], truth["kinds"], truth.get("first_run"), right, exact, wrong, result)


def _table(rows: list[Row]) -> Table:
    table = Table("repository", "kind", "right", "exact", "of", "seconds", "peak MiB", title="Answers of the review")
    for row in rows:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        cells = (row.right, row.exact, row.right + len(row.wrong), f"{row.review.seconds:.1f}", memory)
        table.add_row(row.repository, ", ".join(row.kinds), *map(str, cells))
    total = sum(row.right + len(row.wrong) for row in rows)
    table.add_section()
    _add_sum(table, f"all {len(rows)}", sum(row.right for row in rows), sum(row.exact for row in rows), total)
    if unknown := [row for row in rows if row.first]:
        firsts = [row.first for row in unknown if row.first]
        total = sum(row.right + len(row.wrong) for row in unknown)
        right, exact = sum(each["right"] for each in firsts), sum(each["exact"] for each in firsts)
        _add_sum(table, f"{len(unknown)} of them, at the first run", right, exact, total)
    return table


def _add_sum(table: Table, label: str, right: int, exact: int, total: int) -> None:
    share = f"{right / total:.1%} right, {exact / total:.1%} exact"
    table.add_row(label, share, str(right), str(exact), str(total))


def _explain(repository: str, wrong: Wrong) -> None:
    CONSOLE.print(f"[bold]{repository}[/] {wrong.rule}: {wrong.said.status}, should be {wrong.truth['status']}")
    CONSOLE.print(f"    people: {wrong.truth['why']} {' '.join(wrong.truth.get('places', ()))}", markup=False)
    CONSOLE.print(f"    review: {wrong.said.summary}", markup=False)
    for place in wrong.said.evidence[:3]:
        CONSOLE.print(f"        {_where(place)}: {place.message}", markup=False)


def _places(row: Row) -> None:
    for answer in row.review.answers:
        if answer.status in ("met", "broken"):
            place = answer.evidence[0]
            CONSOLE.print(f"{answer.status} {answer.rule} {_where(place)}: {place.message[:150]}", markup=False)


def _where(place: Evidence) -> str:
    return ":".join(str(part) for part in (place.path, place.cell, place.line) if part is not None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
