"""Calls a running server once, to show that it answers: `python server/call.py URL [TOKEN]`."""

from __future__ import annotations

import sys

import anyio
import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

CODE = "import torch\n\nwith torch.no_grad:\n    pass\n"


async def call(url: str, token: str | None) -> None:
    """List the tools and check four lines of code."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        tools = await client.list_tools()
        print(f"{client.server_info.name} {client.server_info.version}, protocol {client.protocol_version}")
        print("tools:", ", ".join(tool.name for tool in tools.tools))
        result = await client.call_tool("analyze_code", {"code": CODE, "filename": "train.py"})
        print(result.content[0].text)


if __name__ == "__main__":
    if len(sys.argv) not in {2, 3}:
        sys.exit(__doc__)
    anyio.run(call, sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else None)
