"""A review as Markdown for a pull request: short, the rest folded away, places linked.

What is quoted comes from the project that is reviewed: Markdown and HTML in it are escaped, and it notifies nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from mlrules_mcp.evidence.answer import Answer, Evidence, NextStep, Review, Status
from mlrules_mcp.findings import Diagnostic
from mlrules_mcp.manifest.hidden import visible
from mlrules_mcp.report.comparison import Comparison, Direction
from mlrules_mcp.report.findings_text import count
from mlrules_mcp.report.review_html import about, verdict

# What GitHub takes as a comment: 65,536 characters.
_MOST_CHARACTERS = 60_000
_MOST_PLACES = 5
_MOST_STEPS = 5
_MARKS: dict[Status, str] = {"met": "✅", "broken": "❌", "no_evidence": "❔", "not_applicable": "➖"}
_TURNS: dict[Direction, str] = {"better": "📈 better", "worse": "📉 worse", "other": "other"}
_TITLES: dict[Status, str] = {
    "broken": "Broken",
    "no_evidence": "No evidence",
    "met": "Met",
    "not_applicable": "Not applicable",
}


def review_markdown(review: Review, comparison: Comparison | None = None) -> str:
    """The review in at most as many characters as a comment may have; what is left out is said."""
    parts = list(_parts(review, comparison))
    kept: list[str] = []
    room = _MOST_CHARACTERS
    for number, part in enumerate(parts):
        room -= len(part) + 2
        if room < 0:
            kept.append(f"_{count(len(parts) - number, 'part')} left out for their length: see `--format html`._")
            break
        kept.append(part)
    return "\n\n".join(kept)


def _parts(review: Review, comparison: Comparison | None) -> Iterator[str]:
    yield f"### {_text(review.root)}: {verdict(review)}"
    by_status = {status: [each for each in review.answers if each.status == status] for status in _TITLES}
    counts = [
        f"{_MARKS[status]} {len(answers)} {_TITLES[status].lower()}" for status, answers in by_status.items() if answers
    ]
    yield " · ".join([*counts, _text(about(review))])
    if comparison is not None:
        yield _changes(comparison)
    steps = [(answer, answer.next_step) for answer in review.next_steps if answer.next_step]
    if steps:
        yield "\n".join(["**What to do next**", "", *(_step(*each) for each in steps[:_MOST_STEPS])])
    for status, answers in by_status.items():
        if answers:
            items = _reasons(answers) if status == "not_applicable" else map(_rule, answers)
            yield _folded(f"{_MARKS[status]} {_TITLES[status]} ({len(answers)})", items)
    if steps:
        yield _folded(f"The steps in full ({len(steps)})", (_whole(*each) for each in steps))
    unread = [*map(_text, review.limits), *(f"{_place(each)} {_text(each.message)}" for each in review.diagnostics)]
    if unread:
        more = [f"and {len(unread) - 20} more"] if len(unread) > 20 else []
        yield _folded(f"What was not read ({len(unread)})", (f"- {each}" for each in [*unread[:20], *more]))


def _changes(comparison: Comparison) -> str:
    lines = [f"- {_TURNS[change.direction]}: `{change.rule}` {_text(change.text)}" for change in comparison.changes]
    return "\n".join([f"**{_text(comparison.summary)}**", *([""] if lines else []), *lines])


def _step(answer: Answer, step: NextStep) -> str:
    return f"1. {_text(step.title)} (`{answer.rule}`, {answer.severity}, {step.effort} effort)"


def _rule(answer: Answer) -> str:
    lines = [f"- **{_text(answer.description or answer.rule)}** (`{answer.rule}`, {answer.severity})  "]
    lines.append(f"  {_text(answer.summary)}")
    lines += [
        f"  - {_place(each)} {_text(each.message)}" + (f" ({_code(each.check)})" if each.check else "")
        for each in answer.evidence[:_MOST_PLACES]
    ]
    more = answer.more + max(0, len(answer.evidence) - _MOST_PLACES)
    return "\n".join([*lines, *([f"  - and {more:,} more"] if more else [])])


def _reasons(answers: Iterable[Answer]) -> Iterator[str]:
    rules: dict[str, list[str]] = {}
    for answer in answers:
        rules.setdefault(answer.summary, []).append(f"`{answer.rule}`")
    for reason, names in rules.items():
        yield f"- {_text(reason)} {', '.join(names)}"


def _whole(answer: Answer, step: NextStep) -> str:
    where = f"{_link(step.path, step.line)}" if step.line else f"add {_code(step.path)}"
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", step.content)), default=0))
    language = "python" if step.path.endswith(".py") else ""
    content = "\n".join(visible(line) for line in step.content.rstrip().splitlines())
    return f"**{_text(step.title)}** ({where}, `{answer.rule}`)\n\n{fence}{language}\n{content}\n{fence}\n"


def _folded(title: str, items: Iterable[str]) -> str:
    return "\n".join(["<details>", f"<summary>{title}</summary>", "", *items, "", "</details>"])


def _place(each: Evidence | Diagnostic) -> str:
    if each.cell is None:
        return _link(each.path, each.line)
    return f"{_link(each.path)} cell {each.cell}" + (f" line {each.line}" if each.line else "")


def _link(path: str, line: int | None = None) -> str:
    """A link that leads, from a comment or a file at the project's root, to the line."""
    target = quote(path.encode("utf-8", "surrogateescape"), safe="/._-")
    return f"[{_code(f'{path}:{line}' if line else path)}](./{target}{f'#L{line}' if line else ''})"


def _code(text: str) -> str:
    """Text as code, whatever backticks it has."""
    text = visible(text).replace("\n", " ")
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence, space = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{space}{text}{space}{fence}"


def _text(text: str) -> str:
    """Text on one line in which nothing is Markdown, HTML, a mention or a reference; parts in backticks stay code."""
    pieces = re.split(r"(`[^`\n]+`)", visible(" ".join(text.split())))
    written = "".join(piece if number % 2 else _escaped(piece) for number, piece in enumerate(pieces))
    # What makes a heading or a list at the start of a line.
    return re.sub(r"^(\d+(?=[.)])|(?=[#+=-]))", r"\1\\", written)


def _escaped(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*_\[\]|~])", r"\\\1", text)
    # A character of no width keeps GitHub from mentioning people, linking issues and linking addresses.
    return re.sub(r"(?<=[@#])(?=\w)|(?<=:)(?=//)|(?<=www)(?=\.)", "&#8203;", text)
