from __future__ import annotations

from mcp import Client

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.app import RulesServer
from mlrules_mcp.server.toolkit import MOST_BYTES, weight
from tests.server.conftest import call, run, text_of


def test_a_rule_of_several_checks_lists_them_in_a_line_each(server: RulesServer) -> None:
    result = call(server, "explain_rule", {"rule": "pytorch_rules.gradient_management"})
    assert result.structured_content is not None
    checks = result.structured_content["checks"]
    assert [set(check) for check in checks] == [{"check", "summary"}] * len(checks)
    assert all(f"{check['check']}: {check['summary']}" in text_of(result) for check in checks)
    assert "Call explain_rule with a check's name" in text_of(result)
    assert result.structured_content["more"] in text_of(result)


def test_a_check_shows_its_first_examples_and_says_where_the_others_are(server: RulesServer) -> None:
    result = call(server, "explain_rule", {"rule": "hardcoded-cuda"})
    assert result.structured_content is not None
    (check,) = result.structured_content["checks"]
    assert (len(check["bad"]), len(check["good"])) == (3, 3)
    assert check["do_not_flag"] in text_of(result)
    assert "more examples are in the resource checks://hardcoded-cuda" in text_of(result)


def test_a_rule_that_nothing_checks_says_so(server: RulesServer) -> None:
    result = call(server, "explain_rule", {"rule": "ethics_rules.responsible_ai"})
    assert "it is a practice to follow" in text_of(result)


def test_every_explanation_fits(server: RulesServer) -> None:
    catalogue = Catalogue()
    names = [rule.key for rule in catalogue.rules.rules] + [check.name for check in catalogue.checks]

    async def all_weights(client: Client) -> dict[str, int]:
        weights = {}
        for name in names:
            result = await client.call_tool("explain_rule", {"rule": name})
            weights[name] = weight(text_of(result), result.structured_content)
        return weights

    weights = run(all_weights, server)
    assert max(weights.values()) <= MOST_BYTES / 2
