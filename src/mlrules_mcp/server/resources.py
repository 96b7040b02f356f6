"""The resources: reports of past runs."""

from __future__ import annotations

from typing import Any

from mcp.server import MCPServer

from mlrules_mcp.server.reports import MIME_TYPES, ReportStore
from mlrules_mcp.server.toolkit import ServerContext


def register(server: MCPServer[Any], context: ServerContext) -> None:
    """Offer the resources of a server."""
    if context.reports is not None:
        for form in MIME_TYPES:
            _register_report(server, context.reports, form)


def _register_report(server: MCPServer[Any], reports: ReportStore, form: str) -> None:
    @server.resource(
        f"reports://{{id}}/{form}",
        name=f"report-{form}",
        title=f"Report of a run, as {form.upper()}",
        description="A past training check or project review, as long as it is kept",
        mime_type=MIME_TYPES[form],
    )
    async def report(id: str) -> str | bytes:  # noqa: A002 - the template's name for it
        return await reports.read(id, form)
