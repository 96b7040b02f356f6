"""The tool `check_training`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from mlrules_mcp.report.text import training_text
from mlrules_mcp.server.toolkit import ServerContext, answer, make_tool
from mlrules_mcp.training.errors import TrainingError
from mlrules_mcp.training.run import Progress
from mlrules_mcp.training.run import check_training as run_training_check


class Training(BaseModel):
    """How training went on each device, and what the checks say."""

    devices: list[dict[str, Any]]
    checks: list[dict[str, Any]]


def build(context: ServerContext) -> Tool:
    """The tool; it needs nothing of the server."""

    async def check_training(
        ctx: Context,
        device: Annotated[
            Literal["auto", "all", "cpu", "cuda", "mps", "xpu", "simulated"],
            Field(description="auto: every device that is there, or a simulated GPU"),
        ] = "auto",
        full: Annotated[bool, Field(description="also the slow checks")] = False,
    ) -> Annotated[CallToolResult, Training]:
        """Train a small sample model on this machine's devices, to prove that training works there (some seconds)."""

        async def report(progress: Progress) -> None:
            await ctx.report_progress(progress.done, progress.total, progress.message)

        try:
            result = await run_training_check(device, full=full, progress=report)
        except TrainingError as error:
            raise ToolError(str(error)) from None
        return answer(training_text(result), result.to_dict())

    return make_tool(check_training, "Check training")
