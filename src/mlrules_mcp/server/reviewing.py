"""Runs project reviews for the tool `review_project`, which imports this at its first call: servers start faster."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import Any

import anyio.from_thread
import anyio.to_thread
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult

from mlrules_mcp.evidence.answer import Answer, Review
from mlrules_mcp.evidence.reading import Stopped
from mlrules_mcp.evidence.review import NothingToReview, review
from mlrules_mcp.report.badge import badge
from mlrules_mcp.report.data import without_empty
from mlrules_mcp.report.review_data import answer_data, review_data
from mlrules_mcp.report.review_html import review_html
from mlrules_mcp.report.review_markdown import review_markdown
from mlrules_mcp.report.review_text import project_review_text, step_text
from mlrules_mcp.server.reports import Content
from mlrules_mcp.server.toolkit import ServerContext, answer

_FILES_A_REPORT = 20
_MOST_PLACES = 2
_MOST_MESSAGE = 200


async def reviewed(folder: Path, rule: str | None, context: ServerContext, ctx: Context) -> CallToolResult:
    """The answer of the tool: the whole review in brief, or one rule's with its next step in full.

    Args:
        folder: what is reviewed.
        rule: the key of that one rule.

    Raises:
        ToolError: there is nothing to review.
    """
    try:
        result = await _review(folder, context, ctx)
    except NothingToReview as error:
        raise ToolError(str(error)) from None
    if rule is not None:
        found = next(each for each in result.answers if each.rule == rule)
        return answer(step_text(found), {"rules": without_empty([answer_data(found)])})
    whole = answer(project_review_text(result, places=1, in_full="review_project with `rule`"), _brief(result))
    title = f"Review of {result.root}: {sum(each.status == 'broken' for each in result.answers)} rules broken"
    whole.content.extend(await context.keep_report("review", title, _contents(result)))
    return whole


def _contents(result: Review) -> dict[str, Content]:
    return {
        "html": lambda: review_html(result),
        "md": lambda: review_markdown(result),
        "svg": lambda: badge(result),
        "json": review_data(result),
    }


async def _review(folder: Path, context: ServerContext, ctx: Context) -> Review:
    """The review, in a thread that ends soon after the client no longer wants it."""
    stopped = threading.Event()

    def progress(done: int, total: int, what: str) -> None:
        if stopped.is_set():
            raise Stopped
        if done % _FILES_A_REPORT == 0:
            anyio.from_thread.run(partial(ctx.report_progress, done, total or None, what))

    try:
        return await anyio.to_thread.run_sync(
            partial(review, folder, context.catalogue, progress=progress), abandon_on_cancel=True
        )
    finally:
        stopped.set()


def _brief(result: Review) -> dict[str, Any]:
    """The review without what one can ask for by rule: contents of files to add, and most places."""
    data = review_data(result)
    return {
        "project": {**data["project"], "summary": data["summary"], "limits": data["limits"]},
        "rules": without_empty([_brief_answer(each) for each in result.answers]),
        "next": data["next"],
    }


def _brief_answer(found: Answer) -> dict[str, Any]:
    data = answer_data(found)
    kept: dict[str, Any] = {"rule": found.rule, "status": found.status}
    if found.status in ("no_evidence", "not_applicable"):
        kept["summary"] = found.summary
    for place in data["evidence"][:_MOST_PLACES]:
        shown = {name: value for name, value in place.items() if name != "message" or found.status == "broken"}
        kept.setdefault("evidence", []).append(shown | {"message": place["message"][:_MOST_MESSAGE]})
    if found.next_step:
        kept["next_step"] = {"title": found.next_step.title, "effort": found.next_step.effort}
    return kept
