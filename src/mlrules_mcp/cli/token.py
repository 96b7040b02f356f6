"""The command `token`."""

from __future__ import annotations

import click

from mlrules_mcp.cli.shared import Failure

_SCOPES = ("analyze", "review", "train")


@click.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(_SCOPES),
    default=("analyze",),
    help="What it is for: rules, checks and fixes; reviews of projects; training checks. May be repeated. "
    "Default: analyze.",
)
def token(name: str, scopes: tuple[str, ...]) -> None:
    """Make a bearer token for the HTTP service.

    The token goes to stderr, for its holder NAME alone. The line for the service's file of tokens, which holds only
    a hash, goes to stdout: mlrules-mcp token ci >> tokens.txt
    """
    from mlrules_mcp.server.http.tokens import TokenFormatError, make_token

    try:
        secret, kept = make_token(name, dict.fromkeys(scopes))
    except TokenFormatError as error:
        raise Failure(str(error).partition(": ")[2]) from None
    click.echo(f"Token of {name}, shown this once: {secret}", err=True)
    click.echo(str(kept))
