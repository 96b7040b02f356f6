from __future__ import annotations

import json
import logging

import pytest
from mcp import MCPError

from mlrules_mcp.server.http.metrics import JsonFormatter
from tests.server.http.conftest import BAD, connected, run, running
from tests.server.http.test_app import make


def test_calls_findings_and_statuses_are_counted_and_nothing_that_was_sent(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mlrules_mcp")

    async def use() -> str:
        async with running(make()[0]) as http, connected(http) as client:
            await client.call_tool("analyze_code", {"code": BAD, "filename": "secret_name.py"})
            await client.call_tool("analyze_code", {"secret_argument": 1})
            with pytest.raises(MCPError):
                await client.call_tool("secret_tool", {})
            await http.get("/none", headers={"host": "evil.example"})
            return (await http.get("/metrics")).text

    text = run(use)
    assert 'mlrules_calls_total{name="analyze_code",outcome="answered"} 1.0' in text
    assert 'mlrules_calls_total{name="analyze_code",outcome="refused"} 1.0' in text
    assert 'mlrules_findings_total{rule="pytorch_rules.gradient_management"} 1.0' in text
    assert 'mlrules_responses_total{status="421"} 1.0' in text
    logged = "\n".join(JsonFormatter().format(record) for record in caplog.records)
    assert '"name": "analyze_code"' in logged
    assert "secret" not in text + logged
    assert "no_grad" not in text + logged


def test_what_others_log_is_kept_without_its_words() -> None:
    try:
        raise ValueError("secret")
    except ValueError as error:
        caught = (type(error), error, error.__traceback__)
    record = logging.LogRecord("mcp.server", logging.ERROR, "/home/me/place.py", 7, "secret %s", ("secret",), caught)
    line = json.loads(JsonFormatter().format(record))
    assert (line["logger"], line["level"], line["exception"]) == ("mcp.server", "error", "ValueError")
    assert line["event"].startswith("place.")
    assert "secret" not in json.dumps(line)
    assert "/home" not in json.dumps(line)
