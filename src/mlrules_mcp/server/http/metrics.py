"""Counts for Prometheus, and a line of log for each call: what was called and how it went, never what with."""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlrules_mcp.server.http.state import ServiceState

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)
# What a client calls may be anything; these are the names that are told apart.
_METHODS = {"initialize", "ping", "server/discover", "tools/list", "tools/call", "resources/list", "resources/read"} | {
    "resources/templates/list",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "subscriptions/listen",
}

disable_created_metrics()  # type: ignore[no-untyped-call]  # when a count began says nothing here, and doubles the page
calls_log = logging.getLogger("mlrules_mcp.calls")


class Metrics:
    """What is counted in one service.

    Attributes:
        tools: the names of tools; what else clients call is counted together.
    """

    def __init__(self, state: ServiceState) -> None:
        self.tools: frozenset[str] = frozenset()
        self._registry = CollectorRegistry()
        self.calls = Counter("mlrules_calls", "Calls by what was called.", ["name", "outcome"], registry=self._registry)
        self.seconds = Histogram(
            "mlrules_call_seconds", "Time to an answer.", ["name"], registry=self._registry, buckets=_SECONDS
        )
        self.findings = Counter("mlrules_findings", "Findings by rule.", ["rule"], registry=self._registry)
        self.responses = Counter("mlrules_responses", "Responses by status.", ["status"], registry=self._registry)
        self._registry.register(_StateCollector(state))
        ProcessCollector(registry=self._registry)

    async def observe(self, ctx: ServerRequestContext[Any], call_next: CallNext) -> HandlerResult:
        """Count and log one request of the protocol."""
        if ctx.request_id is None:
            return await call_next(ctx)
        name, outcome, start = self._name(ctx), "cancelled", time.perf_counter()
        try:
            result = await call_next(ctx)
            outcome = "refused" if _is_error(result) else "answered"
            self._count_findings(result)
            return result
        except MCPError:
            outcome = "refused"
            raise
        except Exception:
            outcome = "failed"
            raise
        finally:
            seconds = time.perf_counter() - start
            self.calls.labels(name, outcome).inc()
            self.seconds.labels(name).observe(seconds)
            token = get_access_token()
            calls_log.info(
                "call",
                extra={
                    "fields": {
                        "name": name,
                        "outcome": outcome,
                        "ms": round(seconds * 1000, 1),
                        "revision": ctx.protocol_version,
                        **({"client": token.client_id} if token else {}),
                    }
                },
            )

    def _name(self, context: ServerRequestContext[Any]) -> str:
        if context.method == "tools/call":
            tool = (context.params or {}).get("name")
            return tool if isinstance(tool, str) and tool in self.tools else "unknown tool"
        return context.method if context.method in _METHODS else "other"

    def _count_findings(self, result: Any) -> None:
        data = result.get("structuredContent") if isinstance(result, dict) else None
        for finding in data.get("findings", ()) if isinstance(data, dict) else ():
            if isinstance(finding, dict) and isinstance(rule := finding.get("rule"), str):
                self.findings.labels(rule).inc()

    async def endpoint(self, _request: Request) -> Response:
        """All of it, as Prometheus reads it."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)

    def counting(self, app: ASGIApp) -> ASGIApp:
        """An application whose responses are counted."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            async def watched(message: Message) -> None:
                if message["type"] == "http.response.start":
                    self.responses.labels(str(message["status"])).inc()
                await send(message)

            await app(scope, receive, watched if scope["type"] == "http" else send)

        return counted


class _StateCollector(Collector):
    """What is known at the moment of asking."""

    def __init__(self, state: ServiceState) -> None:
        self._state = state

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """The gauges, and how often workers ended."""
        state, pool = self._state, self._state.pool
        yield GaugeMetricFamily("mlrules_requests_in_flight", "Requests being answered.", value=state.requests)
        yield GaugeMetricFamily("mlrules_listeners", "Open streams of notices.", value=len(state.listeners))
        if pool is None:
            return
        yield GaugeMetricFamily("mlrules_queue_length", "Calls that wait for a worker.", value=pool.waiting)
        yield GaugeMetricFamily("mlrules_workers", "Workers that are up.", value=pool.up)
        yield GaugeMetricFamily("mlrules_workers_busy", "Workers that have a call.", value=pool.busy)
        ends = CounterMetricFamily("mlrules_worker_ends", "Workers that ended, by why.", labels=["reason"])
        for reason, number in pool.ends.items():
            ends.add_metric([reason], number)
        yield ends


def _is_error(result: Any) -> bool:
    return isinstance(result, dict) and bool(result.get("isError"))


class JsonFormatter(logging.Formatter):
    """One JSON object a line. What others log may quote what was sent, so of theirs only the place is kept."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        own = record.name.startswith(("mlrules_mcp", "uvicorn"))
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage() if own else f"{record.module}.{record.funcName}:{record.lineno}",
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0]:
            line["exception"] = record.exc_info[0].__name__
            frames = traceback.extract_tb(record.exc_info[2])
            line["at"] = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames[-8:]]
        return json.dumps(line, ensure_ascii=True)


def log_as_json() -> None:
    """Send all logs to stderr in JSON, from INFO on; those of libraries from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in ("mlrules_mcp", "uvicorn"):
        logging.getLogger(name).setLevel(logging.INFO)
