"""The command `rules`."""

from __future__ import annotations

from pathlib import Path

import click

from mlrules_mcp.cli.shared import format_option, load_catalogue, manifests_option, to_json


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH…]")
@format_option("text", "json")
@manifests_option
def rules(paths: tuple[str, ...], output: str, manifests: tuple[Path, ...]) -> None:
    """List all rules, or those that apply to some paths, with the glob that says so."""
    from mlrules_mcp.report.data import rules_data
    from mlrules_mcp.report.text import rules_text

    data = rules_data(load_catalogue(manifests), paths, Path.cwd().as_posix())
    click.echo(to_json(data) if output == "json" else rules_text(data, click.style))
