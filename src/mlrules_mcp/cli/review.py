"""The command `review`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlrules_mcp.cli.shared import Failure, format_option, load_catalogue, manifests_option, to_json

if TYPE_CHECKING:
    from mlrules_mcp.catalogue import Catalogue
    from mlrules_mcp.evidence.answer import Review
    from mlrules_mcp.report.comparison import Comparison, Past


@click.command()
@click.argument("root", default=".", type=click.Path(path_type=Path))
@format_option("text", "json", "html", "markdown", "badge")
@click.option("--step", metavar="RULE", help="One rule's answer and its next step in full, with the file to add.")
@click.option(
    "--compare",
    "old",
    metavar="OLD.json",
    type=click.Path(path_type=Path),
    help="Say what got better or worse since an earlier review, which --format json wrote.",
)
@click.option("--all", "everything", is_flag=True, help="Show every place that is known of each rule.")
@click.option(
    "--time-limit", default=120.0, type=click.FloatRange(min=0.1), metavar="SECONDS", help="For reading. Default: 120."
)
@manifests_option
def review(
    root: Path,
    output: str,
    step: str | None,
    old: Path | None,
    everything: bool,
    time_limit: float,
    manifests: tuple[Path, ...],
) -> None:
    """Review the project in a folder (by default this one) against every rule, with evidence.

    Each rule is met, broken, without evidence, or not applicable, with the places that show it, or with what would
    count and where it was looked for. Code, notebooks, settings, documents and the git history are read, and nothing
    is run.

    --format html prints a page that works offline, markdown a comment for a pull request, badge an SVG for a README:
    review --format html > review.html

    Exit code: 0 nothing is broken, 1 something is, 2 it could not run.
    """
    from mlrules_mcp.evidence.limits import Limits
    from mlrules_mcp.evidence.review import NothingToReview
    from mlrules_mcp.evidence.review import review as review_project
    from mlrules_mcp.report.comparison import compare
    from mlrules_mcp.report.progress import review_progress
    from mlrules_mcp.report.review_data import answer_data
    from mlrules_mcp.report.review_text import step_text

    if step and output not in ("text", "json"):
        raise click.UsageError(f"--step gives one rule's answer as text or JSON, not as {output}.")
    if old and (step or output == "badge"):
        raise click.UsageError("--compare is for a whole review, as text, JSON, HTML or Markdown.")
    catalogue = load_catalogue(manifests)
    before = _before(old) if old else None
    rule = _rule(catalogue, step) if step else None
    try:
        with review_progress() as progress:
            result = review_project(root, catalogue, Limits(seconds=time_limit), progress)
    except NothingToReview as error:
        raise Failure(str(error)) from None
    if rule is not None:
        answer = next(answer for answer in result.answers if answer.rule == rule)
        click.echo(to_json(answer_data(answer)) if output == "json" else step_text(answer, click.style))
        sys.exit(int(answer.status == "broken"))
    comparison = compare(before, result, old.name) if before is not None and old else None
    click.echo(_written(result, comparison, output, sys.maxsize if everything else 3))
    sys.exit(result.exit_code)


def _before(old: Path) -> dict[str, Past]:
    """The earlier review's answers."""
    from mlrules_mcp.report.comparison import NotAReview, read_review

    try:
        return read_review(old)
    except NotAReview as error:
        raise Failure(str(error)) from None


def _written(result: Review, comparison: Comparison | None, output: str, places: int) -> str:
    from mlrules_mcp.report import badge, review_data, review_html, review_markdown, review_text
    from mlrules_mcp.report import comparison as changes

    match output:
        case "json":
            compared = {"comparison": changes.comparison_data(comparison)} if comparison else {}
            return to_json(review_data.review_data(result) | compared)
        case "html":
            return review_html.review_html(result, comparison)
        case "markdown":
            return review_markdown.review_markdown(result, comparison)
        case "badge":
            return badge.badge(result)
    text = review_text.project_review_text(result, click.style, places=places)
    return f"{text}\n\n{changes.comparison_text(comparison, click.style)}" if comparison else text


def _rule(catalogue: Catalogue, name: str) -> str:
    """The key of the one rule that a name means."""
    from mlrules_mcp.manifest.model import RuleNameError

    try:
        return catalogue.rules.rule(name).key
    except RuleNameError as error:
        raise Failure(str(error)) from None
