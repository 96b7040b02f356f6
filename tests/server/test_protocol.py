from __future__ import annotations

from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

from mlrules_mcp.server.app import RulesServer
from tests.server.conftest import run, text_of

ERAS = ("legacy", "2026-07-28")


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("review_fil", {"path": "a.py"}, "Unknown prompt: review_fil. Did you mean review_file?"),
        ("zzz", {}, "Unknown prompt: zzz. There are: "),
        ("review_file", {}, "The prompt review_file needs path."),
        ("plan_experiment", {"path": "a.py"}, "needs goal"),
        ("review_file", {"path": "a.py", "depth": "2"}, "has no argument 'depth'. Its arguments are: path."),
        ("review_file", {"path": "gone.py"}, "There is no file or folder 'gone.py'"),
        ("fix_file", {"path": "../gone.py"}, "can't be read"),
        ("fix_file", {"path": "."}, "is a directory"),
    ],
)
def test_a_wrong_prompt_gets_the_code_of_the_specification(
    server: RulesServer, era: str, name: str, arguments: dict[str, str], expected: str
) -> None:
    async def use(client: Client) -> None:
        with pytest.raises(MCPError) as raised:
            await client.get_prompt(name, arguments)
        assert raised.value.code == INVALID_PARAMS
        assert expected.casefold() in str(raised.value).casefold()

    run(use, server, era)


@pytest.mark.parametrize("era", ERAS)
def test_an_unknown_tool_gets_the_code_of_the_specification(server: RulesServer, era: str) -> None:
    async def use(client: Client) -> None:
        with pytest.raises(MCPError, match=r"Unknown tool: analyse_code\. Did you mean analyze_code\?") as raised:
            await client.call_tool("analyse_code", {})
        assert raised.value.code == INVALID_PARAMS

    run(use, server, era)


@pytest.mark.parametrize("era", ERAS)
def test_unknown_arguments_of_a_tool_are_named_to_the_model(server: RulesServer, era: str) -> None:
    async def use(client: Client) -> Any:
        return await client.call_tool("list_rules", {"path": "a.py", "verbose": True})

    result = run(use, server, era)
    assert result.is_error
    assert "list_rules has no argument 'path', 'verbose'. Its arguments are: paths, full, cursor." in text_of(result)


def test_lists_say_how_long_they_may_be_kept(server: RulesServer) -> None:
    async def use(client: Client) -> None:
        for listed in (await client.list_tools(), await client.list_prompts(), await client.list_resource_templates()):
            assert (listed.ttl_ms, listed.cache_scope) == (3_600_000, "public")
        resources = await client.list_resources()
        assert (resources.ttl_ms, resources.cache_scope) == (60_000, "private")
        assert (await client.read_resource("rules://manifest")).ttl_ms == 60_000

    run(use, server, "2026-07-28")


def test_only_the_server_has_an_icon(server: RulesServer) -> None:
    async def use(client: Client) -> None:
        assert client.server_info is not None
        (icon,) = client.server_info.icons or ()
        assert icon.src.startswith("data:image/svg+xml,")
        listed = [
            *(await client.list_tools()).tools,
            *(await client.list_prompts()).prompts,
            *(await client.list_resource_templates()).resource_templates,
            *(await client.list_resources()).resources,
        ]
        assert not any(each.icons for each in listed)

    run(use, server)
