"""The ASGI application: the protocol's endpoint beside those for probes, and the page for people."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcp.server import MCPServer
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mlrules_mcp.server.http.page import page_routes
from mlrules_mcp.server.http.state import ServiceState

ENDPOINT = "/mcp"


def build_app(server: MCPServer, state: ServiceState, security: TransportSecuritySettings) -> Starlette:
    """The application for a server; any replica can answer any request, in both eras of the protocol.

    Args:
        state: whether the service is ready, which the probes report.
        security: the Host and Origin headers that are taken.
    """
    server.streamable_http_app(stateless_http=True, transport_security=security)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with server.session_manager.run():
            state.started = True
            yield

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def readyz(_request: Request) -> Response:
        return JSONResponse(state.report(), 200 if state.ready else 503)

    routes = [
        # Without sessions there is nothing to listen to by GET, nor to end by DELETE: the SDK would leave a GET open.
        Route(ENDPOINT, StreamableHTTPASGIApp(server.session_manager), methods=["POST"]),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        *page_routes(state.catalogue),
    ]
    return Starlette(routes=routes, lifespan=lifespan)
