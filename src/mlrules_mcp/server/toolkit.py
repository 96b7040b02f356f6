"""What the tools share: their context, strict arguments, answers and the files they may read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.subscriptions import ResourcesListChanged
from mcp_types import CallToolResult, ResourceLink, TextContent, ToolAnnotations
from pydantic import ValidationError

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.notices import Notices
from mlrules_mcp.server.reports import Content, Kind, ReportStore
from mlrules_mcp.source import Project

# The default of a parameter that takes any text. It is annotated as `str` alone, because the SDK reads a text for any
# other annotation as JSON where it can, and a notebook is JSON.
NOT_GIVEN: Any = None


@dataclass(slots=True)
class ServerContext:
    """What a server offers, shared by its tools, resources and prompts.

    Attributes:
        catalogue: the rules and checks in force; a new one takes its place when a rule file changes.
        roots: the folders whose files may be read; none lets tools see only what a call passes in.
        reports: where reports of runs are kept; None where a link to one might not resolve.
        notices: where changes are published.
    """

    catalogue: Catalogue
    roots: tuple[Path, ...] = ()
    reports: ReportStore | None = None
    notices: Notices = field(default_factory=Notices)

    async def keep_report(self, kind: Kind, title: str, contents: Mapping[str, Content]) -> list[ResourceLink]:
        """Keep the report of a run and tell clients of it.

        Args:
            title: what ran and how it went, in one line.
            contents: as in `Report`, such as `{"json": result.to_dict(), "html": lambda: page(result)}`.

        Returns:
            Links to it for the answer; none where no reports are kept.
        """
        if self.reports is None:
            return []
        report = self.reports.add(kind, title, contents)
        await self.notices.publish(ResourcesListChanged())
        return report.links()

    def allowed(self, path: str) -> tuple[Path, Path]:
        """The file or folder that a client's path means, and the root it lies in, both resolved.

        Raises:
            ToolError: it lies outside the roots, through `..` or a link too, or isn't there.
        """
        for root in self.roots:
            resolved = root.resolve()
            candidate = (resolved / path).resolve()
            if candidate.is_relative_to(resolved):
                if candidate.exists():
                    return candidate, resolved
                raise ToolError(f"There is no file or folder {path!r} under {root.as_posix()}.")
        where = " or ".join(root.as_posix() for root in self.roots)
        raise ToolError(
            f"{path!r} can't be read: this server reads {f'files under {where} only' if where else 'no files'}. "
            "Pass the text in `code` instead."
        )

    def project_of(self, filename: str) -> Project | None:
        """The project that code under a name belongs to: the first root that has the folder it names."""
        for root in self.roots:
            resolved = root.resolve()
            try:
                folder = (resolved / filename).parent.resolve()
                if folder.is_relative_to(resolved) and folder.is_dir():
                    return Project(resolved)
            except (OSError, ValueError):
                continue
        return None


class StrictTool(Tool):
    """A tool that names the arguments it can't take, rather than ignoring them, and says what it does take."""

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:
        """Run the tool; a wrong argument raises a ToolError that an assistant can act on."""
        arguments = {name: value for name, value in arguments.items() if value is not None}
        known = self.parameters.get("properties", {})
        if unknown := sorted(arguments.keys() - known.keys()):
            names = ", ".join(map(repr, unknown))
            raise ToolError(f"{self.name} has no argument {names}. Its arguments are: {', '.join(known) or 'none'}.")
        try:
            return await super().run(arguments, context, convert_result)
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.__cause__.errors())
                raise ToolError(f"{self.name}: {'; '.join(problems)}.") from error.__cause__
            if isinstance(error.__cause__, ToolError):
                raise error.__cause__ from None
            raise


def make_tool(function: Callable[..., Awaitable[Any]], title: str) -> Tool:
    """A tool from a function, whose docstring tells an assistant when to call it. No tool changes the user's files."""
    annotations = ToolAnnotations(
        title=title, read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
    )
    tool = StrictTool.from_function(function, annotations=annotations)
    tool.parameters = compact_schema(tool.parameters)
    tool.fn_metadata.output_schema = compact_schema(tool.fn_metadata.output_schema)
    return tool


def compact_schema(schema: Any) -> Any:
    """A JSON schema without what only costs tokens: generated titles, and `null` where leaving out means the same."""
    match schema:
        case {"anyOf": [{**kept}, {"type": "null"}], "default": None, **rest}:
            return compact_schema({**kept, **{key: value for key, value in rest.items() if key != "title"}})
        case dict():
            return {
                key: {name: compact_schema(each) for name, each in value.items()}
                if key == "properties"
                else compact_schema(value)
                for key, value in schema.items()
                if not (key == "title" or (key, value) in (("additionalProperties", True), ("default", None)))
            }
        case list():
            return [compact_schema(item) for item in schema]
    return schema


def answer(text: str, data: dict[str, Any], links: Sequence[ResourceLink] = ()) -> CallToolResult:
    """An answer whole in both forms, because some clients show the model only one of them.

    Args:
        links: to reports of what ran; they are named in both forms too.
    """
    if links:
        uris = [link.uri for link in links]
        text += f"\nReports: {', '.join(uris)}"
        data = {**data, "reports": uris}
    return CallToolResult(content=[TextContent(type="text", text=text), *links], structured_content=data)


def only_one(**given: Sequence[Any] | None) -> str:
    """The name of the one argument that was passed.

    Raises:
        ToolError: none was, or several.
    """
    passed = [name for name, value in given.items() if value is not None and value != []]
    if len(passed) != 1:
        raise ToolError(f"Pass either {' or '.join(f'`{name}`' for name in given)}.")
    return passed[0]
