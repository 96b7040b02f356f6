"""The command `review`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlrules_mcp.cli.shared import Failure, format_option, load_catalogue, manifests_option, to_json

if TYPE_CHECKING:
    from mlrules_mcp.catalogue import Catalogue


@click.command()
@click.argument("root", default=".", type=click.Path(path_type=Path))
@format_option("text", "json")
@click.option("--step", metavar="RULE", help="One rule's answer and its next step in full, with the file to add.")
@click.option("--all", "everything", is_flag=True, help="Show every place that is known of each rule.")
@click.option(
    "--time-limit", default=120.0, type=click.FloatRange(min=0.1), metavar="SECONDS", help="For reading. Default: 120."
)
@manifests_option
def review(
    root: Path, output: str, step: str | None, everything: bool, time_limit: float, manifests: tuple[Path, ...]
) -> None:
    """Review the project in a folder (by default this one) against every rule, with evidence.

    Each rule is met, broken, without evidence, or not applicable, with the places that show it, or with what would
    count and where it was looked for. Code, notebooks, settings, documents and the git history are read, and nothing
    is run.

    Exit code: 0 nothing is broken, 1 something is, 2 it could not run.
    """
    from mlrules_mcp.evidence.limits import Limits
    from mlrules_mcp.evidence.review import NothingToReview
    from mlrules_mcp.evidence.review import review as review_project
    from mlrules_mcp.report.progress import review_progress
    from mlrules_mcp.report.review_data import answer_data, review_data
    from mlrules_mcp.report.review_text import project_review_text, step_text

    catalogue = load_catalogue(manifests)
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
    if output == "json":
        click.echo(to_json(review_data(result)))
    else:
        click.echo(project_review_text(result, click.style, places=sys.maxsize if everything else 3))
    sys.exit(result.exit_code)


def _rule(catalogue: Catalogue, name: str) -> str:
    """The key of the one rule that a name means."""
    from mlrules_mcp.manifest.model import RuleNameError

    try:
        return catalogue.rules.rule(name).key
    except RuleNameError as error:
        raise Failure(str(error)) from None
