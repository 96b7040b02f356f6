"""How right the checks are: what people judged of their findings, recomputed with the checks as they are now.

Run: python benchmarks/accuracy.py CORPUS, a folder with a copy of each repository of the verdicts as `owner/name`,
at the commit that stands in `benchmarks/accuracy/verdicts/`. A verdict counts while the checks still report its
place. Prints the precision of each check at each severity, and how much they say about good library code.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from mlrules_mcp.analysis.engine import analyze_files
from mlrules_mcp.analysis.files import python_files
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.findings import SEVERITIES, Finding, Severity
from mlrules_mcp.source import Project

VERDICTS = Path(__file__).with_name("accuracy") / "verdicts"
# The part of a check's findings that has to be right.
GOALS: dict[Severity, float] = {"error": 0.95, "warning": 0.90, "advice": 0.80}
# Library code that many people have reviewed: the folder of each that holds the library itself.
LIBRARIES = {
    "Lightning-AI/pytorch-lightning": "src",
    "pyg-team/pytorch_geometric": "torch_geometric",
    "huggingface/pytorch-image-models": "timm",
    "huggingface/accelerate": "src",
    "huggingface/diffusers": "src",
    "scikit-learn-contrib/imbalanced-learn": "imblearn",
    "fairlearn/fairlearn": "fairlearn",
    "SeldonIO/alibi": "alibi",
}
MOST_IN_LIBRARIES = 2.0  # findings, advice aside, per 1,000 lines
CONSOLE = Console()


class Place(NamedTuple):
    """Where a check reports something; `cell` is None outside notebooks, `line` counts from 1."""

    check: str
    repository: str
    path: str
    cell: int | None
    line: int


class Row(NamedTuple):
    """The verdicts on what one check reports at one severity."""

    check: str
    severity: Severity
    right: int
    wrong: int
    unjudged: int

    @property
    def precision(self) -> float | None:
        """The part of the judged findings that is right; None where none is judged."""
        judged = self.right + self.wrong
        return self.right / judged if judged else None


def main(corpus: Path) -> None:
    """Run the checks over the corpus and print the tables."""
    verdicts = dict(read_verdicts(VERDICTS))
    missing = []
    findings: dict[str, list[Finding]] = {}
    for repository in sorted({place.repository for place in verdicts} | set(LIBRARIES)):
        folder = (corpus / repository).resolve()  # a project is its real folder
        if folder.is_dir():
            findings[repository] = findings_in(folder)
        else:
            missing.append(repository)
    if missing:
        CONSOLE.print(f"Not in {corpus}, so left out: {', '.join(missing)}")
    here = {place: verdict for place, verdict in verdicts.items() if place.repository in findings}
    rows = judged(here, findings)
    CONSOLE.print(_precision_table(rows, gone(here, findings)))
    CONSOLE.print(_total_table(rows))
    CONSOLE.print(_library_table(corpus, findings))


def read_verdicts(folder: Path) -> Iterator[tuple[Place, bool]]:
    """The judged places, each with whether the finding there is right."""
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            data = json.loads(line)
            place = Place(data["check"], data["repository"], data["path"], data["cell"], data["line"])
            yield place, data["verdict"]


def findings_in(folder: Path) -> list[Finding]:
    """What all checks find in a repository."""
    return list(analyze_files(python_files([folder]), Catalogue(), Project(folder)).findings)


def judged(verdicts: dict[Place, bool], findings: dict[str, list[Finding]]) -> list[Row]:
    """For each check and severity, how many of its findings are judged right, wrong, or not at all.

    One finding may stand for several places: it is right when all those of them are that were judged.
    """
    counts: dict[tuple[str, Severity], Counter[bool | None]] = defaultdict(Counter)
    for repository, found in findings.items():
        for finding in found:
            known = [verdicts[place] for place in places(repository, finding) if place in verdicts]
            counts[finding.check, finding.severity][all(known) if known else None] += 1
    return [
        Row(check, severity, count[True], count[False], count[None])
        for (check, severity), count in sorted(
            counts.items(), key=lambda item: (item[0][0], SEVERITIES.index(item[0][1]))
        )
    ]


def gone(verdicts: dict[Place, bool], findings: dict[str, list[Finding]]) -> dict[str, Counter[bool]]:
    """For each check, how many places that were judged are reported no longer, by what was said of them."""
    reported = {
        place for repository, found in findings.items() for finding in found for place in places(repository, finding)
    }
    result: dict[str, Counter[bool]] = defaultdict(Counter)
    for place, verdict in verdicts.items():
        if place not in reported:
            result[place.check][verdict] += 1
    return result


def places(repository: str, finding: Finding) -> Iterator[Place]:
    """All places that a finding stands for."""
    for location in (finding.location, *finding.also_at):
        yield Place(finding.check, repository, finding.path, location.cell, location.line)


def _precision_table(rows: Iterable[Row], no_longer: dict[str, Counter[bool]]) -> Table:
    table = _table(
        "Precision", "check", "severity", "right", "wrong", "precision", "goal", "unjudged", "gone (right/wrong)"
    )
    for row in rows:
        old = no_longer[row.check]
        table.add_row(
            row.check,
            row.severity,
            str(row.right),
            str(row.wrong),
            _share(row),
            f"{GOALS[row.severity]:.0%}",
            str(row.unjudged),
            f"{old[True]}/{old[False]}",
        )
    return table


def _total_table(rows: list[Row]) -> Table:
    table = _table("All checks", "severity", "checks", "right", "wrong", "precision", "goal", "checks below goal")
    for severity in SEVERITIES:
        some = [row for row in rows if row.severity == severity]
        total = Row("", severity, sum(r.right for r in some), sum(r.wrong for r in some), 0)
        below = [r.check for r in some if r.precision is not None and r.precision < GOALS[severity]]
        table.add_row(
            severity,
            str(len(some)),
            str(total.right),
            str(total.wrong),
            _share(total),
            f"{GOALS[severity]:.0%}",
            ", ".join(below) or "–",
        )
    return table


def _library_table(corpus: Path, findings: dict[str, list[Finding]]) -> Table:
    title = f"Findings in library code, advice aside (at most {MOST_IN_LIBRARIES:g} per 1,000 lines)"
    table = _table(title, "library", "lines", "findings", "per 1,000 lines", "most from")
    for repository, part in LIBRARIES.items():
        if repository not in findings:
            continue
        found = [f.check for f in findings[repository] if f.severity != "advice" and f.path.startswith(f"{part}/")]
        lines = sum(
            len(file.read_bytes().splitlines())
            for file in python_files([corpus / repository / part])
            if isinstance(file, Path)
        )
        most = ", ".join(f"{check} {count}" for check, count in Counter(found).most_common(3))
        table.add_row(f"{repository}/{part}", f"{lines:,}", str(len(found)), f"{len(found) / lines * 1000:.2f}", most)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    return table


def _share(row: Row) -> str:
    return "–" if row.precision is None else f"{row.precision:.1%}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
