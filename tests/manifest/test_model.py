import pytest

from mlrules_mcp.manifest.compiled import shipped_manifest
from mlrules_mcp.manifest.model import AmbiguousRule, RuleNameError, UnknownRule

SHIPPED = shipped_manifest()


def test_a_rule_is_found_by_its_key():
    for rule in SHIPPED.rules:
        assert SHIPPED.rule(rule.key) is rule


def test_a_bare_id_is_accepted_where_it_is_unambiguous():
    assert SHIPPED.rule("avoid_item_calls").key == "pytorch_rules.avoid_item_calls"


def test_cross_validation_is_two_rules_and_the_bare_id_names_both():
    assert SHIPPED.rule("sklearn_rules.cross_validation") != SHIPPED.rule("evaluation_rules.cross_validation")
    with pytest.raises(AmbiguousRule) as caught:
        SHIPPED.rule("cross_validation")
    assert caught.value.candidates == ("sklearn_rules.cross_validation", "evaluation_rules.cross_validation")
    assert "sklearn_rules.cross_validation, evaluation_rules.cross_validation" in str(caught.value)
    assert isinstance(caught.value, RuleNameError)


@pytest.mark.parametrize(
    "name", ["avoid-item-calls", "avoid_item_call", "pytorch.avoid_item_calls", "AVOID-ITEM-CALLS"]
)
def test_an_unknown_name_is_answered_with_the_closest(name):
    with pytest.raises(UnknownRule) as caught:
        SHIPPED.rule(name)
    assert caught.value.suggestions[0] == "pytorch_rules.avoid_item_calls"
    assert "did you mean pytorch_rules.avoid_item_calls" in str(caught.value)


def test_a_name_that_is_like_nothing_is_answered_with_the_blocks():
    with pytest.raises(UnknownRule, match=r"the blocks are: pytorch_rules, .*ethics_rules"):
        SHIPPED.rule("zzz")


def test_rules_come_in_the_order_of_the_manifest():
    lines = [rule.line for rule in SHIPPED.rules]
    assert lines == sorted(lines)
    assert SHIPPED.rules[0].key == "pytorch_rules.device_agnostic_code"


def test_a_block_is_found_by_name():
    assert len(SHIPPED.block("sklearn_rules").rules) == 4
    with pytest.raises(KeyError):
        SHIPPED.block("none")


def test_a_name_of_any_length_gets_a_short_answer():
    with pytest.raises(UnknownRule) as refused:
        SHIPPED.rule("pytorch_rules.gradient_managment" + ".b" * 50_000)
    assert len(str(refused.value)) < 1_000
