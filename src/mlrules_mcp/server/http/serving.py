"""Serves the application with uvicorn, and drains it before it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mlrules_mcp.server.http.state import ServiceState

# Longer than what proxies keep an idle connection for (nginx and AWS: 60 s), so that it is they who close it.
_KEEP_ALIVE = 75
# What the head of a request may take to arrive, in seconds.
_HEAD_TIME = 15.0


class _DrainingServer(uvicorn.Server):
    """A server that, when told to end, first says so to its probes and closes connections that it answers on."""

    def __init__(self, config: uvicorn.Config, state: ServiceState, drain_delay: float) -> None:
        super().__init__(config)
        self._state = state
        self._drain_delay = drain_delay

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM or SIGINT came: an ordinary end, not a death by signal. A second one ends the drain."""
        if self._state.draining or not self.started:
            self.force_exit = self.should_exit
            self.should_exit = True
            return
        self._state.draining = True
        loop = asyncio.get_running_loop()
        loop.call_soon_threadsafe(loop.call_later, self._drain_delay, self._end)

    def _end(self) -> None:
        self._state.end_streams()
        self.should_exit = True


class HttpProtocol(HttpToolsProtocol):
    """Reads requests as uvicorn does, but not for ever, and header values without the whitespace around them.

    A connection is closed on which the head of a request does not arrive in time. RFC 9110, section 5.5, has whitespace
    after a value taken off before the value is looked at; httptools leaves it, and the value would match nothing.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody has connected."""
        super().connection_made(transport)
        self._expect_head()

    def on_message_begin(self) -> None:
        """The first bytes of a request have come."""
        self._expect_head()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header has come."""
        super().on_header(name, value.strip(b" \t"))

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._stop_timer()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._stop_timer()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(_HEAD_TIME, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _CloseWhenDraining:
    """Asks clients not to reuse connections to a service that is about to end."""

    def __init__(self, app: ASGIApp, state: ServiceState) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start" and self._state.draining:
                kept = [(name, value) for name, value in message.get("headers", []) if name.lower() != b"connection"]
                message = {**message, "headers": [*kept, (b"connection", b"close")]}
            await send(message)

        await self._app(scope, receive, closing if scope["type"] == "http" else send)


def serve(
    app: ASGIApp,
    state: ServiceState,
    *,
    host: str,
    port: int,
    drain_delay: float = 0.0,
    drain_limit: int = 30,
    trusted_proxies: Sequence[str] = (),
) -> None:
    """Serve until SIGTERM or SIGINT, then answer what was taken before ending.

    Args:
        port: 0 takes a free one; the first line on stderr names it.
        drain_delay: seconds between the signal and the end of listening, in which the readiness probe fails, so
            that a proxy stops sending requests here before connections are refused.
        drain_limit: the most seconds that open requests get to end after that.
        trusted_proxies: addresses whose X-Forwarded-For says who asks.
    """
    config = uvicorn.Config(
        _CloseWhenDraining(app, state),
        host=host,
        port=port,
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=drain_limit,
        ws="none",
        http=HttpProtocol,
        lifespan="on",
    )
    _DrainingServer(config, state, drain_delay).run()
