from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client.subscriptions import PromptsListChanged, ResourcesListChanged, ResourceUpdated

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.manifest.merging import load_manifests
from mlrules_mcp.server.app import RulesServer, build_server
from tests.server.conftest import text_of
from tests.server.test_stdio import stdio_server

HOUSE = '@house [{"id": "a", "description": "Do a"}]\n'
MORE = '@house [{"id": "a", "description": "Do a"}, {"id": "b", "description": "Do b"}]\n'
BROKEN = '@house [{"id": "a", "descr\n'
WAIT = 30


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "house.md"
    path.write_text(HOUSE, encoding="utf-8")
    return path


@pytest.fixture
def server(manifest: Path) -> RulesServer:
    return build_server(Catalogue(load_manifests([manifest])), manifests=[manifest])


async def house_rules(client: Client) -> list[str]:
    result = await client.call_tool("list_rules", {})
    assert result.structured_content is not None
    return [rule["rule"] for rule in result.structured_content["rules"] if rule["rule"].startswith("house.")]


def test_clients_of_2026_are_told_what_changed_and_see_it(server: RulesServer, manifest: Path) -> None:
    async def use() -> None:
        async with Client(server, mode="2026-07-28") as client:
            watched = ["rules://manifest", "rules://house", "rules://house/b", "rules://pytorch_rules"]
            async with client.listen(resources_list_changed=True, resource_subscriptions=watched) as changes:
                manifest.write_text(MORE, encoding="utf-8")
                with anyio.fail_after(WAIT):
                    told = [await anext(changes) for _ in range(4)]
            assert told == [ResourcesListChanged(), *(ResourceUpdated(uri) for uri in watched[:3])]
            assert await house_rules(client) == ["house.a", "house.b"]
            assert "Do b" in (await client.read_resource("rules://house/b")).contents[0].text

    anyio.run(use)


def test_a_broken_edit_keeps_the_last_rules_and_says_so_in_every_answer_until_it_is_mended(
    server: RulesServer, manifest: Path
) -> None:
    async def next_change(changes: Any) -> None:
        with anyio.fail_after(WAIT):
            await anext(changes)

    async def use() -> None:
        client = Client(server, mode="2026-07-28", cache=None)
        async with client, client.listen(resource_subscriptions=["rules://manifest"]) as changes:
            manifest.write_text(BROKEN, encoding="utf-8")
            await next_change(changes)
            assert await house_rules(client) == ["house.a"]
            for tool, arguments in (("analyze_code", {"code": "x = 1"}), ("explain_rule", {"rule": "house.a"})):
                result = await client.call_tool(tool, arguments)
                assert result.structured_content is not None
                assert "house.md:1" in result.structured_content["warning"]
                assert "rules from before this edit are in force" in text_of(result)
            for uri in ("rules://manifest", "rules://house", "rules://house/a"):
                assert (await client.read_resource(uri)).contents[0].text.startswith("Warning: ")
            (message,) = (await client.get_prompt("plan_experiment", {"goal": "x"})).messages
            assert message.content.text.startswith("Warning: ")
            manifest.write_text(HOUSE + "\n", encoding="utf-8")
            await next_change(changes)
            mended = await client.call_tool("explain_rule", {"rule": "house.a"})
            assert mended.structured_content is not None
            assert "warning" not in mended.structured_content

    anyio.run(use)


@pytest.mark.parametrize(
    "break_it",
    [Path.unlink, lambda path: path.write_bytes(b"\xff\xfe"), lambda path: path.write_text("x" * 300_000)],
    ids=["removed", "not UTF-8", "too large"],
)
def test_a_file_that_can_not_be_read_is_a_broken_edit(
    server: RulesServer, manifest: Path, break_it: Callable[[Path], Any]
) -> None:
    async def use() -> None:
        async with Client(server, mode="2026-07-28") as client:
            async with client.listen(resource_subscriptions=["rules://manifest"]) as changes:
                break_it(manifest)
                with anyio.fail_after(WAIT):
                    await anext(changes)
            assert await house_rules(client) == ["house.a"]
            assert "house.md" in (server.rules.warning or "")

    anyio.run(use)


def test_a_file_that_is_replaced_by_another_is_taken_over(server: RulesServer, manifest: Path) -> None:
    async def use() -> None:
        async with Client(server, mode="2026-07-28") as client:
            async with client.listen(resources_list_changed=True) as changes:
                other = manifest.with_name("new.md")
                other.write_text(MORE, encoding="utf-8")
                other.replace(manifest)
                with anyio.fail_after(WAIT):
                    await anext(changes)
            assert await house_rules(client) == ["house.a", "house.b"]

    anyio.run(use)


@pytest.mark.filterwarnings("ignore:resources/:mcp.shared.exceptions.MCPDeprecationWarning")
@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
def test_over_stdio_a_client_of_either_era_is_told(era: str, tmp_path: Path, manifest: Path) -> None:
    parameters = stdio_server(tmp_path)
    parameters.args += ["serve", "--manifest", manifest.name]
    told: set[str] = set()
    all_told = anyio.Event()

    async def on_message(message: Any) -> None:
        told.add(getattr(message, "method", ""))
        if {"notifications/resources/list_changed", "notifications/resources/updated"} <= told:
            all_told.set()

    async def use() -> None:
        async with Client(parameters, mode=era, message_handler=on_message) as client:
            assert await house_rules(client) == ["house.a"]
            with anyio.fail_after(WAIT):
                if era == "legacy":
                    assert client.server_capabilities.resources is not None
                    assert client.server_capabilities.resources.subscribe
                    await client.subscribe_resource("rules://house/b")
                    manifest.write_text(MORE, encoding="utf-8")
                    await all_told.wait()
                else:
                    async with client.listen(resource_subscriptions=["rules://house/b"]) as changes:
                        manifest.write_text(MORE, encoding="utf-8")
                        assert await anext(changes) == ResourceUpdated("rules://house/b")
            assert await house_rules(client) == ["house.a", "house.b"]

    anyio.run(use)


@pytest.mark.filterwarnings("ignore:resources/:mcp.shared.exceptions.MCPDeprecationWarning")
def test_a_client_of_the_handshake_era_is_not_told_of_what_it_no_longer_subscribes_to(server: RulesServer) -> None:
    updated: list[str] = []
    listed = anyio.Event()

    async def on_message(message: Any) -> None:
        match getattr(message, "method", ""):
            case "notifications/resources/updated":
                updated.append(str(message.params.uri))
            case "notifications/prompts/list_changed":
                listed.set()

    async def use() -> None:
        async with Client(server, mode="legacy", message_handler=on_message) as client:
            for uri in ("rules://manifest", "rules://house"):
                await client.subscribe_resource(uri)
            await client.unsubscribe_resource("rules://manifest")
            await server.rules.notices.publish(ResourceUpdated("rules://manifest"), ResourceUpdated("rules://house"))
            await server.rules.notices.publish(PromptsListChanged())
            with anyio.fail_after(WAIT):
                await listed.wait()
        assert updated == ["rules://house"]

    anyio.run(use)
