from __future__ import annotations

import re
from functools import cache

import pytest
import yaml

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.manifest.model import Block, Rule, RuleCollection
from mlrules_mcp.report.skills import Skill, skills


@cache
def shipped() -> list[tuple[Skill, dict[str, str]]]:
    catalogue = Catalogue()
    return [(skill, skill.files(catalogue)) for skill in skills(catalogue)]


def house(*rules: Rule, name: str = "house_rules", heading: str = "") -> Catalogue:
    return Catalogue(RuleCollection(blocks=(Block(name, heading, 1, "house.md", rules),)))


def rule(identifier: str, description: str = "Name things well", *, enabled: bool = True) -> Rule:
    return Rule("house_rules", identifier, "warning", description, 1, "house.md", enabled)


def test_each_block_is_a_skill_that_holds_all_its_rules_and_their_checks() -> None:
    catalogue = Catalogue()
    assert [skill.name for skill, _ in shipped()][:3] == [
        "pytorch-practices",
        "lightning-practices",
        "sklearn-practices",
    ]
    for skill, files in shipped():
        text = files["SKILL.md"]
        for each in skill.block.rules:
            assert f"## {each.description}\n\n`{each.key}`, {each.severity}." in text
            assert all(f"- `{check.name}`: " in text for check in catalogue.checks_of(each))
    assert sum(len(skill.block.rules) for skill, _ in shipped()) == 46


def test_names_and_descriptions_are_as_the_format_of_skills_wants_them() -> None:
    long = house(*(rule(f"rule_{number}", "Weigh " + "each " * 40) for number in range(9)), name="Über " * 20)
    for skill in [*(skill for skill, _ in shipped()), *skills(long)]:
        assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", skill.name)
        assert len(skill.name) <= 64
        assert 1 <= len(skill.description) <= 1024
        assert skill.description.endswith("Use when writing, changing or reviewing machine-learning code.")


def test_the_head_of_a_skill_reads_back_as_its_name_and_description() -> None:
    tricky = skills(house(rule("a", 'Say "no": # never\n- 100 % ’quoted’')))[0]
    for skill, files in [*shipped(), (tricky, tricky.files(house(rule("a"))))]:
        assert yaml.safe_load(files["SKILL.md"].split("---\n")[1]) == skill.front_matter


def test_every_link_leads_to_a_file_with_bad_and_good_code() -> None:
    for _, files in shipped():
        links = re.findall(r"\]\((\S+)\)", files["SKILL.md"])
        assert set(links) == files.keys() - {"SKILL.md"}
        for link in links:
            assert "\nBad:\n\n```python\n" in files[link]
            assert "\nGood:\n\n```python\n" in files[link]
            assert "«" not in files[link]


def test_a_rule_without_a_check_is_a_practice_to_follow_and_one_that_is_off_is_left_out() -> None:
    catalogue = house(rule("on", "Write it down"), rule("off", "Forget it", enabled=False))
    files = skills(catalogue)[0].files(catalogue)
    assert list(files) == ["SKILL.md"]
    assert "## Write it down\n\n`house_rules.on`, warning. No check looks for it" in files["SKILL.md"]
    assert "Forget it" not in files["SKILL.md"] + skills(catalogue)[0].description
    assert skills(house(rule("off", enabled=False))) == []


@pytest.mark.parametrize(
    ("blocks", "names"),
    [
        (["my_rules", "My-rules", "!"], ["my-practices", "my-rules-practices", "practices"]),
        (["my_rules", "My_rules"], ["my-practices", "my-practices-2"]),
        (["my_rules", "MY", "my"], ["my-practices", "my-practices-2", "my-practices-3"]),
    ],
)
def test_blocks_whose_names_differ_in_signs_alone_are_skills_of_their_own(blocks: list[str], names: list[str]) -> None:
    made = tuple(Block(name, "", 1, "house.md", (rule("a"),)) for name in blocks)
    assert [skill.name for skill in skills(Catalogue(RuleCollection(blocks=made)))] == names
