"""Tells clients of both protocol eras what has changed on the server."""

from __future__ import annotations

from typing import Any

from mcp.server.connection import Connection
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS
from mcp_types.version import MODERN_PROTOCOL_VERSIONS


class Notices:
    """Where changes are published: to `subscriptions/listen` streams, and to the clients of the handshake era.

    For the latter it is a middleware, because the SDK serves only the former: it declares that lists change and that
    resources can be subscribed to, answers `resources/subscribe`, and knows the connections that are open.

    Args:
        connections: whether those stay open; without sessions there is no way to tell clients of that era anything.
    """

    def __init__(self, connections: bool = True) -> None:
        self.bus = InMemorySubscriptionBus()
        self._connections = connections
        self._subscribed: dict[Connection, set[str]] = {}

    async def publish(self, *events: ServerEvent) -> None:
        """Tell everyone who listens."""
        for event in events:
            await self.bus.publish(event)
            for connection, uris in list(self._subscribed.items()):
                match event:
                    case ToolsListChanged():
                        await connection.send_tool_list_changed()
                    case PromptsListChanged():
                        await connection.send_prompt_list_changed()
                    case ResourcesListChanged():
                        await connection.send_resource_list_changed()
                    case ResourceUpdated(uri) if uri in uris:
                        await connection.send_resource_updated(uri)

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Handle what the SDK leaves to a server of the handshake era, and pass on the rest."""
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS or not self._connections:
            return await call_next(ctx)
        match ctx.method:
            case "initialize":
                return _with_notices(await call_next(ctx))
            case "notifications/initialized":
                self._keep(_connection(ctx))
            case "resources/subscribe":
                self._keep(_connection(ctx)).add(_uri(ctx))
                return {}
            case "resources/unsubscribe":
                self._subscribed.get(_connection(ctx), set()).discard(_uri(ctx))
                return {}
        return await call_next(ctx)

    def _keep(self, connection: Connection) -> set[str]:
        """What a connection is subscribed to; it is kept until the connection closes."""
        if connection not in self._subscribed:
            self._subscribed[connection] = set()
            connection.exit_stack.callback(self._subscribed.pop, connection, None)
        return self._subscribed[connection]


def _connection(context: ServerRequestContext[Any, Any]) -> Connection:
    # The SDK has no public way to a connection from a request, though it invites middleware to use its exit stack.
    return context.session._connection


def _uri(context: ServerRequestContext[Any, Any]) -> str:
    match context.params:
        case {"uri": str(uri)}:
            return uri
    raise MCPError(INVALID_PARAMS, "Invalid params: `uri` is missing.")


def _with_notices(result: HandlerResult) -> HandlerResult:
    """The answer to `initialize`, saying which notices come."""
    match result:
        case {"capabilities": {"resources": dict(resources), "prompts": dict(prompts), "tools": dict(tools)}}:
            for capability in (resources, prompts, tools):
                capability["listChanged"] = True
            resources["subscribe"] = True
    return result
