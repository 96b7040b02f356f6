"""The tool `analyze_code`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import anyio.to_thread
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from mlrules_mcp.analysis.engine import Analysis, analyze_files, read_and_analyze
from mlrules_mcp.analysis.files import python_files
from mlrules_mcp.findings import SEVERITIES
from mlrules_mcp.report.data import analysis_data, without_empty
from mlrules_mcp.report.findings_text import analysis_text
from mlrules_mcp.server.toolkit import NOT_GIVEN, ServerContext, answer, make_tool, only_one
from mlrules_mcp.source import Project, SourceFile

_MOST_FILES = 500
_MOST_FINDINGS = 100


class Findings(BaseModel):
    """What was found; lines and columns count from 1."""

    files: int
    findings: list[dict[str, Any]]
    diagnostics: list[dict[str, Any]] = []
    omitted: int = 0


def build(context: ServerContext) -> Tool:
    """The tool over a server's checks."""

    async def analyze_code(
        ctx: Context,
        code: Annotated[str, Field(description="Python, whole or a snippet; or a notebook or Markdown")] = NOT_GIVEN,
        filename: Annotated[
            str, Field(description="Its name in the project, with .ipynb or .md if it is one")
        ] = "snippet.py",
        paths: Annotated[list[str], Field(description="Or files and folders to read")] = [],  # noqa: B006
    ) -> Annotated[CallToolResult, Findings]:
        """Check machine-learning code for bugs and bad practice. Call after writing or changing it."""
        if only_one(code=code, paths=paths) == "code":
            read = partial(SourceFile.from_text, code or "", filename, project=context.project_of(filename))
            work = partial(read_and_analyze, read, context.catalogue)
            analysis = await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        else:
            analysis = await _analyze_paths(context, paths, ctx)
        return _findings_answer(analysis)

    return make_tool(analyze_code, "Check ML code")


async def _analyze_paths(context: ServerContext, paths: list[str], ctx: Context) -> Analysis:
    allowed = [context.allowed(path) for path in paths]
    files = list(dict.fromkeys((file, root) for path, root in allowed for file in python_files([path])))
    if len(files) > _MOST_FILES:
        raise ToolError(
            f"{len(files)} files are too many for one call: pass fewer than {_MOST_FILES}, folder by folder."
        )
    analysis = Analysis(0)
    projects = {root: Project(root) for _, root in allowed}
    for done, (file, root) in enumerate(files):
        await ctx.report_progress(done, len(files), f"Checking {getattr(file, 'name', file)}")
        analysis += await anyio.to_thread.run_sync(
            partial(analyze_files, [file], context.catalogue, projects[root]), abandon_on_cancel=True
        )
    return analysis


def _findings_answer(analysis: Analysis) -> CallToolResult:
    omitted = max(0, len(analysis.findings) - _MOST_FINDINGS)
    worst_first = sorted(analysis.findings, key=lambda finding: SEVERITIES.index(finding.severity))
    analysis = replace(analysis, findings=tuple(worst_first[:_MOST_FINDINGS]))
    text = analysis_text(analysis)
    if omitted:
        text += f"\n{omitted} further findings were left out: pass fewer paths to see them."
    data = analysis_data(analysis)
    return answer(
        text,
        {
            "files": data["files"],
            "findings": without_empty(data["findings"]),
            "diagnostics": without_empty(data["diagnostics"]),
            "omitted": omitted,
        },
    )
