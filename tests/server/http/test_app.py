from __future__ import annotations

import pytest
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.app import build_server
from mlrules_mcp.server.http.app import build_app
from mlrules_mcp.server.http.state import ServiceState
from tests.server.http.conftest import BAD, ERAS, connected, request, run, running

HEADERS = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25"}


def make() -> tuple[Starlette, ServiceState]:
    catalogue = Catalogue()
    state = ServiceState(catalogue)
    security = TransportSecuritySettings(allowed_hosts=["localhost"], allowed_origins=["http://localhost"])
    return build_app(build_server(catalogue), state, security), state


@pytest.mark.parametrize("era", ERAS)
def test_a_client_of_either_era_lists_and_calls_tools(era: str) -> None:
    async def use() -> None:
        async with running(make()[0]) as http, connected(http, era) as client:
            assert client.session.protocol_version == ERAS[era]
            assert "analyze_code" in [tool.name for tool in (await client.list_tools()).tools]
            found = await client.call_tool("analyze_code", {"code": BAD})
            assert found.structured_content is not None
            assert [finding["check"] for finding in found.structured_content["findings"]] == ["no-grad-not-called"]
            read = await client.call_tool("analyze_code", {"paths": ["."]})
            assert read.is_error

    run(use)


def test_a_request_needs_no_handshake_so_that_any_replica_can_answer_it() -> None:
    async def use() -> None:
        async with running(make()[0]) as http:
            answer = await http.post("/mcp", json=request("tools/list"), headers=HEADERS)
            assert answer.status_code == 200
            assert "mcp-session-id" not in answer.headers
            assert "analyze_code" in answer.text

    run(use)


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_other_methods_than_post_are_refused_at_once(method: str) -> None:
    async def use() -> None:
        async with running(make()[0]) as http:
            answer = await http.request(method, "/mcp", headers=HEADERS)
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST")

    run(use)


def test_the_service_is_live_from_the_start_and_ready_until_it_drains() -> None:
    app, state = make()

    async def use() -> None:
        async with running(app) as http:
            assert (await http.get("/healthz")).json() == {"status": "live"}
            ready = await http.get("/readyz")
            assert (ready.status_code, ready.json()["status"], ready.json()["rules"]) == (200, "ready", 46)
            state.draining = True
            unready = await http.get("/readyz")
            assert (unready.status_code, unready.json()["status"]) == (503, "draining")
            assert (await http.get("/healthz")).status_code == 200

    assert not state.ready
    run(use)


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"host": "evil.example"}, 421), ({"origin": "https://evil.example"}, 403), ({"origin": "http://localhost"}, 200)],
)
def test_only_the_hosts_and_origins_that_are_expected_are_served(headers: dict[str, str], status: int) -> None:
    async def use() -> None:
        async with running(make()[0]) as http:
            answer = await http.post("/mcp", json=request("tools/list"), headers=HEADERS | headers)
            assert answer.status_code == status

    run(use)
