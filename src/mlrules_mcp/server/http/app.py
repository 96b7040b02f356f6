"""The ASGI application: the protocol's endpoint beside those for probes, and the page for people."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mlrules_mcp.server.app import RulesServer
from mlrules_mcp.server.http.access import Access
from mlrules_mcp.server.http.guard import GuardMiddleware
from mlrules_mcp.server.http.limits import LimitMiddleware, Limits, streams
from mlrules_mcp.server.http.metrics import Metrics
from mlrules_mcp.server.http.page import page_routes
from mlrules_mcp.server.http.state import ServiceState
from mlrules_mcp.server.http.tools import CallLimits, place_tools

ENDPOINT = "/mcp"


class _SessionManager(StreamableHTTPSessionManager):
    """The SDK's endpoint without sessions, which answers each request in the form that suits it."""

    @property
    def json_response(self) -> bool:
        """Whether the answer to the request at hand is one document rather than a stream of events."""
        return not streams.get()

    @json_response.setter
    def json_response(self, value: bool) -> None:
        """What the SDK's constructor sets for all requests is decided for each."""


def build_app(
    server: RulesServer,
    state: ServiceState,
    security: TransportSecuritySettings,
    limits: Limits = Limits(),  # noqa: B008 - frozen, as the others
    access: Access = Access(),  # noqa: B008
    calls: CallLimits = CallLimits(),  # noqa: B008
) -> Starlette:
    """The application for a server; any replica can answer any request, in both eras of the protocol.

    Args:
        state: whether the service is ready, which the probes report; its workers are started and ended here.
        security: the Host and Origin headers that are taken.
        limits: how much is taken at once.
        access: who may call.
        calls: how much a call of a tool may hold.
    """
    server.streamable_http_app()  # the SDK gives out what lies below a server only with an application
    metrics = Metrics(state)
    server.middleware.insert(0, metrics.observe)  # around those that refuse
    protocol = _SessionManager(server.session_manager.app, stateless=True, max_request_body_size=limits.body)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if state.pool is not None:
                await stack.enter_async_context(state.pool.running())
            await place_tools(server, state.pool, calls)
            metrics.tools = frozenset(server.elsewhere)
            await stack.enter_async_context(protocol.run())
            state.started = True
            yield

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def readyz(_request: Request) -> Response:
        return JSONResponse(state.report(), 200 if state.ready else 503)

    routes = [
        # Without sessions there is nothing to listen to by GET, nor to end by DELETE: the SDK would leave a GET open.
        Route(
            ENDPOINT,
            StreamableHTTPASGIApp(protocol),
            methods=["POST"],
            middleware=[*access.middleware(), Middleware(LimitMiddleware, state=state, limits=limits)],
        ),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics.endpoint),
        *access.routes(),
        *page_routes(state.catalogue),
    ]
    return Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[Middleware(metrics.counting), Middleware(GuardMiddleware, security=security)],
    )
