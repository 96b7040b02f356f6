"""The command `serve`."""

from __future__ import annotations

from pathlib import Path

import click

from mlrules_mcp.cli.shared import load_catalogue, manifests_option


@click.command()
@click.option("--transport", type=click.Choice(["stdio"]), default="stdio", help="Default: stdio.")
@click.option(
    "--root",
    "roots",
    multiple=True,
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder whose files the tools may read. May be repeated. Default: the current folder.",
)
@manifests_option
def serve(transport: str = "stdio", roots: tuple[Path, ...] = (), manifests: tuple[Path, ...] = ()) -> None:
    """Run the MCP server."""
    catalogue = load_catalogue(manifests)
    from mlrules_mcp.server.app import build_server

    build_server(catalogue, roots or (Path.cwd(),)).run(transport="stdio")
