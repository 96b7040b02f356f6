"""The tool `review_project`."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from mlrules_mcp.manifest.model import RuleNameError
from mlrules_mcp.server.toolkit import ServerContext, make_tool


class Reviewed(BaseModel):
    """The rules' answers; `next` is the order to work in."""

    project: dict[str, Any] = {}
    rules: list[dict[str, Any]]
    next: list[str] = []


def build(context: ServerContext) -> Tool:
    """The tool over a server's rules and folders."""

    async def review_project(
        ctx: Context,
        root: Annotated[str, Field(description="The project's folder")] = ".",
        rule: Annotated[str, Field(description="One rule: its next step in full, with the file to add")] = "",
    ) -> Annotated[CallToolResult, Reviewed]:
        """Review a whole project against every rule, with evidence and what to do next."""
        from mlrules_mcp.server.reviewing import reviewed  # noqa: PLC0415 - see there

        folder, _ = context.allowed(root)
        try:
            key = context.catalogue.rules.rule(rule).key if rule else None
        except RuleNameError as error:
            raise ToolError(str(error)) from None
        return await reviewed(folder, key, context, ctx)

    return make_tool(review_project, "Review a project", time_limit=600)
