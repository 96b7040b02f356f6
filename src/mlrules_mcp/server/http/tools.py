"""Where the tools of a service run: those that read what clients send in workers, training in a queue of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult

from mlrules_mcp.server.app import ElsewhereCall, RulesServer
from mlrules_mcp.server.http.pool import PoolError, WorkerPool

# These read nothing of the client's but names.
_HERE = {"list_rules", "explain_rule"}
TRAINING = "check_training"
_MOST_TRAININGS_WAITING = 2


async def place_tools(server: RulesServer, pool: WorkerPool) -> None:
    """Let the tools of a server run where they can do no harm to it."""
    names = {tool.name for tool in await server.list_tools()} - _HERE
    in_pool, one_by_one = _in_pool(server, pool), _one_by_one(server)
    server.elsewhere = {name: one_by_one if name == TRAINING else in_pool for name in names}


def _in_pool(server: RulesServer, pool: WorkerPool) -> ElsewhereCall:
    current = server.rules.catalogue

    async def call(name: str, arguments: dict[str, Any], context: Context[Any, Any] | None) -> CallToolResult:
        nonlocal current
        if server.rules.catalogue is not current:
            current = server.rules.catalogue
            pool.renew(replace(pool.spec, rules=current.rules))
        try:
            answer = await pool.call(name, arguments, context.report_progress if context else None)
        except PoolError as error:
            raise ToolError(str(error)) from None
        match answer:
            case {"refused": message}:
                raise ToolError(message)
            case {"error": {"code": code, "message": message, **rest}}:
                raise MCPError(code, message, rest.get("data"))
        return CallToolResult.model_validate(answer["result"])

    return call


def _one_by_one(server: RulesServer) -> ElsewhereCall:
    turn = anyio.CapacityLimiter(1)

    async def call(name: str, arguments: dict[str, Any], context: Context[Any, Any] | None) -> CallToolResult:
        if turn.statistics().tasks_waiting >= _MOST_TRAININGS_WAITING:
            raise ToolError("Other training checks are waiting already. Call again in some minutes.")
        async with turn:
            result = await MCPServer.call_tool(server, name, arguments, context)
            return cast(CallToolResult, result)

    return call
