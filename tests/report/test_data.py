from __future__ import annotations

import pytest

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.manifest.model import AmbiguousRule, UnknownRule
from mlrules_mcp.report.data import explanation_data, rules_data, without_empty
from mlrules_mcp.report.text import explanation_text

CATALOGUE = Catalogue()


def test_without_paths_every_rule_is_listed_with_its_checks() -> None:
    data = rules_data(CATALOGUE)
    assert len(data["rules"]) == 46
    by_key = {rule["rule"]: rule for rule in data["rules"]}
    assert "no-grad-not-called" in by_key["pytorch_rules.gradient_management"]["checks"]
    assert by_key["data_rules.feature_engineering"]["checks"] == []


def test_an_absolute_path_is_matched_relative_to_the_root() -> None:
    (path,) = rules_data(CATALOGUE, ["/home/me/project/experiments/run.yaml"], "/home/me/project")["paths"]
    assert path["pattern"] == "experiments/**/*"


def test_a_windows_path_is_matched_with_slashes() -> None:
    (path,) = rules_data(CATALOGUE, [r"C:\project\src\train.py"], r"C:\project")["paths"]
    assert path["about"] is True


def test_the_name_of_a_check_explains_it_alone() -> None:
    data = explanation_data(CATALOGUE, "no-grad-not-called")
    assert data["rule"] == "pytorch_rules.gradient_management"
    assert [check["check"] for check in data["checks"]] == ["no-grad-not-called"]
    assert len(data["guidance"]) == 4
    assert "«" not in data["checks"][0]["bad"][0]["code"]


def test_a_rule_is_explained_with_the_checks_that_enforce_it_beside_another() -> None:
    data = explanation_data(CATALOGUE, "evaluation_rules.cross_validation")
    shared = next(check for check in data["checks"] if check["check"] == "single-split-score")
    assert shared["also_enforces"] == ["evaluation_rules.cross_validation"]
    assert "Also enforces evaluation_rules.cross_validation." in explanation_text(data)


@pytest.mark.parametrize(("name", "error"), [("cross_validation", AmbiguousRule), ("nothing", UnknownRule)])
def test_a_name_that_is_not_of_one_rule_is_refused(name: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        explanation_data(CATALOGUE, name)


def test_leaving_empty_members_out_keeps_zero_and_false() -> None:
    assert without_empty({"a": None, "b": [], "c": 0, "d": False, "e": [{"f": None, "g": 1}]}) == {
        "c": 0,
        "d": False,
        "e": [{"g": 1}],
    }
