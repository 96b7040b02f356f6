from __future__ import annotations

import hashlib
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.manifest.model import Block, Rule, RuleCollection
from mlrules_mcp.server.app import RulesServer, build_server
from tests.server.conftest import ask, run

ERAS = ["legacy", "2026-07-28"]


@pytest.fixture(scope="module")
def server() -> RulesServer:
    return build_server(Catalogue())


@pytest.mark.parametrize("era", ["legacy", "auto"])
def test_the_extension_is_declared(server: RulesServer, era: str) -> None:
    async def declared(client: Client) -> Any:
        return (client.server_capabilities.extensions or {}).get("io.modelcontextprotocol/skills")

    assert run(declared, server, era) == {"directoryRead": True}


@pytest.mark.parametrize("era", ERAS)
def test_a_host_verifies_every_file_of_every_skill(server: RulesServer, era: str) -> None:
    async def verify(client: Client) -> int:
        verified = 0
        for skill in (await ask(client, "skills/list"))["skills"]:
            assert (await ask(client, "skills/get", uri=skill["uri"]))["skill"] == skill
            assert skill["resources"][0]["uri"] == skill["uri"] == f"skill://{skill['frontmatter']['name']}/SKILL.md"
            for file in skill["resources"]:
                contents = (await client.read_resource(file["uri"])).contents[0]
                assert contents.mime_type == "text/markdown"
                assert len(contents.text.encode()) == file["size"]
                assert f"sha256:{hashlib.sha256(contents.text.encode()).hexdigest()}" == file["digest"]
                verified += 1
        return verified

    assert run(verify, server, era) > 46


def test_each_skill_is_listed_as_a_resource_under_its_name_and_description(server: RulesServer) -> None:
    async def both(client: Client) -> tuple[Any, Any]:
        return (await ask(client, "skills/list"))["skills"], (await client.list_resources()).resources

    skills, resources = run(both, server)
    listed = {each.uri: (each.name, each.description) for each in resources if each.uri.startswith("skill://")}
    assert listed == {skill["uri"]: tuple(skill["frontmatter"].values()) for skill in skills}


def test_a_folder_is_read_one_level_deep(server: RulesServer) -> None:
    async def use(client: Client) -> list[list[tuple[str, str]]]:
        levels = ["skill://sklearn-practices", "skill://sklearn-practices/references"]
        answers = [await ask(client, "resources/directory/read", uri=uri) for uri in levels]
        return [[(each["uri"], each["mimeType"]) for each in answer["resources"]] for answer in answers]

    root, references = run(use, server)
    assert root == [
        ("skill://sklearn-practices/SKILL.md", "text/markdown"),
        ("skill://sklearn-practices/references", "inode/directory"),
    ]
    assert ("skill://sklearn-practices/references/pipeline_usage.md", "text/markdown") in references
    assert len(references) == 4


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("skills/get", {"uri": "skill://no-such/SKILL.md"}),
        ("skills/get", {"uri": "skill://sklearn-practices"}),
        ("skills/get", {"uri": "sklearn-practices/SKILL.md"}),
        ("skills/get", {}),
        ("skills/list", {"cursor": "2"}),
        ("resources/directory/read", {"uri": "skill://sklearn-practices/SKILL.md"}),
        ("resources/directory/read", {"uri": "skill://sklearn-practices/"}),
        ("resources/directory/read", {"uri": "skill://sklearn-practices/.."}),
        ("resources/directory/read", {"uri": "skill://no-such"}),
        ("resources/directory/read", {"uri": "file:///"}),
        ("resources/read", {"uri": "skill://sklearn-practices/references/no_such.md"}),
        ("resources/read", {"uri": "skill://sklearn-practices/../../pyproject.toml"}),
        ("resources/read", {"uri": "skill://no-such/SKILL.md"}),
    ],
)
def test_what_is_no_skill_file_or_folder_is_refused(server: RulesServer, method: str, params: dict[str, Any]) -> None:
    async def refused(client: Client) -> int:
        with pytest.raises(MCPError) as error:
            await ask(client, method, **params)
        return error.value.error.code

    assert run(refused, server) == INVALID_PARAMS


def test_skills_follow_the_rules_in_force() -> None:
    server = build_server(Catalogue())
    rule = Rule("house_rules", "names", "warning", "Name things well", 1, "house.md")
    house = Catalogue(RuleCollection(blocks=(Block("house_rules", "House", 1, "house.md", (rule,)),)))

    async def use(client: Client) -> list[list[str]]:
        before = (await ask(client, "skills/list"))["skills"]
        server.rules.catalogue = house
        after = (await ask(client, "skills/list"))["skills"]
        listed = [each.name for each in (await client.list_resources()).resources if each.uri.startswith("skill://")]
        return [[skill["frontmatter"]["name"] for skill in before], [skill["uri"] for skill in after], listed]

    before, after, listed = run(use, server)
    assert len(before) == 11
    assert after == ["skill://house-practices/SKILL.md"]
    assert listed == ["house-practices"]
