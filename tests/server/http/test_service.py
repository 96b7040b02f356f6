"""The application with its workers, called without a socket in both eras."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx2
import pytest
import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.app import build_server
from mlrules_mcp.server.http import serving
from mlrules_mcp.server.http.app import build_app
from mlrules_mcp.server.http.limits import Limits
from mlrules_mcp.server.http.pool import WorkerPool
from mlrules_mcp.server.http.state import ServiceState
from mlrules_mcp.server.http.tools import CallLimits
from mlrules_mcp.server.http.worker import WorkerSpec
from tests.server.http.conftest import BAD, ERAS, connected, run, running
from tests.server.http.test_pool import LONG, busy, workers


@asynccontextmanager
async def service(calls: CallLimits = CallLimits()) -> AsyncIterator[tuple[httpx2.AsyncClient, WorkerPool]]:  # noqa: B008
    catalogue = Catalogue()
    pool = WorkerPool(WorkerSpec(), size=1)
    security = TransportSecuritySettings(allowed_hosts=["localhost"])
    app = build_app(build_server(catalogue), ServiceState(catalogue, pool), security, Limits(), calls=calls)
    async with running(app) as http:
        yield http, pool


@pytest.mark.parametrize("era", ERAS)
def test_a_call_survives_its_worker(era: str) -> None:
    async def use() -> None:
        async with service() as (http, pool), connected(http, era) as client:
            assert (await http.get("/readyz")).json()["workers"] == 1
            long = asyncio.create_task(client.call_tool("analyze_code", {"code": LONG}))
            await busy(pool)
            os.kill(workers(pool)[0], signal.SIGKILL)
            assert not (await long).is_error
            assert pool.ends == {"died": 1}
            assert not (await client.call_tool("analyze_code", {"code": BAD})).is_error

    run(use)


def test_a_call_that_its_client_gives_up_frees_its_worker() -> None:
    async def use() -> None:
        async with service() as (http, pool), connected(http, "2026-07-28") as client:
            with anyio.move_on_after(30) as given_up:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(client.call_tool, "analyze_code", {"code": LONG})
                    await busy(pool)
                    given_up.cancel()
            while pool.busy:
                await asyncio.sleep(0.01)
            assert pool.ends["cancelled"] == 1
            assert not (await client.call_tool("analyze_code", {"code": BAD})).is_error

    run(use)


def test_every_tool_runs_in_a_worker_with_what_a_call_may_hold() -> None:
    async def use() -> None:
        async with service(CallLimits(items=2, characters=500)) as (http, _), connected(http) as client:
            explained = await client.call_tool("explain_rule", {"rule": "no-grad-not-called"})
            listed = await client.call_tool("list_rules", {"paths": ["a.py"]})
            assert not explained.is_error
            assert not listed.is_error
            many = await client.call_tool("list_rules", {"paths": ["a.py"] * 3})
            assert "pass at most 2" in many.content[0].text
            much = await client.call_tool("analyze_code", {"code": "x" * 501})
            assert "at most 500 characters" in much.content[0].text
            outside = await client.call_tool("analyze_code", {"paths": ["/etc/passwd"]})
            assert "reads no files" in outside.content[0].text

    run(use)


async def answered(app: ASGIApp, sent: bytes) -> bytes:
    """All that the service's protocol answers to some bytes, up to the end of the connection."""
    config = uvicorn.Config(app, log_config=None, ws="none")
    state = uvicorn.server.ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: serving.HttpProtocol(config, state, {}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(sent)
    answer = await reader.read()
    writer.close()
    server.close()
    return answer


@pytest.mark.parametrize("sent", [b"", b"POST /mcp HTTP/1.1\r\nhost: localho"], ids=["nothing", "half a head"])
def test_who_does_not_send_the_head_of_a_request_is_hung_up_on(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_HEAD_TIME", 0.05)

    async def never_called(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError("a request has been read")

    assert run(answered, never_called, sent) == b""


def test_whitespace_around_a_header_is_no_part_of_its_value() -> None:
    async def name(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(dict(scope["headers"])[b"mcp-name"])(scope, receive, send)

    sent = b"POST /mcp HTTP/1.1\r\nhost: a\r\nmcp-name: \t list_rules \t \r\nconnection: close\r\n\r\n"
    head, _, body = run(answered, name, sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert body == b"list_rules"
