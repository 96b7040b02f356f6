"""The tool `check_training`."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult, ImageContent
from pydantic import BaseModel, Field

from mlrules_mcp.report.curves import training_charts
from mlrules_mcp.report.curves_png import can_draw, curves_png, require_drawing
from mlrules_mcp.report.text import training_text
from mlrules_mcp.report.training_html import training_html
from mlrules_mcp.server.reports import Content
from mlrules_mcp.server.toolkit import ServerContext, answer, make_tool
from mlrules_mcp.training.errors import TrainingError
from mlrules_mcp.training.result import TrainingResult
from mlrules_mcp.training.run import Progress
from mlrules_mcp.training.run import check_training as run_training_check


class Training(BaseModel):
    """How training went on each device, and what the checks say."""

    devices: list[dict[str, Any]]
    checks: list[dict[str, Any]]


def build(context: ServerContext) -> Tool:
    """The tool."""

    async def check_training(
        ctx: Context,
        device: Annotated[
            Literal["auto", "all", "cpu", "cuda", "mps", "xpu", "simulated"],
            Field(description="auto: every device that is there, or a simulated GPU"),
        ] = "auto",
        full: Annotated[bool, Field(description="also the slow checks")] = False,
        curves: Annotated[bool, Field(description="also an image of the loss curves")] = False,
    ) -> Annotated[CallToolResult, Training]:
        """Train a small sample model on this machine's devices, to prove that training works there (some seconds)."""

        async def report(progress: Progress) -> None:
            await ctx.report_progress(progress.done, progress.total, progress.message)

        try:
            if curves:
                require_drawing()
            result = await run_training_check(device, full=full, progress=report)
        except TrainingError as error:
            raise ToolError(str(error)) from None
        links = await context.keep_report("training", _title(result), _contents(result))
        reply = answer(training_text(result), result.to_dict(), links)
        if curves and (charts := training_charts(result)):
            picture = base64.b64encode(curves_png(charts)).decode()
            reply.content.append(ImageContent(type="image", data=picture, mime_type="image/png"))
        return reply

    return make_tool(check_training, "Check training", time_limit=900)


def _title(result: TrainingResult) -> str:
    return f"Training check of {result.model}: {f'{len(result.broken)} broken' if result.broken else 'nothing broken'}"


def _contents(result: TrainingResult) -> dict[str, Content]:
    contents: dict[str, Content] = {"html": lambda: training_html(result), "json": result.to_dict()}
    if can_draw() and (charts := training_charts(result)):
        contents["png"] = lambda: curves_png(charts)
    return contents
