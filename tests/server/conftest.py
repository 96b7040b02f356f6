from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.server import MCPServer
from mcp_types import CallToolResult, Request
from pydantic import TypeAdapter

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.app import build_server


@pytest.fixture
def server(tmp_path: Path) -> MCPServer:
    """A server whose root is an empty folder."""
    return build_server(Catalogue(), (tmp_path,))


def run(work: Callable[[Client], Coroutine[Any, Any, Any]], server: Any, mode: str = "auto") -> Any:
    """What `work` returns when it is given a client of the server."""

    async def connected() -> Any:
        async with Client(server, mode=mode) as client:
            return await work(client)

    return anyio.run(connected)


def call(server: Any, tool: str, arguments: dict[str, Any], mode: str = "auto") -> CallToolResult:
    """The result of one call."""
    return run(lambda client: client.call_tool(tool, arguments), server, mode)


async def ask(client: Client, method: str, **params: Any) -> dict[str, Any]:
    """The result of a method that the client has no function for."""
    request = Request[dict[str, Any], str](method=method, params=params)
    return await client.session.send_request(request, TypeAdapter(dict[str, Any]))


def text_of(result: CallToolResult) -> str:
    """The text content of a result."""
    return "\n".join(block.text for block in result.content if block.type == "text")
