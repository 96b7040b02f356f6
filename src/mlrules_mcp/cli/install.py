"""The command `install`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlrules_mcp.cli.clients import CLIENTS, REACH, Client, server_command
from mlrules_mcp.cli.shared import Failure


@click.command()
@click.argument("client", type=click.Choice(list(CLIENTS)))
@click.option("--project", is_flag=True, help="For the project in the current folder, not for all of yours.")
@click.option("--url", metavar="URL", help="Connect to a server over HTTP, in the place of starting one.")
@click.option("--name", default="mlrules", help="What the client calls the server. Default: mlrules.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
def install(client: str, project: bool, url: str | None, name: str, dry_run: bool) -> None:
    """Tell a client of the server: adds one entry to its settings, and leaves everything else there as it is."""
    import re

    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise Failure(f"{name!r} is no name for a server: take letters, digits, - and _.")
    if url is not None and not re.match(r"https?://", url):
        raise Failure(f"{url!r} is no address of a server: it begins with http:// or https://.")
    chosen = CLIENTS[client]
    entry = chosen.entry(server_command(), url)
    if entry is None:
        raise Failure(f"{chosen.label} takes no address in its settings file: add {url} under its connectors.")
    file = chosen.file(Path.cwd() if project else None)
    if file is None:
        raise Failure(f"{chosen.label} has no settings of a project: leave --project out.")
    _install(chosen, file, name, entry, dry_run)


def _install(client: Client, file: Path, name: str, entry: dict[str, Any], dry_run: bool) -> None:
    from mlrules_mcp.cli.settings_files import UnfitFile, changed_json, changed_toml, replace_file

    change = changed_toml if file.suffix == ".toml" else changed_json
    try:
        before = file.read_bytes().decode("utf-8-sig") if file.exists() else ""
        after = change(before, client.key, name, entry, REACH)
        if after == before:
            click.echo(f"{client.label} knows {name} already: {file}")
            return
        if dry_run:
            click.echo(_difference(before, after, file))
            return
        backup = replace_file(file, after)
    except (UnfitFile, UnicodeDecodeError) as error:
        reason = error if isinstance(error, UnfitFile) else "is not UTF-8"
        by_hand = _by_hand(client, name, entry)
        raise Failure(f"{file} {reason}, so it stays as it is. Add this by hand:\n{by_hand}") from None
    except OSError as error:
        raise Failure(f"{file} can't be written: {error.strerror}. It stays as it is.") from None
    click.echo(f"{client.label} knows {name} now: {file}")
    if backup is not None:
        click.echo(f"As it was before: {backup}")
    click.echo(client.then)


def _by_hand(client: Client, name: str, entry: dict[str, Any]) -> str:
    """The entry alone, as the file of the client would have it."""
    from mlrules_mcp.cli.settings_files import changed_json, changed_toml

    change = changed_toml if client.user.endswith(".toml") else changed_json
    return change("", client.key, name, entry, REACH)


def _difference(before: str, after: str, file: Path) -> str:
    import difflib

    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), str(file), str(file), lineterm="")
    return "\n".join(lines)
