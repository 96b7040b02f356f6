"""Puts the server together."""

from __future__ import annotations

import importlib
import logging
import pkgutil
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from mcp.server import MCPServer
from mcp.server.caching import CacheHint
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult, Icon, InputRequiredResult, Resource
from mcp_types.methods import CacheableMethod

from mlrules_mcp import __version__
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server import completions, prompts, resources, tools
from mlrules_mcp.server.apps import apps, with_app
from mlrules_mcp.server.notices import Notices
from mlrules_mcp.server.protocol import refuse_unknown
from mlrules_mcp.server.reports import ReportStore
from mlrules_mcp.server.skills import SkillsExtension
from mlrules_mcp.server.telemetry import Telemetry
from mlrules_mcp.server.toolkit import ServerContext

# What each tool is for, in the order of the work.
_USES = {
    "list_rules": "Before you write or change ML code: list_rules with the files' paths.",
    "analyze_code": (
        "After each change: analyze_code with the new text, and the old one as `previous` to see what is new. "
        "Mend errors and warnings; weigh advice."
    ),
    "fix_code": "To mend: fix_code applies safe fixes.",
    "explain_rule": "To understand a finding: explain_rule tells why, what is left alone, and shows good code.",
    "review_project": "To judge a whole project: review_project, then one rule's next step in full with `rule`.",
    "check_training": "To show that training works on this machine's devices: check_training.",
}


def instructions(offered: Iterable[str]) -> str:
    """What a client is told of the server: what the tools that it offers are for."""
    names = set(offered)
    return "\n".join(
        [
            "Practices for machine-learning code (PyTorch, Lightning, scikit-learn), checked on the code itself.",
            *(f"- {use}" for name, use in _USES.items() if name in names),
            "A finding that is wrong here is suppressed on its line: # mlrules: ignore[check-name]",
        ]
    )


ElsewhereCall: TypeAlias = Callable[[str, dict[str, Any], "Context[Any, Any] | None"], Awaitable[CallToolResult]]

# Lists change with a release or, as a notice says, with a rule file; what is read may be a client's own.
CACHE_HINTS: dict[CacheableMethod, CacheHint] = {
    "server/discover": CacheHint(ttl_ms=3_600_000, scope="public"),
    "tools/list": CacheHint(ttl_ms=3_600_000, scope="public"),
    "prompts/list": CacheHint(ttl_ms=3_600_000, scope="public"),
    "resources/templates/list": CacheHint(ttl_ms=3_600_000, scope="public"),
    "resources/list": CacheHint(ttl_ms=60_000, scope="private"),
    "resources/read": CacheHint(ttl_ms=60_000, scope="private"),
}

_PICTURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" rx="5" fill="#1f6feb"/>'
    '<path d="M5 6v12h14" fill="none" stroke="#fff" stroke-width="2"/>'
    '<path d="M6 7c3 8 7 9 12 9" fill="none" stroke="#fff" stroke-width="2"/></svg>'
)
ICON = Icon(src=f"data:image/svg+xml,{quote(_PICTURE)}", mime_type="image/svg+xml", sizes=["any"])


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
        """All resources: those that are always there, the blocks, the skills, then the reports, latest first."""
        reports = self.rules.reports or ()
        return [
            *await super().list_resources(),
            *resources.listed_blocks(self.rules),
            *self.skills.listed(),
            *(each for report in reports for each in report.resources()),
        ]


def build_server(
    catalogue: Catalogue,
    roots: Iterable[Path] = (),
    *,
    manifests: Sequence[Path] = (),
    keep_reports: bool = True,
    training_code: bool = False,
    offered: Collection[str] = (),
    read_only: bool = False,
) -> RulesServer:
    """The MCP server with all its tools, resources and prompts.

    Args:
        roots: the folders whose files the tools may read; none lets them see only what a call passes in.
        manifests: the files that the catalogue's further rules come from: they are watched, and taken over anew when
            they change.
        keep_reports: whether reports of runs are kept in memory and linked to. False for a service of several
            replicas or of clients that must not see each other's runs, which has no sessions either.
        training_code: whether check_training may run the user's own code.
        offered: the names of the tools to offer; empty for all.
        read_only: offer no tool that runs code of the user's.

    Raises:
        ValueError: there is no tool of a name in `offered`.
    """
    context = ServerContext(
        catalogue,
        tuple(roots),
        training_code,
        ReportStore() if keep_reports else None,
        Notices(connections=keep_reports),
    )
    # The SDK logs each refused argument at INFO: a line on stderr for every slip of an assistant.
    logging.getLogger("mcp").setLevel(logging.WARNING)
    kept = list(_offered(context, offered, read_only))
    server = RulesServer(
        context,
        name="mlrules-mcp",
        title="Machine-learning rules",
        version=__version__,
        instructions=instructions(tool.name for tool in kept),
        icons=[ICON],
        tools=kept,
        cache_hints=CACHE_HINTS,
        lifespan=_watching(context, manifests) if manifests else None,
        log_level="WARNING",
    )
    server.middleware.append(refuse_unknown(server))
    for offer in (resources, prompts, completions):
        offer.register(server, context)
    return server


def _watching(context: ServerContext, manifests: Sequence[Path]) -> Callable[[Any], AbstractAsyncContextManager[Any]]:
    # Imported here: a server without further rule files needs no parser of theirs.
    from mlrules_mcp.server.reload import ManifestWatch  # noqa: PLC0415

    return ManifestWatch(context, manifests).running


def tool_names() -> list[str]:
    """The names of all tools there are."""
    return [info.name for info in pkgutil.iter_modules(tools.__path__)]


def _offered(context: ServerContext, names: Collection[str], read_only: bool) -> Iterator[Tool]:
    """The tools of these names, or all; where only reading is allowed, those that do no more."""
    known = tool_names()
    if unknown := sorted(set(names) - set(known)):
        raise ValueError(f"There is no tool {', '.join(unknown)}; there are: {', '.join(known)}.")
    for name in known:
        if not names or name in names:
            tool = with_app(importlib.import_module(f"{tools.__name__}.{name}").build(context))
            if not read_only or (tool.annotations and tool.annotations.read_only_hint):
                yield tool
