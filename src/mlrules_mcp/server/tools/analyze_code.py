"""The tool `analyze_code`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from mlrules_mcp.analysis.changes import Changes, changes
from mlrules_mcp.analysis.engine import Analysis, analyze, analyze_files
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.report.findings_text import count
from mlrules_mcp.server.findings import findings_answer
from mlrules_mcp.server.toolkit import NOT_GIVEN, ServerContext, answer, make_tool, only_one
from mlrules_mcp.source import Project, SourceFile, UnreadableSource

_MOST_FILES = 500


class Snippet(BaseModel):
    """A file's text, and the one before an edit."""

    model_config = ConfigDict(extra="forbid")

    name: str
    text: str
    previous: str | None = None


class Findings(BaseModel):
    """What was found."""

    files: int
    findings: list[dict[str, Any]]
    diagnostics: list[dict[str, Any]] = []


_TEXT = {"type": "string"}
_SNIPPETS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": dict.fromkeys(Snippet.model_fields, _TEXT),
        "required": ["name", "text"],
    },
}


def build(context: ServerContext) -> Tool:
    """The tool over a server's checks."""

    async def analyze_code(
        ctx: Context,
        code: Annotated[str, Field(description="Python, whole or a snippet; or a notebook or Markdown")] = NOT_GIVEN,
        filename: Annotated[
            str, Field(description="Its name in the project, with .ipynb or .md if it is one")
        ] = "snippet.py",
        previous: Annotated[str, Field(description="The text before your edit: only what is new is told")] = NOT_GIVEN,
        files: Annotated[list[Snippet], Field(description="Or several"), WithJsonSchema(_SNIPPETS)] = [],  # noqa: B006
        paths: Annotated[list[str], Field(description="Or files and folders to read")] = [],  # noqa: B006
    ) -> Annotated[CallToolResult, Findings]:
        """Check machine-learning code for bugs and bad practice. Call after writing or changing it."""
        given = only_one(code=code, files=files, paths=paths)
        if previous is not None and given != "code":
            raise ToolError("`previous` goes with `code`; an entry of `files` has a `previous` of its own.")
        if given == "paths":
            return await _paths_answer(context, paths, ctx)
        return await _snippets_answer(context, files or [Snippet(name=filename, text=code, previous=previous)], ctx)

    return make_tool(analyze_code, "Check ML code")


async def _paths_answer(context: ServerContext, paths: list[str], ctx: Context) -> CallToolResult:
    files = await context.run(partial(context.files, paths))
    if len(files) > _MOST_FILES:
        raise ToolError(
            f"{len(files)} files are too many for one call: pass fewer than {_MOST_FILES}, folder by folder."
        )
    catalogue = context.catalogue
    projects = {root: Project(root) for _, root in files}
    analysis = Analysis(0)
    for done, (file, root) in enumerate(files):
        await ctx.report_progress(done, len(files), f"Checking {getattr(file, 'name', file)}")
        analysis += await context.run(partial(analyze_files, [file], catalogue, projects[root]))
    return answer(*findings_answer(analysis, _rest(len(files))))


async def _snippets_answer(context: ServerContext, snippets: Sequence[Snippet], ctx: Context) -> CallToolResult:
    found = Changes(Analysis(0), 0, 0)
    for done, snippet in enumerate(snippets):
        if len(snippets) > 1:
            await ctx.report_progress(done, len(snippets), f"Checking {snippet.name}")
        project = context.project_of(snippet.name)
        found += await context.run(partial(_analyze, snippet, context.catalogue, project))
    text, data = findings_answer(found.new, _rest(len(snippets)))
    if any(snippet.previous is not None for snippet in snippets):
        text = f"New since the previous text: {text}\n{found.unchanged} as before, {found.resolved} resolved."
        data |= {"unchanged": found.unchanged, "resolved": found.resolved}
    return answer(text, data)


def _analyze(snippet: Snippet, catalogue: Catalogue, project: Project | None) -> Changes:
    """What is found in a snippet, or is new in it."""
    try:
        source = SourceFile.from_text(snippet.text, snippet.name, project=project)
    except UnreadableSource as error:
        return Changes(Analysis(1, diagnostics=(error.diagnostic,)), 0, 0)
    analysis = analyze(source, catalogue)
    if snippet.previous is None:
        return Changes(analysis, 0, 0)
    try:
        before = SourceFile.from_text(snippet.previous, snippet.name, project=project)
    except UnreadableSource:
        return Changes(analysis, 0, 0)
    return changes((before, analyze(before, catalogue)), (source, analysis))


def _rest(files: int) -> str:
    return "Mend these and call again." if files == 1 else f"Pass fewer than these {count(files, 'file')} to see them."
