"""Spans of what the server does, for whoever has set up OpenTelemetry; without that they cost nothing.

They carry counts of rules and findings, and never what a client sent or was told: no code, path, name or message. They
take the place of the SDK's, whose status and events quote errors, and with them paths and code.

Set it up as any Python program: `opentelemetry-instrument mlrules-mcp`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from mcp.server import MCPServer
from mcp.server._otel import OpenTelemetryMiddleware
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS
from mcp_types.methods import SPEC_CLIENT_METHODS, SPEC_CLIENT_NOTIFICATION_METHODS
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagate import extract
from opentelemetry.trace import Span, SpanKind, StatusCode
from pydantic import ValidationError

from mlrules_mcp import __version__
from mlrules_mcp.server.protocol import offered_tools

_KNOWN_METHODS = SPEC_CLIENT_METHODS | SPEC_CLIENT_NOTIFICATION_METHODS


class Telemetry:
    """A middleware that puts each message into a span."""

    def __init__(self, server: MCPServer[Any]) -> None:
        self._server = server
        self._tracer = trace.get_tracer("mlrules-mcp", __version__)

    @classmethod
    def install(cls, server: MCPServer[Any]) -> None:
        """Put one into the place of the SDK's."""
        own: Any = cls(server)
        server.middleware[:] = [own, *(m for m in server.middleware if not isinstance(m, OpenTelemetryMiddleware))]

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Handle a message within a span, where there is somebody to take it."""
        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            return await call_next(ctx)
        method = ctx.method if ctx.method in _KNOWN_METHODS else "other"
        tool = self._tool(ctx)
        attributes = {"mcp.method.name": method, "mcp.protocol.version": ctx.protocol_version}
        if tool:
            attributes |= {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool}
        with self._tracer.start_as_current_span(
            f"{method} {tool}" if tool else method,
            context=_parent(ctx.meta),
            kind=SpanKind.SERVER,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                result = await call_next(ctx)
            except Exception as error:
                _fail(span, _kind_of(error))
                raise
            if isinstance(result, Mapping):
                _describe(span, result)
            return result

    def _tool(self, ctx: ServerRequestContext[Any, Any]) -> str | None:
        """The tool that is called, if it is one of the server's: another name may be anything."""
        name = (ctx.params or {}).get("name") if ctx.method == "tools/call" else None
        return name if name in offered_tools(self._server) else None


def _describe(span: Span, result: Mapping[str, Any]) -> None:
    """Say of a result how much of what it holds."""
    if result.get("isError") is True:
        _fail(span, "tool_error")
    data = result.get("structuredContent")
    if not span.is_recording() or not isinstance(data, Mapping):
        return
    findings = _entries(data, "findings")
    for severity, number in Counter(each.get("severity") for each in findings).items():
        span.set_attribute(f"mlrules.findings.{severity}", number)
    rules = Counter(each["rule"] for each in findings if "rule" in each)
    if rules:
        span.set_attribute("mlrules.rules", list(rules))
        span.set_attribute("mlrules.rule_counts", list(rules.values()))
    for key in ("checks", "rules"):
        for status, number in Counter(each.get("status") for each in _entries(data, key) if "status" in each).items():
            span.set_attribute(f"mlrules.{key}.{status}", number)
    if isinstance(files := data.get("files"), int):
        span.set_attribute("mlrules.files", files)


def _entries(data: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    entries = data.get(key)
    return [each for each in entries if isinstance(each, Mapping)] if isinstance(entries, Iterable) else []


def _kind_of(error: Exception) -> str:
    if isinstance(error, MCPError):
        return str(error.error.code)
    return str(INVALID_PARAMS) if isinstance(error, ValidationError) else type(error).__qualname__


def _fail(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)


def _parent(meta: Mapping[str, Any] | None) -> Context | None:
    """The span that a client names in a message, or None for the one that is current here."""
    named = extract({key: value for key, value in (meta or {}).items() if isinstance(value, str)})
    return named if trace.get_current_span(named).get_span_context().is_valid else None
