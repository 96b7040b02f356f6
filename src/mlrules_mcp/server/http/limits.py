"""What one request may take of the service, and how many there may be at once."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import anyio
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlrules_mcp.server.http.state import ServiceState

_RETRY_AFTER = 1
_MOST_LISTENERS = 256
# Whether the answer to the request at hand is a stream of events rather than one JSON document.
streams: ContextVar[bool] = ContextVar("streams", default=True)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of requests.

    Attributes:
        body: the most bytes of a request.
        body_time: the most seconds that a client may take to send them.
        requests: the most requests at once; a further one is told to come again.
    """

    body: int = 4 * 1024 * 1024
    body_time: float = 30.0
    requests: int = 64


class LimitMiddleware:
    """Takes each request whole before it lets it in, refuses what is too much, and ends what nobody waits for."""

    def __init__(self, app: ASGIApp, state: ServiceState, limits: Limits) -> None:
        self._app = app
        self._state = state
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body = await self._body(scope, receive)
        if isinstance(body, Response):
            await body(scope, receive, send)
            return
        if body is None:
            return
        listens = Headers(scope=scope).get("mcp-method") == "subscriptions/listen"
        taken, most = (
            (len(self._state.listeners), _MOST_LISTENERS) if listens else (self._state.requests, self._limits.requests)
        )
        if taken >= most:
            busy = error_response(
                503, "The service is busy. Try again in a second.", {"retry-after": str(_RETRY_AFTER)}
            )
            await busy(scope, receive, send)
            return
        # A stream costs twice the time of a document, and only these have something to say before the end.
        streams.set(listens or b'"progressToken"' in body)
        if listens:
            await self._listen(scope, body, receive, send)
            return
        self._state.requests += 1
        try:
            await self._serve(scope, body, receive, send)
        finally:
            self._state.requests -= 1

    async def _body(self, scope: Scope, receive: Receive) -> bytes | Response | None:
        """The whole body, or the refusal of it; None where the client has left."""
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > self._limits.body:
            return self._too_large()
        body = bytearray()
        with anyio.move_on_after(self._limits.body_time):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return None
                body += message.get("body", b"")
                if len(body) > self._limits.body:
                    return self._too_large()
                if not message.get("more_body", False):
                    return bytes(body)
        return error_response(408, "The request took too long to arrive.", {"connection": "close"})

    def _too_large(self) -> Response:
        return error_response(413, f"A request may have {self._limits.body} bytes.", {"connection": "close"})

    async def _listen(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """Serve a stream that has no end of its own: the service ends it when it drains."""
        started = ended = False

        async def watched(message: Message) -> None:
            nonlocal started, ended
            started = True
            ended = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        with anyio.CancelScope() as listener:
            self._state.listeners.add(listener)
            try:
                await self._serve(scope, body, receive, watched)
            finally:
                self._state.listeners.discard(listener)
        if started and not ended:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _serve(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        left = anyio.Event()
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            if messages:
                return messages.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        async def watch(call: anyio.CancelScope) -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            left.set()
            call.cancel()

        with anyio.CancelScope() as call:
            watcher = asyncio.create_task(watch(call))  # a task group would cost as much as half of the SDK
            try:
                await self._app(scope, replay, send)
            finally:
                watcher.cancel()


def error_response(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """A refusal that clients of the protocol understand: an error of JSON-RPC that answers no request."""
    error: dict[str, Any] = {"code": -32600 if status < 500 else -32603, "message": message}
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, status, headers)
