"""Writes the table of tools into the README from what the server lists. Run: make docs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
from mcp import Client

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.app import build_server

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- tools: written by make docs -->", "<!-- end of tools -->"


def readme_with_tools() -> str:
    """The README with a fresh table."""
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n".join(["| tool | what for | arguments |", "| --- | --- | --- |", *map(_row, anyio.run(_tools))])
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


async def _tools() -> list[Any]:
    async with Client(build_server(Catalogue())) as client:
        return list((await client.list_tools()).tools)


def _row(tool: Any) -> str:
    required = tool.input_schema.get("required", [])
    arguments = [f"**`{name}`**" if name in required else f"`{name}`" for name in tool.input_schema["properties"]]
    what = " ".join(tool.description.split())
    return f"| `{tool.name}` | {what} | {', '.join(arguments)} |"


if __name__ == "__main__":
    README.write_text(readme_with_tools(), encoding="utf-8")
