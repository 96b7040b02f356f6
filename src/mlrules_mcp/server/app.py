"""Puts the server together."""

from __future__ import annotations

import importlib
import logging
import pkgutil
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult, InputRequiredResult, Resource

from mlrules_mcp import __version__
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server import resources, tools
from mlrules_mcp.server.apps import apps, with_app
from mlrules_mcp.server.reports import ReportStore
from mlrules_mcp.server.skills import SkillsExtension
from mlrules_mcp.server.telemetry import Telemetry
from mlrules_mcp.server.toolkit import ServerContext

INSTRUCTIONS = """\
Practices for machine-learning code (PyTorch, Lightning, scikit-learn), checked on the code itself.
- Before you write or change ML code: list_rules with the files' paths.
- After each change: analyze_code with the new text. Mend errors and warnings; weigh advice.
- To mend: fix_code applies safe fixes; explain_rule tells why, what is left alone, and shows good code.
- To judge a whole project: review_project, then one rule's next step in full with `rule`.
- To show that training works on this machine's devices: check_training.
A finding that is wrong here is suppressed on its line: # mlrules: ignore[check-name]"""


ElsewhereCall: TypeAlias = Callable[[str, dict[str, Any], "Context[Any, Any] | None"], Awaitable[CallToolResult]]


class RulesServer(MCPServer[Any]):
    """The SDK's server with what it has no place for: resources that come and go, tools that run elsewhere.

    Attributes:
        elsewhere: runs the tools of a name by other means than in this process.
    """

    def __init__(self, context: ServerContext, **options: Any) -> None:
        self.skills = SkillsExtension(context)
        super().__init__(
            subscriptions=context.notices.bus,
            middleware=[context.notices, self._declare_extensions],
            extensions=[self.skills, apps()],
            **options,
        )
        Telemetry.install(self)
        self.skills.offer(self)
        self.rules = context
        self.elsewhere: Mapping[str, ElsewhereCall] = {}

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool, here or elsewhere."""
        if name in self.elsewhere:
            return await self.elsewhere[name](name, arguments, context)
        return await super().call_tool(name, arguments, context)

    async def _declare_extensions(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Name the extensions to clients of the handshake era too, to whom the SDK doesn't; most hosts are of it."""
        result = await call_next(ctx)
        match ctx.method, result:
            case "initialize", {"capabilities": dict(capabilities)}:
                capabilities["extensions"] = {each.identifier: each.settings() for each in self._extensions}
        return result

    async def list_resources(self) -> list[Resource]:
        """All resources: those that are always there, the skills, then the reports, latest first."""
        reports = self.rules.reports or ()
        return [
            *await super().list_resources(),
            *self.skills.listed(),
            *(each for report in reports for each in report.resources()),
        ]


def build_server(
    catalogue: Catalogue, roots: Iterable[Path] = (), *, keep_reports: bool = True, training_code: bool = False
) -> RulesServer:
    """The MCP server with all its tools and resources.

    Args:
        roots: the folders whose files the tools may read; none lets them see only what a call passes in.
        keep_reports: whether reports of runs are kept in memory and linked to. False for a service of several
            replicas or of clients that must not see each other's runs.
        training_code: whether check_training may run the user's own code.
    """
    context = ServerContext(catalogue, tuple(roots), training_code, ReportStore() if keep_reports else None)
    # The SDK logs each refused argument at INFO: a line on stderr for every slip of an assistant.
    logging.getLogger("mcp").setLevel(logging.WARNING)
    server = RulesServer(
        context,
        name="mlrules-mcp",
        title="Machine-learning rules",
        version=__version__,
        instructions=INSTRUCTIONS,
        tools=list(_tools(context)),
        log_level="WARNING",
    )
    resources.register(server, context)
    return server


def _tools(context: ServerContext) -> Iterator[Tool]:
    for info in pkgutil.iter_modules(tools.__path__, f"{tools.__name__}."):
        yield with_app(importlib.import_module(info.name).build(context))
