"""The tool `list_rules`."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from mlrules_mcp.report.data import rules_data, without_empty
from mlrules_mcp.report.text import rules_text
from mlrules_mcp.server.toolkit import ServerContext, answer, make_tool


class Rules(BaseModel):
    """Rules, and for each path whether and why they apply."""

    rules: list[dict[str, Any]]
    paths: list[dict[str, Any]] = []


def build(context: ServerContext) -> Tool:
    """The tool over a server's rules."""

    async def list_rules(
        paths: Annotated[list[str], Field(description="Files you are about to write; empty: all rules")] = [],  # noqa: B006
    ) -> Annotated[CallToolResult, Rules]:
        """The machine-learning rules that apply to some files, with severities. Call before writing ML code."""
        root = context.roots[0].as_posix() if context.roots else None
        data = rules_data(context.catalogue, paths, root)
        slim = {"rules": [], **without_empty(data)}
        for rule in slim["rules"]:
            if rule["enabled"]:
                del rule["enabled"]
            del rule["source"], rule["line"]
        return answer(rules_text(data), slim)

    return make_tool(list_rules, "List ML rules")
