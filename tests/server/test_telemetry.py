from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server import telemetry
from mlrules_mcp.server.app import build_server
from tests.server.conftest import ask, run

SECRET = "s3cr3t"
BAD = f"import torch\n\nwith torch.no_grad:\n    {SECRET} = torch.load('{SECRET}.pt')\nx = torch.load('{SECRET}')\n"
ERAS = ["legacy", "2026-07-28"]


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What is exported of the server's spans; the provider is this test's alone."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry.trace, "get_tracer_provider", lambda: provider)
    yield exporter
    provider.shutdown()


def exported(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    (span,) = [span for span in exporter.get_finished_spans() if span.name == name]
    return span


def everything(exporter: InMemorySpanExporter) -> str:
    return "".join(span.to_json() for span in exporter.get_finished_spans())


@pytest.mark.parametrize("era", ERAS)
def test_a_call_is_a_span_with_the_counts_of_what_was_found(spans: InMemorySpanExporter, era: str) -> None:
    server = build_server(Catalogue())
    run(lambda client: client.call_tool("analyze_code", {"code": BAD, "filename": f"{SECRET}.py"}), server, era)
    span = exported(spans, "tools/call analyze_code")
    attributes = dict(span.attributes or {})
    assert attributes["gen_ai.tool.name"] == "analyze_code"
    assert attributes["mlrules.files"] == 1
    assert attributes["mlrules.findings.error"] >= 1
    counts = dict(zip(attributes["mlrules.rules"], attributes["mlrules.rule_counts"], strict=True))
    assert counts["pytorch_rules.gradient_management"] == 1
    assert span.status.status_code is StatusCode.UNSET
    assert SECRET not in everything(spans)


CALLS: list[tuple[str, dict[str, Any]]] = [
    ("tools/call", {"name": "analyze_code", "arguments": {"paths": [f"/home/{SECRET}/train.py"]}}),
    ("tools/call", {"name": "analyze_code", "arguments": {SECRET: 1}}),
    ("tools/call", {"name": "fix_code", "arguments": {"code": f"{SECRET} = ("}}),
    ("tools/call", {"name": f"tool_{SECRET}", "arguments": {}}),
    ("resources/read", {"uri": f"file:///home/{SECRET}/train.py"}),
    ("prompts/get", {"name": SECRET}),
    ("skills/get", {"uri": f"skill://{SECRET}/SKILL.md"}),
    (f"method/{SECRET}", {}),
]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("method", "params"), CALLS)
def test_what_a_client_sends_or_is_told_is_in_no_span(
    spans: InMemorySpanExporter, method: str, params: dict[str, Any], era: str, tmp_path: Path
) -> None:
    async def fail(client: Client) -> None:
        try:
            await ask(client, method, **params)
        except MCPError:
            return

    run(fail, build_server(Catalogue(), [tmp_path]), era)
    assert spans.get_finished_spans()
    assert SECRET not in everything(spans)


def test_a_failure_is_told_by_its_kind(spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    server = build_server(Catalogue())

    async def fail(client: Client) -> None:
        assert (await client.call_tool("analyze_code", {})).is_error
        with pytest.raises(MCPError):
            await client.read_resource("skill://none/SKILL.md")

    run(fail, server)
    for name, kind in (("tools/call analyze_code", "tool_error"), ("resources/read", "-32602")):
        span = exported(spans, name)
        assert (span.attributes or {})["error.type"] == kind
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description is None
        assert span.events == ()


def test_a_span_continues_the_trace_that_the_client_names(spans: InMemorySpanExporter) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    async def call(client: Client) -> None:
        for meta in ({"traceparent": parent}, {"traceparent": "nonsense"}):
            await client.call_tool("list_rules", {"paths": ["a.py"]}, meta=meta)

    run(call, build_server(Catalogue()))
    first, second = (s for s in spans.get_finished_spans() if s.name == "tools/call list_rules")
    assert first.parent is not None
    assert f"{first.parent.trace_id:032x}-{first.parent.span_id:016x}" == parent[3:-3]
    assert second.parent is None


def test_the_sdk_sends_no_spans_of_its_own(spans: InMemorySpanExporter) -> None:
    names = [type(each).__name__ for each in build_server(Catalogue()).middleware]
    assert names[0] == "Telemetry"
    assert "OpenTelemetryMiddleware" not in names


def test_without_a_provider_calls_are_answered_and_no_span_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    monkeypatch.setattr(
        telemetry.trace.ProxyTracer, "start_as_current_span", lambda _self, name, **_: begun.append(name)
    )
    result = run(lambda client: client.call_tool("analyze_code", {"code": BAD}), build_server(Catalogue()))
    assert not result.is_error
    assert begun == []
