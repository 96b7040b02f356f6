"""What tools are made with: strict arguments, time limits, and answers that stay within their budget."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import anyio
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult, ResourceLink, TextContent, ToolAnnotations
from pydantic import ValidationError

# Others take it from here: a tool needs nothing else of the server.
from mlrules_mcp.server.context import ServerContext as ServerContext  # noqa: PLC0414

# The default of a parameter that takes any text. It is annotated as `str` alone, because the SDK reads a text for any
# other annotation as JSON where it can, and a notebook is JSON.
NOT_GIVEN: Any = None

# 10,000 tokens of 4 bytes: clients warn above, and refuse above 25,000.
MOST_BYTES = 40_000

# What a tool may take that has no limit of its own, in seconds.
TIME_LIMIT = 60.0


class StrictTool(Tool):
    """A tool that names the arguments it can't take, rather than ignoring them, and ends after a time.

    Attributes:
        time_limit: the most seconds that a call may take.
    """

    time_limit: float = TIME_LIMIT

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:
        """Run the tool; a wrong argument raises a ToolError that an assistant can act on."""
        arguments = {name: value for name, value in arguments.items() if value is not None}
        known = self.parameters.get("properties", {})
        if unknown := sorted(arguments.keys() - known.keys()):
            names = ", ".join(repr(name[:80]) for name in unknown[:10])
            raise ToolError(f"{self.name} has no argument {names}. Its arguments are: {', '.join(known) or 'none'}.")
        try:
            with anyio.fail_after(self.time_limit):
                result = await super().run(arguments, context, convert_result)
        except TimeoutError:
            message = f"{self.name} was stopped after {self.time_limit:g} s. Pass less: fewer files, or smaller ones."
            raise ToolError(message) from None
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.__cause__.errors())
                raise ToolError(f"{self.name}: {'; '.join(problems)}.") from error.__cause__
            if isinstance(error.__cause__, ToolError):
                raise error.__cause__ from None
            raise
        return _with_warning(result, getattr(context.mcp_server, "rules", None))


def _with_warning(result: Any, rules: ServerContext | None) -> Any:
    """An answer with what every answer has to say at the time."""
    if rules is None or rules.warning is None or not isinstance(result, CallToolResult):
        return result
    content = [TextContent(type="text", text=f"Warning: {rules.warning}"), *result.content]
    data = {"warning": rules.warning, **(result.structured_content or {})}
    return result.model_copy(update={"content": content, "structured_content": data})


def make_tool(
    function: Callable[..., Awaitable[Any]], title: str, *, time_limit: float = TIME_LIMIT, runs_code: bool = False
) -> Tool:
    """A tool from a function, whose docstring tells an assistant when to call it. No tool changes the user's files.

    Args:
        time_limit: the most seconds that a call may take.
        runs_code: it runs code of the user's, which may do anything but reach the network.
    """
    annotations = ToolAnnotations(
        title=title,
        read_only_hint=not runs_code,
        destructive_hint=runs_code,
        idempotent_hint=not runs_code,
        open_world_hint=False,
    )
    tool = StrictTool.from_function(function, annotations=annotations)
    assert isinstance(tool, StrictTool)
    tool.time_limit = time_limit
    tool.parameters = compact_schema(tool.parameters)
    output = compact_schema(tool.fn_metadata.output_schema)
    if output:
        output.pop("description", None)  # the tool's own says what it answers
    tool.fn_metadata.output_schema = output
    return tool


def compact_schema(schema: Any) -> Any:
    """A JSON schema without what only costs tokens: generated titles, empty defaults, and `null` where leaving out
    means the same."""
    match schema:
        case {"anyOf": [{**kept}, {"type": "null"}], "default": None, **rest}:
            return compact_schema({**kept, **{key: value for key, value in rest.items() if key != "title"}})
        case dict():
            return {
                key: {name: compact_schema(each) for name, each in value.items()}
                if key == "properties"
                else compact_schema(value)
                for key, value in schema.items()
                if not _says_nothing(key, value)
            }
        case list():
            return [compact_schema(item) for item in schema]
    return schema


def _says_nothing(key: str, value: Any) -> bool:
    """Whether a member of a schema tells a reader nothing; an optional flag that is off by default does not."""
    match key:
        case "title":
            return True
        case "default":
            return (not value and not isinstance(value, (int, float))) or value is False
        case "additionalProperties":
            return value is True
    return False


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


def weight(*forms: Any) -> int:
    """The bytes that the larger of some forms of one thing takes: texts, or data as JSON."""
    return max(
        len((form if isinstance(form, str) else json.dumps(form, ensure_ascii=False)).encode("utf-8", "replace"))
        for form in forms
    )


def number_that_fits(weights: Iterable[int], room: int) -> int:
    """How many things, from the first on, find room together."""
    number = 0
    for each in weights:
        room -= each + 2  # what stands between two
        if room < 0:
            break
        number += 1
    return number


def only_one(**given: Any) -> str:
    """The name of the one argument that was passed.

    Raises:
        ToolError: none was, or several.
    """
    passed = [name for name, value in given.items() if value is not None and value != []]
    if len(passed) != 1:
        raise ToolError(f"Pass either {' or '.join(f'`{name}`' for name in given)}.")
    return passed[0]
