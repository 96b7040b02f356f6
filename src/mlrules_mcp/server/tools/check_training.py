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
from mlrules_mcp.server.toolkit import NOT_GIVEN, ServerContext, answer, make_tool
from mlrules_mcp.training.errors import TrainingError
from mlrules_mcp.training.result import TrainingResult
from mlrules_mcp.training.run import Progress
from mlrules_mcp.training.run import check_training as run_training_check
from mlrules_mcp.training.target.request import Target, file_of, read_target
from mlrules_mcp.training.turns import Turns

_OPTIONS = ("init_args", "data", "data_args", "batch", "loss")


class Training(BaseModel):
    """How training went on each device, and what the checks say."""

    devices: list[dict[str, Any]]
    checks: list[dict[str, Any]]


def build(context: ServerContext) -> Tool:
    """The tool; where the operator allows it, it runs the user's code, and its annotations say so."""
    turns = Turns()

    async def check_training(
        ctx: Context,
        device: Annotated[
            Literal["auto", "all", "cpu", "cuda", "mps", "xpu", "simulated"],
            Field(description="auto: every device that is there, or a simulated GPU"),
        ] = "auto",
        full: Annotated[bool, Field(description="also the slow checks")] = False,
        curves: Annotated[bool, Field(description="also an image of the loss curves")] = False,
        target: Annotated[str, Field(description="FILE.py:CLASS to train")] = NOT_GIVEN,
        init_args: dict[str, Any] | None = None,
        data: Annotated[str, Field(description="FILE.py:DATAMODULE")] = NOT_GIVEN,
        data_args: dict[str, Any] | None = None,
        batch: Annotated[Any, Field(description="or [{shape: [8], dtype: int64, high: 9}]")] = None,
        loss: Annotated[str, Field(description="such as mse")] = NOT_GIVEN,
    ) -> Annotated[CallToolResult, Training]:
        """Train a sample model on this machine's devices, to prove that training works there."""
        shown = 0.0

        async def report(progress: Progress) -> None:
            nonlocal shown
            shown = max(float(progress.done), shown + 0.001)  # clients want it to rise with each message
            await ctx.report_progress(shown, progress.total, progress.message)

        async def waiting(before: int) -> None:
            await report(Progress(0, None, f"waiting: {before} before you"))

        try:
            if curves:
                require_drawing()
            options = dict(zip(_OPTIONS, (init_args, data, data_args, batch, loss), strict=True))
            subject = _target(context, target, options)
            async with turns.turn(waiting):
                result = await run_training_check(device, full=full, target=subject, progress=report)
        except TrainingError as error:
            raise ToolError(str(error)) from None
        links = await context.keep_report("training", _title(result), _contents(result))
        reply = answer(training_text(result), result.to_dict(), links)
        if curves and (charts := training_charts(result)):
            picture = base64.b64encode(curves_png(charts)).decode()
            reply.content.append(ImageContent(type="image", data=picture, mime_type="image/png"))
        return reply

    tool = make_tool(check_training, "Check training", time_limit=900, runs_code=context.training_code)
    if not context.training_code:  # they would only cost tokens
        for name in _OPTIONS:
            del tool.parameters["properties"][name]
    return tool


def _target(context: ServerContext, target: str | None, options: dict[str, Any]) -> Target | None:
    """The user's module, if one is named and its code may be run."""
    given = {name: value for name, value in options.items() if value is not None}
    if target is None:
        if given:
            raise ToolError(f"`{next(iter(given))}` is for the user's own module: pass `target`, too.")
        return None
    if not context.training_code:
        raise ToolError(
            "This server does not run the user's code. Whoever starts it allows that with: "
            f"mlrules-mcp serve --allow-training-code. By hand: mlrules-mcp train-check --target {target}"
        )
    _, root = context.allowed(file_of(target))
    if "data" in given:
        context.allowed(file_of(given["data"]))
    return read_target(target, folder=root, **given)


def _title(result: TrainingResult) -> str:
    return f"Training check of {result.model}: {f'{len(result.broken)} broken' if result.broken else 'nothing broken'}"


def _contents(result: TrainingResult) -> dict[str, Content]:
    contents: dict[str, Content] = {"html": lambda: training_html(result), "json": result.to_dict()}
    if can_draw() and (charts := training_charts(result)):
        contents["png"] = lambda: curves_png(charts)
    return contents
