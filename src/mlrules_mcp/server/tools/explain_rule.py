"""The tool `explain_rule`."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from mlrules_mcp.manifest.model import RuleNameError
from mlrules_mcp.report.data import explanation_data
from mlrules_mcp.report.text import explanation_text
from mlrules_mcp.server.toolkit import ServerContext, answer, make_tool

_EXAMPLES = 1


class Explanation(BaseModel):
    """A rule, its guidance and its checks with examples."""

    rule: str
    severity: str
    description: str
    checks: list[dict[str, Any]]


def build(context: ServerContext) -> Tool:
    """The tool over a server's rules."""

    async def explain_rule(
        rule: Annotated[str, Field(description="block.id, or a check's name from a finding")],
    ) -> Annotated[CallToolResult, Explanation]:
        """Why a rule or check exists, what it leaves alone, and bad and good code."""
        try:
            data = explanation_data(context.catalogue, rule)
        except RuleNameError as error:
            raise ToolError(str(error)) from None
        whole = len(data["checks"]) == 1
        for check in data["checks"] if not whole else ():
            for kind in ("bad", "good"):
                check[kind] = check[kind][:_EXAMPLES]
        return answer(explanation_text(data), data)

    return make_tool(explain_rule, "Explain an ML rule")
