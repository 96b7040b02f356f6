"""The tool `fix_code`."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

import anyio.to_thread
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from mlrules_mcp.findings import Applicability
from mlrules_mcp.report.data import analysis_data, without_empty
from mlrules_mcp.report.diff import unified_diff
from mlrules_mcp.report.findings_text import analysis_text, place_text
from mlrules_mcp.server.toolkit import NOT_GIVEN, ServerContext, answer, make_tool, only_one
from mlrules_mcp.source import Project, SourceFile, UnreadableSource


class FixedCode(BaseModel):
    """The fixed text or diff, what was fixed, and what remains."""

    code: str | None = None
    diff: str | None = None
    fixed: list[dict[str, Any]]
    findings: list[dict[str, Any]]
    diagnostics: list[dict[str, Any]] = []


def build(context: ServerContext) -> Tool:
    """The tool over a server's checks."""

    async def fix_code(
        code: Annotated[str, Field(description="Python, whole or a snippet; or a notebook or Markdown")] = NOT_GIVEN,
        filename: Annotated[
            str, Field(description="Its name in the project, with .ipynb or .md if it is one")
        ] = "snippet.py",
        path: Annotated[str | None, Field(description="Or a file to read; it is not changed")] = None,
        suggested: Annotated[bool, Field(description="Also fixes that you must review")] = False,
        output: Annotated[Literal["diff", "code"], Field(description="Form of the answer")] = "diff",
    ) -> Annotated[CallToolResult, FixedCode]:
        """Fix what analyze_code can fix, as a diff or as code for you to apply. By default safe fixes only."""
        source = _source(context, code, filename, path)
        # Imported here: libcst would double the server's start-up time.
        from mlrules_mcp.analysis.fixes import fix  # noqa: PLC0415

        kinds: list[Applicability] = ["safe", "suggested"] if suggested else ["safe"]
        fixed = await anyio.to_thread.run_sync(partial(fix, source, context.catalogue, kinds), abandon_on_cancel=True)
        diff = "\n".join(unified_diff(source, fixed.source))
        changed = diff if output == "diff" else fixed.source.text
        titles = [f"{place_text(f)} [{f.check}] {f.fix.title}" for f in fixed.applied if f.fix]
        text = "\n".join(
            [
                changed if titles else "Nothing was fixed.",
                *(f"fixed {title}" for title in titles),
                f"Remaining: {analysis_text(fixed.analysis)}",
            ]
        )
        data = analysis_data(fixed.analysis)
        applied = [
            {"check": f.check, "cell": f.location.cell, "line": f.location.line, "title": f.fix.title}
            for f in fixed.applied
            if f.fix
        ]
        return answer(
            text,
            {
                output: changed,
                "fixed": without_empty(applied),
                "findings": without_empty(data["findings"]),
                "diagnostics": without_empty(data["diagnostics"]),
            },
        )

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
