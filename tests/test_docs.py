from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from mlrules_mcp.catalogue import Catalogue, all_checks

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module")
def generate() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "generate.py"))


def test_the_rules_reference_is_fresh(generate: dict[str, Any]) -> None:
    written = (DOCS / "rules.md").read_text(encoding="utf-8")
    assert written == generate["rules_reference"](), "run `make docs`"


def test_the_settings_in_the_readme_are_fresh(generate: dict[str, Any]) -> None:
    assert generate["README"].read_text(encoding="utf-8") == generate["readme"](), "run `make docs`"
    assert "`MLRULES_TOKENS_FILE`" in generate["readme"]()


def test_the_readmes_table_of_tools_is_fresh() -> None:
    tools = runpy.run_path(str(DOCS / "tools.py"))
    assert tools["README"].read_text(encoding="utf-8") == tools["readme_with_tools"](), "run `make docs`"


def test_the_index_of_checks_is_fresh(generate: dict[str, Any]) -> None:
    assert generate["INDEX"].read_text(encoding="utf-8") == generate["checks_index"](), "run `make docs`"


def test_the_table_says_of_every_rule_how_it_is_enforced(generate: dict[str, Any]) -> None:
    rows = dict(re.findall(r"^\| `([\w.]+)` \|(.*)\|$", generate["rules_reference"](), re.MULTILINE))
    catalogue = Catalogue()
    assert list(rows) == [rule.key for rule in catalogue.rules.rules]
    for rule in catalogue.rules.rules:
        severity, static, evidence, training = (cell.strip() for cell in rows[rule.key].split("|"))
        assert severity == rule.severity
        assert re.findall(r"\[([\w-]+)\]", static) == [check.name for check in catalogue.checks_of(rule)]
        assert static == "guidance only" or any(cell != "–" for cell in (static, evidence, training))


def test_what_training_shows_stands_beside_its_rule(generate: dict[str, Any]) -> None:
    (row,) = re.findall(r"^\| `pytorch_rules.device_agnostic_code` \|.*$", generate["rules_reference"](), re.MULTILINE)
    assert row.endswith("| trains-on-every-device |")


def test_what_is_left_out_has_a_reason_and_is_not_there(generate: dict[str, Any]) -> None:
    keys = {rule.key for rule in Catalogue().rules.rules}
    names = {check.name for check in all_checks()}
    for rule, checks in generate["LEFT_OUT"].items():
        assert rule in keys
        for name, reason in checks.items():
            assert name not in names
            assert reason.endswith(".")
