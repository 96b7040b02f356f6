"""The command `serve`."""

from __future__ import annotations

import ipaddress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlrules_mcp.cli.shared import Failure, load_catalogue, manifests_option, training_code_option

if TYPE_CHECKING:
    from mlrules_mcp.catalogue import Catalogue


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
@click.option("--host", default="127.0.0.1", metavar="ADDRESS", help="HTTP: where to listen. Default: 127.0.0.1.")
@click.option(
    "--port", default=8000, type=click.IntRange(0, 65535), help="HTTP: the port; 0 takes a free one. Default: 8000."
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="HOST",
    help="HTTP: a Host header to take, with its port or `:*`. May be repeated. Default: localhost, any port.",
)
@click.option(
    "--allowed-origin",
    "allowed_origins",
    multiple=True,
    metavar="ORIGIN",
    help="HTTP: an Origin header to take. May be repeated. Default: http://localhost, any port.",
)
@click.option("--insecure", is_flag=True, help="HTTP: listen beyond this machine without tokens.")
@click.option("--enable-training", is_flag=True, help="HTTP: offer check_training, which uses this machine's devices.")
@click.option(
    "--drain-delay",
    default=0.0,
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="HTTP: how long to go on taking requests after SIGTERM, unready, so that a proxy can turn away. Default: 0.",
)
def serve(
    transport: str = "stdio",
    roots: tuple[Path, ...] = (),
    manifests: tuple[Path, ...] = (),
    allow_training_code: bool = False,
    host: str = "127.0.0.1",
    port: int = 8000,
    allowed_hosts: tuple[str, ...] = (),
    allowed_origins: tuple[str, ...] = (),
    insecure: bool = False,
    enable_training: bool = False,
    drain_delay: float = 0.0,
) -> None:
    """Run the MCP server, for one client over stdio or for many over HTTP."""
    if transport == "http":
        if allow_training_code:
            raise Failure("--allow-training-code is for stdio alone: over HTTP, others' code would run here.")
        if find_spec("uvicorn") is None:
            raise Failure("Serving over HTTP needs uvicorn; install with: pip install 'mlrules-mcp[http]'")
        if not insecure and not _is_loopback(host):
            raise Failure(f"Listening on {host} lets others in without a token. Pass --insecure where that is meant.")
        _serve_http(
            load_catalogue(manifests), roots, host, port, allowed_hosts, allowed_origins, enable_training, drain_delay
        )
        return
    catalogue = load_catalogue(manifests)
    from mlrules_mcp.server.app import build_server

    build_server(catalogue, roots or (Path.cwd(),), training_code=allow_training_code).run(transport="stdio")


def _serve_http(
    catalogue: Catalogue,
    roots: tuple[Path, ...],
    host: str,
    port: int,
    allowed_hosts: tuple[str, ...],
    allowed_origins: tuple[str, ...],
    enable_training: bool,
    drain_delay: float,
) -> None:
    from mcp.server.transport_security import TransportSecuritySettings

    from mlrules_mcp.server.app import build_server
    from mlrules_mcp.server.http.app import build_app
    from mlrules_mcp.server.http.pool import WorkerPool
    from mlrules_mcp.server.http.serving import serve as serve_app
    from mlrules_mcp.server.http.state import ServiceState
    from mlrules_mcp.server.http.worker import WorkerSpec

    server = build_server(catalogue, roots)
    if not enable_training:
        server.remove_tool("check_training")
    state = ServiceState(catalogue, WorkerPool(WorkerSpec(catalogue.rules, roots)))
    local = ("127.0.0.1", "localhost", "[::1]")
    security = TransportSecuritySettings(
        allowed_hosts=[*(f"{name}:*" for name in local), *local, *allowed_hosts],
        allowed_origins=[*(f"http://{name}:*" for name in local), *allowed_origins],
    )
    serve_app(build_app(server, state, security), state, host=host, port=port, drain_delay=drain_delay)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
