from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client.subscriptions import ResourcesListChanged
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.app import RulesServer, build_server
from mlrules_mcp.server.reports import ReportStore
from mlrules_mcp.server.toolkit import answer
from tests.server.conftest import run, text_of

PNG = b"\x89PNG\r\n\x1a\n"
CONTENTS: dict[str, Any] = {"json": {"loss": [1.5, 0.25]}, "html": lambda: "<h1>Grün</h1>", "png": PNG}


@pytest.fixture
def server() -> RulesServer:
    return build_server(Catalogue())


def test_a_report_is_listed_and_read_in_each_of_its_formats(server: RulesServer) -> None:
    async def use(client: Client) -> list[Any]:
        links = await server.rules.keep_report("training", "Training of Net", CONTENTS)
        listed = {str(each.uri): each for each in (await client.list_resources()).resources}
        assert [listed[link.uri].mime_type for link in links] == ["application/json", "text/html", "image/png"]
        assert listed[links[0].uri].title == "Training of Net"
        return [(await client.read_resource(link.uri)).contents[0] for link in links]

    data, page, picture = run(use, server)
    assert json.loads(data.text) == CONTENTS["json"]
    assert (page.text, page.mime_type) == ("<h1>Grün</h1>", "text/html")
    assert (picture.blob, picture.mime_type) == ("iVBORw0KGgo=", "image/png")


def test_a_report_that_is_gone_names_those_that_are_there(server: RulesServer) -> None:
    async def use(client: Client) -> None:
        await server.rules.keep_report("review", "Review", {"json": {}})
        for uri, named in (("reports://training-7/json", "review-1"), ("reports://review-1/html", "json")):
            with pytest.raises(MCPError, match=named) as raised:
                await client.read_resource(uri)
            assert raised.value.code == INVALID_PARAMS

    run(use, server)


def test_only_the_latest_reports_are_kept() -> None:
    store = ReportStore(most=2)
    for number in range(4):
        store.add("training" if number % 2 else "review", str(number), {"json": {}})
    assert [report.id for report in store] == ["training-2", "review-2"]


def test_a_format_without_a_known_type_is_refused() -> None:
    with pytest.raises(ValueError, match="gif"):
        ReportStore().add("training", "", {"gif": b""})


def test_a_server_without_reports_links_to_none() -> None:
    server = build_server(Catalogue(), keep_reports=False)

    async def use(client: Client) -> None:
        assert await server.rules.keep_report("training", "Training", CONTENTS) == []
        uris = [str(each.uri) for each in (await client.list_resources()).resources]
        templates = [each.uri_template for each in (await client.list_resource_templates()).resource_templates]
        assert not any(uri.startswith("reports:") for uri in uris + templates)

    run(use, server)


def test_an_answer_names_its_reports_in_both_forms_and_links_to_them() -> None:
    (link, _, _) = ReportStore().add("training", "Training", CONTENTS).links()
    result = answer("Trained.", {"checks": []}, [link])
    assert link.uri in text_of(result)
    assert result.structured_content == {"checks": [], "reports": [link.uri]}
    assert result.content[1] == link


def test_clients_of_2026_that_listen_are_told_of_a_new_report(server: RulesServer) -> None:
    async def use(client: Client) -> Any:
        async with client.listen(resources_list_changed=True) as subscription:
            await server.rules.keep_report("training", "Training", CONTENTS)
            with anyio.fail_after(10):
                return await anext(subscription)

    assert run(use, server, "2026-07-28") == ResourcesListChanged()


def test_clients_of_the_handshake_era_are_told_of_a_new_report(server: RulesServer) -> None:
    told = anyio.Event()

    async def on_message(message: Any) -> None:
        if getattr(message, "method", "") == "notifications/resources/list_changed":
            told.set()

    async def use() -> None:
        async with Client(server, mode="legacy", message_handler=on_message) as client:
            assert client.server_capabilities.resources is not None
            assert client.server_capabilities.resources.list_changed
            await client.list_tools()  # the handshake is over on the server's side too
            await server.rules.keep_report("training", "Training", CONTENTS)
            with anyio.fail_after(10):
                await told.wait()

    anyio.run(use)


def test_clients_that_are_gone_are_forgotten(server: RulesServer) -> None:
    async def use() -> None:
        for _ in range(2):
            async with Client(server, mode="legacy") as client:
                await client.list_tools()
                assert len(server.rules.notices._subscribed) == 1
        await server.rules.keep_report("training", "Training", CONTENTS)

    anyio.run(use)
    assert not server.rules.notices._subscribed


def test_a_server_without_sessions_promises_clients_of_the_handshake_era_no_notices() -> None:
    async def use(client: Client) -> None:
        assert client.server_capabilities.resources is not None
        assert not client.server_capabilities.resources.subscribe
        assert not client.server_capabilities.resources.list_changed

    run(use, build_server(Catalogue(), keep_reports=False), "legacy")
