"""What the specification wants of a request and the SDK leaves to the server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, NoReturn

from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS


def offered_tools(server: MCPServer[Any]) -> list[str]:
    """The names of the tools that a server offers."""
    # The public list builds a model of each tool, which costs more than the rest of looking at a message.
    return [tool.name for tool in server._tool_manager.list_tools()]


def refuse_unknown(server: MCPServer[Any]) -> ServerMiddleware[Any]:
    """A middleware that answers -32602 to unknown tools and prompts, and to missing or unknown prompt arguments.

    Wrong arguments of a known tool are no errors of the protocol: the tool answers them, so that a model can read it.
    """

    async def middleware(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        match ctx.method, ctx.params:
            case "tools/call", {"name": str(name)}:
                _require("tool", name, offered_tools(server))
            case "prompts/get", {"name": str(name), **rest}:
                prompts = {prompt.name: prompt for prompt in await server.list_prompts()}
                _require("prompt", name, prompts)
                arguments = prompts[name].arguments or []
                given = rest.get("arguments") or {}
                if isinstance(given, Mapping):  # another type is refused by the SDK
                    _require_arguments(name, {each.name: bool(each.required) for each in arguments}, given)
        return await call_next(ctx)

    return middleware


def _require(kind: str, name: str, known: Iterable[str]) -> None:
    names = list(known)
    if name not in names:
        close = get_close_matches(name[:80], names, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(names) or 'none'}."
        _refuse(f"Unknown {kind}: {name[:80]}. {hint}")


def _require_arguments(prompt: str, known: Mapping[str, bool], given: Mapping[str, Any]) -> None:
    if missing := [name for name, required in known.items() if required and name not in given]:
        _refuse(f"The prompt {prompt} needs {', '.join(missing)}.")
    if unknown := sorted(given.keys() - known.keys()):
        names = ", ".join(repr(name[:80]) for name in unknown[:10])
        _refuse(f"The prompt {prompt} has no argument {names}. Its arguments are: {', '.join(known) or 'none'}.")


def _refuse(message: str) -> NoReturn:
    raise MCPError(INVALID_PARAMS, message)
