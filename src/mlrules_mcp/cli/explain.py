"""The command `explain`."""

from __future__ import annotations

from pathlib import Path

import click

from mlrules_mcp.cli.shared import Failure, format_option, load_catalogue, manifests_option, to_json


@click.command()
@click.argument("rule")
@format_option("text", "json")
@manifests_option
def explain(rule: str, output: str, manifests: tuple[Path, ...]) -> None:
    """Explain a rule (block.id, or the id alone where it is unambiguous) or one check, with examples."""
    from mlrules_mcp.manifest.model import RuleNameError
    from mlrules_mcp.report.data import explanation_data
    from mlrules_mcp.report.text import explanation_text

    try:
        data = explanation_data(load_catalogue(manifests), rule)
    except RuleNameError as error:
        raise Failure(str(error)) from None
    click.echo(to_json(data) if output == "json" else explanation_text(data, click.style))
