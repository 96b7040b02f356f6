from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from starlette.types import Message, Receive, Scope, Send

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.http.limits import LimitMiddleware, Limits, streams
from mlrules_mcp.server.http.state import ServiceState
from tests.server.http.conftest import run

Call = Callable[..., Awaitable[tuple[int, dict[bytes, bytes], bytes]]]


class Service:
    """The middleware before an application whose answers wait until they are let go."""

    def __init__(self, **limits: Any) -> None:
        self.state = ServiceState(Catalogue())
        self.limited = LimitMiddleware(self._answer, self.state, Limits(**limits))
        self.go = anyio.Event()
        self.bodies: list[bytes] = []
        self.streamed: list[bool] = []
        self.cancelled = 0

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.bodies.append((await receive())["body"])
        self.streamed.append(streams.get())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            await self.go.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        await send({"type": "http.response.body", "body": b"done", "more_body": False})

    async def call(
        self, *chunks: bytes, headers: dict[str, str] | None = None, leave: anyio.Event | None = None
    ) -> tuple[int, dict[bytes, bytes], bytes]:
        """Send a body in chunks; the status, headers and body of the answer. `leave`: when the client disconnects."""
        parts: list[Message] = [
            {"type": "http.request", "body": chunk, "more_body": number < len(chunks)}
            for number, chunk in enumerate(chunks, 1)
        ]
        sent: list[Message] = []

        async def receive() -> Message:
            if parts:
                return parts.pop(0)
            await (leave or anyio.Event()).wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        await self.limited({"type": "http", "method": "POST", "path": "/mcp", "headers": raw}, receive, send)
        if not sent:
            return 0, {}, b""
        return sent[0]["status"], dict(sent[0]["headers"]), b"".join(each["body"] for each in sent[1:])

    @asynccontextmanager
    async def waiting(self, number: int, *chunks: bytes, **options: Any) -> AsyncIterator[list[Any]]:
        """Some calls under way; their answers are there when the block has ended."""
        answers: list[Any] = []

        async def keep() -> None:
            answers.append(await self.call(*chunks, **options))

        async with anyio.create_task_group() as tasks:
            for _ in range(number):
                tasks.start_soon(keep)
            while len(self.bodies) < number:
                await anyio.lowlevel.checkpoint()
            yield answers


def test_a_request_arrives_whole_before_it_is_let_in() -> None:
    async def use() -> None:
        service = Service()
        service.go.set()
        assert (await service.call(b"a", b"bc"))[0] == 200
        assert service.bodies == [b"abc"]

    run(use)


@pytest.mark.parametrize("headers", [{}, {"content-length": "11"}], ids=["undeclared", "declared"])
def test_a_request_beyond_the_limit_is_refused(headers: dict[str, str]) -> None:
    async def use() -> None:
        service = Service(body=10)
        status, answered, body = await service.call(b"x" * 6, b"x" * 5, headers=headers)
        assert (status, answered[b"connection"]) == (413, b"close")
        assert "10 bytes" in json.loads(body)["error"]["message"]
        assert not service.bodies

    run(use)


def test_a_client_that_dawdles_or_leaves_while_it_sends_takes_no_place() -> None:
    async def use() -> None:
        service = Service(body_time=0)
        assert (await service.call())[0] == 408
        left = anyio.Event()
        left.set()
        assert (await service.call(leave=left))[0] in {0, 408}
        assert (service.bodies, service.state.requests) == ([], 0)

    run(use)


def test_a_request_too_many_is_told_to_come_again_and_finds_a_place_later() -> None:
    async def use() -> None:
        service = Service(requests=2)
        async with service.waiting(2, b"{}") as answers:
            status, headers, body = await service.call(b"{}")
            assert (status, headers[b"retry-after"]) == (503, b"1")
            assert "busy" in json.loads(body)["error"]["message"]
            service.go.set()
        assert [answer[0] for answer in answers] == [200, 200]
        assert (await service.call(b"{}"))[0] == 200

    run(use)


def test_a_call_whose_client_leaves_is_cancelled() -> None:
    async def use() -> None:
        service = Service()
        left = anyio.Event()
        async with service.waiting(1, b"{}", leave=left):
            left.set()
        assert (service.cancelled, service.state.requests) == (1, 0)

    run(use)


def test_a_listener_takes_no_place_of_a_call_and_its_stream_ends_when_the_service_drains() -> None:
    async def use() -> None:
        service = Service(requests=1)
        listen = {"mcp-method": "subscriptions/listen"}
        async with service.waiting(1, b"{}", headers=listen) as answers:
            assert (service.state.requests, len(service.state.listeners)) == (0, 1)
            service.state.end_streams()
        assert (answers[0][0], answers[0][2], service.cancelled) == (200, b"", 1)
        assert not service.state.listeners

    run(use)


def test_only_calls_that_report_progress_and_listeners_are_answered_by_a_stream() -> None:
    async def use() -> None:
        service = Service()
        service.go.set()
        await service.call(b'{"method": "tools/call"}')
        await service.call(b'{"params": {"_meta": {"progressToken": 1}}}')
        await service.call(b"{}", headers={"mcp-method": "subscriptions/listen"})
        assert service.streamed == [False, True, True]

    run(use)
