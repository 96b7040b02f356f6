"""Where the tools of a service run: in workers, for even a name that a client sends can be hard to look up; training in
a queue of its own, in processes that it starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import anyio
from mcp.server import MCPServer
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult

from mlrules_mcp.server.app import ElsewhereCall, RulesServer
from mlrules_mcp.server.http.pool import PoolError, WorkerPool

TRAINING = "check_training"
_MOST_TRAININGS_WAITING = 2
_SCOPES = {TRAINING: "train", "review_project": "review"}


@dataclass(frozen=True, slots=True)
class CallLimits:
    """How much one call may hold: items in a list, and characters in all."""

    items: int = 50
    characters: int = 2 * 1024 * 1024

    def check(self, arguments: dict[str, Any]) -> None:
        """Raise a ToolError that says what to do where it is too much."""
        items = max((len(value) for value in arguments.values() if isinstance(value, list)), default=0)
        if items > self.items:
            raise ToolError(f"{items} are too many for one call here: pass at most {self.items} at once.")
        if _characters(arguments) > self.characters:
            raise ToolError(f"That is too much text for one call here: pass at most {self.characters} characters.")


async def place_tools(server: RulesServer, pool: WorkerPool | None, limits: CallLimits) -> None:
    """Let the tools of a server run where they can do no harm to it, for those who may call them.

    Args:
        pool: where tools run; None is this process.
    """
    here = _here(server)
    places = {tool.name: here for tool in await server.list_tools()}
    if pool is not None:
        places = dict.fromkeys(places, _in_pool(server, pool))
    if TRAINING in places:
        places[TRAINING] = _one_by_one(here)
    server.elsewhere = {name: _guarded(call, limits) for name, call in places.items()}


def _guarded(call: ElsewhereCall, limits: CallLimits) -> ElsewhereCall:
    async def guarded(name: str, arguments: dict[str, Any], context: Context[Any, Any] | None) -> CallToolResult:
        token = get_access_token()
        scope = _SCOPES.get(name, "analyze")
        if token is not None and scope not in token.scopes:
            raise ToolError(f"This token is not for {name}: it lacks the scope {scope!r}.")
        limits.check(arguments)
        return await call(name, arguments, context)

    return guarded


def _characters(value: Any) -> int:
    match value:
        case str():
            return len(value)
        case list():
            return sum(map(_characters, value))
        case dict():
            return sum(map(_characters, value.values()))
    return 0


def _here(server: RulesServer) -> ElsewhereCall:
    async def call(name: str, arguments: dict[str, Any], context: Context[Any, Any] | None) -> CallToolResult:
        return cast(CallToolResult, await MCPServer.call_tool(server, name, arguments, context))

    return call


def _in_pool(server: RulesServer, pool: WorkerPool) -> ElsewhereCall:
    current = server.rules.catalogue

    async def call(name: str, arguments: dict[str, Any], context: Context[Any, Any] | None) -> CallToolResult:
        nonlocal current
        if server.rules.catalogue is not current:
            current = server.rules.catalogue
            pool.renew(replace(pool.spec, rules=current.rules))
        try:
            answer = await pool.call(
                name, arguments, context.report_progress if context else None, server.rules.warning
            )
        except PoolError as error:
            raise ToolError(str(error)) from None
        match answer:
            case {"refused": message}:
                raise ToolError(message)
            case {"error": {"code": code, "message": message, **rest}}:
                raise MCPError(code, message, rest.get("data"))
        return CallToolResult.model_validate(answer["result"])

    return call


def _one_by_one(here: ElsewhereCall) -> ElsewhereCall:
    turn = anyio.CapacityLimiter(1)

    async def call(name: str, arguments: dict[str, Any], context: Context[Any, Any] | None) -> CallToolResult:
        if turn.statistics().tasks_waiting >= _MOST_TRAININGS_WAITING:
            raise ToolError("Other training checks are waiting already. Call again in some minutes.")
        async with turn:
            return await here(name, arguments, context)

    return call
