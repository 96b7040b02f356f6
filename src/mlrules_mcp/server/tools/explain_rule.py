"""The tool `explain_rule`."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from mlrules_mcp.manifest.model import RuleNameError
from mlrules_mcp.report.data import explanation_data, without_empty
from mlrules_mcp.report.text import explanation_text
from mlrules_mcp.server.toolkit import ServerContext, answer, make_tool

# Further ones are variations; the resource has them all.
_MOST_EXAMPLES = 3


class Explanation(BaseModel):
    """A rule and its checks."""

    rule: str
    severity: str
    description: str
    checks: list[dict[str, Any]] = []


def build(context: ServerContext) -> Tool:
    """The tool over a server's rules."""

    async def explain_rule(
        rule: Annotated[str, Field(description="block.id, or a check's name from a finding")],
    ) -> Annotated[CallToolResult, Explanation]:
        """Why a rule or check exists, what it leaves alone, and bad and good code."""
        try:
            data = await context.run(partial(explanation_data, context.catalogue, rule))
        except RuleNameError as error:
            raise ToolError(str(error)) from None
        text, slim = _summarised(data) if len(data["checks"]) > 1 else _with_few_examples(data)
        return answer(text, slim)

    return make_tool(explain_rule, "Explain an ML rule")


def _summarised(data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A rule of several checks, each in a line: what is wanted of them is mostly one."""
    more = "Call explain_rule with a check's name for its reason, exceptions and code."
    checks = [{"check": check["check"], "summary": check["summary"]} for check in data["checks"]]
    head = explanation_text({**data, "checks": checks[:0]}, none="")
    lines = [f"{check['check']}: {check['summary']}" for check in checks]
    return "\n".join([head.rstrip(), "", *lines, more]), {**_slim(data), "checks": checks, "more": more}


def _with_few_examples(data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A rule and its one check, or none, whole but for examples beyond the first."""
    checks = [dict(check) for check in data["checks"]]
    left_out = 0
    for check in checks:
        for kind in ("bad", "good"):
            left_out += max(0, len(check[kind]) - _MOST_EXAMPLES)
            check[kind] = check[kind][:_MOST_EXAMPLES]
    slim = {**_slim(data), "checks": without_empty(checks)}
    text = explanation_text({**data, "checks": checks})
    if left_out:
        slim["more"] = f"{left_out} more examples are in the resource checks://{checks[0]['check']}."
        text += f"\n\n{slim['more']}"
    return text, slim


def _slim(data: dict[str, Any]) -> dict[str, Any]:
    """What is said of the rule itself."""
    slim: dict[str, Any] = without_empty({key: value for key, value in data.items() if key not in ("line", "checks")})
    if slim["enabled"]:
        del slim["enabled"]
    return slim
