from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from starlette.applications import Starlette

URL = "http://localhost"
BAD = "import torch\n\nwith torch.no_grad:\n    pass\n"
ERAS = {"legacy": "2025-11-25", "2026-07-28": "2026-07-28"}


@asynccontextmanager
async def running(app: Starlette) -> AsyncIterator[httpx2.AsyncClient]:
    """The application between its start and its end, and a client that calls it without a socket."""
    transport = httpx2.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url=URL) as client:
        yield client


@asynccontextmanager
async def connected(http: httpx2.AsyncClient, era: str = "legacy") -> AsyncIterator[Client]:
    """A client of the protocol over a client of HTTP."""
    async with Client(streamable_http_client(f"{URL}/mcp", http_client=http), mode=era) as client:
        yield client


def request(method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
    """A request of the older era."""
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}


def run(work: Any, *args: Any) -> Any:
    """What a coroutine function returns; it has half a minute."""

    async def bounded() -> Any:
        with anyio.fail_after(30):
            return await work(*args)

    return anyio.run(bounded)
