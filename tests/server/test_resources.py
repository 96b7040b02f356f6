from __future__ import annotations

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, PromptReference, ResourceTemplateReference

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.app import RulesServer
from tests.server.conftest import run

CATALOGUE = Catalogue()


def read(server: RulesServer, uri: str) -> str:
    async def use(client: Client) -> str:
        (content,) = (await client.read_resource(uri)).contents
        assert content.mime_type == "text/markdown"
        return content.text

    text: str = run(use, server)
    return text


def test_the_manifest_and_each_block_are_listed(server: RulesServer) -> None:
    async def use(client: Client) -> list[str]:
        return [str(each.uri) for each in (await client.list_resources()).resources]

    uris = run(use, server)
    assert "rules://manifest" in uris
    assert {f"rules://{block.name}" for block in CATALOGUE.rules.blocks} <= set(uris)


def test_the_manifest_holds_every_rule_and_all_guidance(server: RulesServer) -> None:
    text = read(server, "rules://manifest")
    assert all(f"  {rule.id} ({rule.severity}): {rule.description}" in text for rule in CATALOGUE.rules.rules)
    assert all(bullet.text in text for block in CATALOGUE.rules.blocks for bullet in block.guidance)


def test_a_block_holds_its_rules_alone(server: RulesServer) -> None:
    text = read(server, "rules://sklearn_rules")
    assert "data_leakage_prevention" in text
    assert "gradient_management" not in text


def test_a_rule_and_a_check_come_with_all_their_examples(server: RulesServer) -> None:
    assert read(server, "checks://hardcoded-cuda").count("\nBad:\n") > 10
    rule = read(server, "rules://pytorch_rules/device_agnostic_code")
    assert rule.startswith("pytorch_rules.device_agnostic_code (error)")
    assert rule.count("Do not flag") > 5


@pytest.mark.parametrize(
    ("uri", "named"),
    [
        ("rules://pytorch", "pytorch_rules"),
        ("rules://pytorch_rules/gradients_management", "gradient_management"),
        ("checks://hardcoded-cda", "rule"),
        ("rules://../manifest", "Unknown resource"),
        ("files://secret", "Unknown resource"),
    ],
)
def test_what_is_not_there_gets_the_code_of_the_specification_and_names_what_is(
    server: RulesServer, uri: str, named: str
) -> None:
    async def use(client: Client) -> None:
        with pytest.raises(MCPError, match=named) as raised:
            await client.read_resource(uri)
        assert raised.value.code == INVALID_PARAMS

    run(use, server)


def complete(
    server: RulesServer, ref: PromptReference | ResourceTemplateReference, name: str, value: str, **known: str
) -> list[str]:
    async def use(client: Client) -> list[str]:
        completed = await client.complete(ref, {"name": name, "value": value}, context_arguments=known or None)
        return list(completed.completion.values)

    values: list[str] = run(use, server)
    return values


RULE = ResourceTemplateReference(type="ref/resource", uri="rules://{block}/{id}")


def test_blocks_rules_and_checks_are_completed(server: RulesServer) -> None:
    assert complete(server, RULE, "block", "py") == ["pytorch_rules"]
    assert complete(server, RULE, "id", "cross", block="sklearn_rules") == ["cross_validation"]
    assert "data_leakage_prevention" not in complete(server, RULE, "id", "", block="pytorch_rules")
    check = ResourceTemplateReference(type="ref/resource", uri="checks://{check}")
    assert complete(server, check, "check", "no-grad")[0] == "no-grad-not-called"
    assert "backward-without-zero-grad" in complete(server, check, "check", "zero-grad")


def test_at_most_a_hundred_values_come_with_how_many_there_are(server: RulesServer) -> None:
    ref = ResourceTemplateReference(type="ref/resource", uri="checks://{check}")

    async def use(client: Client) -> None:
        completion = (await client.complete(ref, {"name": "check", "value": ""})).completion
        assert (len(completion.values), completion.total, completion.has_more) == (100, len(CATALOGUE.checks), True)

    run(use, server)


def test_reports_are_completed(server: RulesServer) -> None:
    server.rules.reports.add("training", "Training", {"json": {}})  # type: ignore[union-attr]
    ref = ResourceTemplateReference(type="ref/resource", uri="reports://{id}/json")
    assert complete(server, ref, "id", "") == ["training-1"]


def test_paths_are_completed_folder_by_folder_and_only_below_the_root(server: RulesServer) -> None:
    root = server.rules.roots[0]
    (root / "src").mkdir()
    for name in ("src/train.py", "src/data.csv", "src/.hidden.py", "setup.py"):
        (root / name).touch()
    ref = PromptReference(type="ref/prompt", name="review_file")
    assert complete(server, ref, "path", "s") == ["setup.py", "src/"]
    assert complete(server, ref, "path", "src/t") == ["src/train.py"]
    assert complete(server, ref, "path", "../") == []
    assert complete(server, ref, "path", "/etc/") == []


def test_an_argument_without_known_values_completes_to_nothing(server: RulesServer) -> None:
    assert complete(server, PromptReference(type="ref/prompt", name="plan_experiment"), "goal", "a") == []
