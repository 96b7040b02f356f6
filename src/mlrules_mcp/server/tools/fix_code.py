"""The tool `fix_code`."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from mlrules_mcp.findings import Applicability, Finding
from mlrules_mcp.report.data import without_empty
from mlrules_mcp.report.diff import unified_diff
from mlrules_mcp.report.findings_text import count, place_text
from mlrules_mcp.server.findings import findings_answer
from mlrules_mcp.server.toolkit import (
    MOST_BYTES,
    NOT_GIVEN,
    ServerContext,
    answer,
    make_tool,
    number_that_fits,
    only_one,
    weight,
)
from mlrules_mcp.source import Project, SourceFile, UnreadableSource

# What a changed text may take, so that there is room to say what was fixed and what remains.
_MOST_TEXT = MOST_BYTES * 3 // 4
_MOST_TITLES = 50


class FixedCode(BaseModel):
    """Fixed text or diff, and what remains."""

    code: str | None = None
    diff: str | None = None
    fixed: list[dict[str, Any]]
    findings: list[dict[str, Any]]


def build(context: ServerContext) -> Tool:
    """The tool over a server's checks."""

    async def fix_code(
        code: Annotated[str, Field(description="Python, whole or a snippet; or a notebook or Markdown")] = NOT_GIVEN,
        filename: Annotated[
            str, Field(description="Its name in the project, with .ipynb or .md if it is one")
        ] = "snippet.py",
        path: Annotated[str | None, Field(description="Or a file to read; it is not changed")] = None,
        suggested: Annotated[bool, Field(description="Also fixes that you must review")] = False,
        output: Literal["diff", "code"] = "diff",
    ) -> Annotated[CallToolResult, FixedCode]:
        """Fix what analyze_code can fix, as a diff or as code for you to apply. By default safe fixes only."""
        source = await context.run(partial(_source, context, code, filename, path))
        # Imported here: libcst would double the server's start-up time.
        from mlrules_mcp.analysis.fixes import fix  # noqa: PLC0415

        kinds: list[Applicability] = ["safe", "suggested"] if suggested else ["safe"]
        fixed = await context.run(partial(fix, source, context.catalogue, kinds))
        titles = [f"fixed {place_text(f)} [{f.check}] {f.fix.title}" for f in fixed.applied if f.fix]
        if len(titles) > _MOST_TITLES:
            titles[_MOST_TITLES:] = [f"fixed {len(titles) - _MOST_TITLES} more"]
        data: dict[str, Any] = {"fixed": [_fixed(each) for each in fixed.applied[:_MOST_TITLES]]}
        form, changed, note = _changed(source, fixed.source, output)
        taken = weight("\n".join([changed, *titles]), {form: changed} | data)
        remaining = findings_answer(fixed.analysis, "Mend these and call again.", taken)
        data |= {form: changed, **remaining.data}
        del data["files"]
        if note:
            data["note"] = note
        text = [changed if titles else "Nothing was fixed.", *titles, note, f"Remaining: {remaining.text}"]
        return answer("\n".join(filter(None, text)), data)

    return make_tool(fix_code, "Fix ML code")


def _source(context: ServerContext, code: str | None, filename: str, path: str | None) -> SourceFile:
    try:
        if only_one(code=code, path=path) == "code":
            return SourceFile.from_text(code or "", filename, project=context.project_of(filename))
        file, root = context.allowed(path or "")
        project = Project(root)
        return SourceFile.from_path(file, project.name_of(file), project)
    except UnreadableSource as error:
        raise ToolError(f"{error.diagnostic.path}: {error}") from None


def _changed(before: SourceFile, after: SourceFile, output: Literal["diff", "code"]) -> tuple[str, str, str | None]:
    """The form of the answer, the changed text or diff as far as it fits, and a word on what does not."""
    if output == "code" and weight(after.text, {"code": after.text}) <= _MOST_TEXT:
        return "code", after.text, None
    too_long = "The whole text is too long for an answer: this is the diff." if output == "code" else ""
    hunks: list[str] = []
    shown: list[str] = []
    for context in (3, 1):  # with less of it, changes that are near each other are hunks of their own
        hunks = _hunks(list(unified_diff(before, after, context)))
        shown = hunks[: number_that_fits((weight(hunk, [hunk]) for hunk in hunks), _MOST_TEXT)]
        if shown == hunks:
            break
    if left_out := len(hunks) - len(shown):
        too_long += f" {count(left_out, 'hunk')} left out: apply these, then call again with the new text."
    return "diff", "\n".join(shown), too_long.strip() or None


def _hunks(diff: list[str]) -> list[str]:
    """A diff in its hunks, the first with the names of the files."""
    if not diff:
        return []
    starts = [number for number, line in enumerate(diff) if line.startswith("@@ ")]
    ends = [*starts[1:], len(diff)]
    starts[:1] = [0]
    return ["\n".join(diff[start:end]) for start, end in zip(starts, ends, strict=True)]


def _fixed(finding: Finding) -> dict[str, Any]:
    assert finding.fix is not None
    place = {"check": finding.check, "cell": finding.location.cell, "line": finding.location.line}
    slim: dict[str, Any] = without_empty(place | {"title": finding.fix.title})
    return slim
