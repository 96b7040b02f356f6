"""The command `serve`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mlrules_mcp.cli.shared import Failure, load_catalogue, manifests_option, training_code_option
from mlrules_mcp.server.http.settings import SettingsError, described, flag, load

_SHARED = {"roots", "manifests", "tools", "read_only"}


def _http_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each setting of the service; what is not given is left to the environment and the file."""
    for name, item, default, metadata in reversed([*described()]):
        if name in _SHARED or metadata.get("secret"):
            continue
        shown = "" if metadata["several"] or default in (None, "", False) else f" Default: {default}."
        text = f"HTTP: {metadata['help']}{' May be repeated.' if metadata['several'] else ''}{shown}"
        kind = click.Path(path_type=Path) if item is Path or default is None else item
        if item is bool:
            command = click.option(flag(name), name, is_flag=True, default=None, help=text)(command)
        else:
            command = click.option(
                flag(name),
                name,
                type=kind,
                multiple=metadata["several"],
                default=() if metadata["several"] else None,
                metavar=_METAVARS.get(item, "FILE" if default is None else "TEXT"),
                help=text,
            )(command)
    return command


_METAVARS: dict[Any, str] = {int: "N", float: "SECONDS"}


@click.command()
@click.option("--transport", type=click.Choice(["stdio", "http"]), default="stdio", help="Default: stdio.")
@click.option(
    "--root",
    "roots",
    multiple=True,
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder whose files the tools may read. May be repeated. Default: the current folder; over HTTP none.",
)
@manifests_option
@training_code_option
@click.option("--tools", metavar="NAME,…", default="", help="The tools to offer, by name. Default: all.")
@click.option("--read-only", is_flag=True, help="Offer no tool that runs code of yours.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar="MLRULES_CONFIG",
    metavar="FILE",
    help="HTTP: a TOML file of settings, named as --check-config does. Flags and MLRULES_… variables go first.",
)
@click.option("--check-config", is_flag=True, help="HTTP: say which settings are in force and why, and end.")
@_http_options
def serve(
    transport: str = "stdio",
    roots: tuple[Path, ...] = (),
    manifests: tuple[Path, ...] = (),
    allow_training_code: bool = False,
    tools: str = "",
    read_only: bool = False,
    config: Path | None = None,
    check_config: bool = False,
    **given: Any,
) -> None:
    """Run the MCP server, for one client over stdio or for many over HTTP."""
    given = {name: value for name, value in given.items() if value not in (None, ())}
    if transport == "http" or check_config:
        if allow_training_code:
            raise Failure("--allow-training-code is for stdio alone: over HTTP, others' code would run here.")
        shared = {"roots": roots, "manifests": manifests, "tools": _names(tools), "read_only": read_only}
        given |= {name: value for name, value in shared.items() if value}
        _serve_http(given, config, check_config)
        return
    if given:
        raise Failure(f"{flag(next(iter(given)))} needs --transport http.")
    catalogue = load_catalogue(manifests)
    from mlrules_mcp.server.app import build_server

    try:
        server = build_server(
            catalogue,
            roots or (Path.cwd(),),
            manifests=manifests,
            training_code=allow_training_code,
            offered=_names(tools),
            read_only=read_only,
        )
    except ValueError as error:
        raise Failure(str(error)) from None
    server.run(transport="stdio")


def _names(tools: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in tools.split(",") if name.strip())


def _serve_http(given: dict[str, Any], config: Path | None, check_config: bool) -> None:
    try:
        settings, origins = load(given, config)
        if check_config:
            width = max(len(origin.name) for origin in origins)
            for origin in origins:
                click.echo(f"{origin.name:<{width}}  {origin.value or '-'}  ({origin.source})")
            return
        from mlrules_mcp.server.http.service import run_service

        run_service(settings, load_catalogue(settings.manifests))
    except SettingsError as error:
        raise Failure(str(error)) from None
