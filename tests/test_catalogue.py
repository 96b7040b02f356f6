from __future__ import annotations

import pytest

from mlrules_mcp.catalogue import Catalogue, UnknownSelection, all_checks
from mlrules_mcp.manifest.merging import merge
from mlrules_mcp.manifest.reader import read_manifest

CATALOGUE = Catalogue()


def with_house_rules(items: str, block: str = "pytorch_rules") -> Catalogue:
    house = read_manifest(f"@{block} [{items}]", "house.md")
    return Catalogue(merge([*CATALOGUE.manifests, house]))


def test_the_walk_over_the_package_finds_every_check_of_the_pytorch_rules() -> None:
    rules = {check.rule for check in all_checks()}
    assert rules >= {
        "pytorch_rules.device_agnostic_code",
        "pytorch_rules.proper_tensor_dtypes",
        "pytorch_rules.avoid_item_calls",
        "pytorch_rules.gradient_management",
        "pytorch_rules.memory_efficiency",
    }


def test_a_check_has_the_severity_of_its_rule() -> None:
    severities = {rule.key: rule.severity for rule in CATALOGUE.rules.rules}
    assert all(check.severity == severities[check.rule] for check in CATALOGUE.checks)


def test_checks_stand_in_the_order_of_the_manifest() -> None:
    order = [rule.key for rule in CATALOGUE.rules.rules]
    places = [order.index(check.rule) for check in CATALOGUE.checks]
    assert places == sorted(places)


def test_a_later_manifest_changes_the_severity_of_checks() -> None:
    catalogue = with_house_rules('{"id": "gradient_management", "severity": "warning"}')
    assert {check.severity for check in catalogue.named("gradient_management")} == {"warning"}


def test_a_rule_that_is_switched_off_has_no_checks() -> None:
    catalogue = with_house_rules('{"id": "gradient_management", "enabled": false}')
    assert catalogue.named("gradient_management") == []


@pytest.mark.parametrize(
    "name", ["no-grad-not-called", "gradient_management", "pytorch_rules.gradient_management", "pytorch_rules"]
)
def test_a_name_may_be_a_check_a_rule_or_a_block(name: str) -> None:
    assert "no-grad-not-called" in {check.name for check in CATALOGUE.named(name)}


def test_selecting_and_ignoring_narrow_the_checks() -> None:
    narrowed = CATALOGUE.narrowed(select=["gradient_management"], ignore=["no-grad-not-called"])
    assert {check.rule for check in narrowed.checks} == {"pytorch_rules.gradient_management"}
    assert "no-grad-not-called" not in {check.name for check in narrowed.checks}


def test_a_check_that_enforces_two_rules_is_of_both_and_its_findings_name_the_first() -> None:
    (check,) = CATALOGUE.named("single-split-score")
    assert check.rule == "sklearn_rules.cross_validation"
    for key in check.rules:
        assert check in CATALOGUE.checks_of(CATALOGUE.rules.rule(key))
    assert check in CATALOGUE.named("evaluation_rules")
    assert check in CATALOGUE.narrowed(select=["evaluation_rules.cross_validation"]).checks


def test_the_checks_of_a_rule_have_those_of_other_rules_last() -> None:
    rule = CATALOGUE.rules.rule("tracking_rules.reproducible_experiments")
    own = [check.rule == rule.key for check in CATALOGUE.checks_of(rule)]
    assert own == sorted(own, reverse=True)


def test_ignoring_the_second_rule_of_a_check_keeps_what_it_finds_for_the_first() -> None:
    for rule, kept in (("evaluation_rules.cross_validation", True), ("sklearn_rules.cross_validation", False)):
        names = {check.name for check in CATALOGUE.narrowed(ignore=[rule]).checks}
        assert ("single-split-score" in names) is kept


def test_where_its_first_rule_is_off_a_check_enforces_the_second_with_the_severity_of_that() -> None:
    catalogue = with_house_rules('{"id": "hyperparameter_tuning", "enabled": false}', "sklearn_rules")
    (check,) = catalogue.named("random-state-missing")
    assert (check.rule, check.severity) == ("tracking_rules.reproducible_experiments", "error")
    assert catalogue.checks_of(catalogue.rules.rule("sklearn_rules.hyperparameter_tuning")) == []


def test_rules_that_checks_also_enforce_are_of_the_manifest() -> None:
    keys = {rule.key for rule in CATALOGUE.rules.rules}
    for check in CATALOGUE.checks:
        assert set(check.rules) <= keys
        assert len(set(check.rules)) == len(check.rules)


def test_an_unknown_name_is_refused_with_what_is_close() -> None:
    with pytest.raises(UnknownSelection, match="Did you mean no-grad-not-called"):
        CATALOGUE.narrowed(select=["no-grad-no-called"])
