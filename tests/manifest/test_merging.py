import pytest

from mlrules_mcp.manifest.merging import load_manifests, merge
from mlrules_mcp.manifest.model import Override
from mlrules_mcp.manifest.reader import ManifestError, read_manifest

HEAD = "---\ntrigger: always_on\n---\n"
BASE = HEAD + '@a_rules [\n{"id": "x", "severity": "error", "description": "X"},\n{"id": "y", "description": "Y"}\n]\n'


def merged(*texts: str):
    return merge([read_manifest(text, f"{number}.md") for number, text in enumerate(texts)])


def test_a_later_manifest_sets_a_severity_and_the_rule_says_where():
    rules = merged(BASE, HEAD + '@a_rules [{"id": "x", "severity": "info"}]\n')
    rule = rules.rule("a_rules.x")
    assert (rule.severity, rule.description, rule.source, rule.line) == ("advice", "X", "0.md", 5)
    assert rule.overrides == (Override("1.md", 4, "severity", "error", "advice"),)
    assert rules.diagnostics == ()


@pytest.mark.parametrize("setting", ['"enabled": false', '"severity": "off"'])
def test_a_later_manifest_switches_a_rule_off_and_the_rule_says_where(setting):
    rule = merged(BASE, HEAD + f'@a_rules [\n{{"id": "x", {setting}}}]\n').rule("x")
    assert rule.enabled is False
    assert rule.severity == "error"
    assert rule.overrides == (Override("1.md", 5, "enabled", True, False),)


@pytest.mark.parametrize("setting", ['"enabled": true', '"severity": "error"'])
def test_a_still_later_manifest_switches_it_on_again(setting):
    off = '@a_rules [{"id": "x", "enabled": false}]\n'
    rule = merged(BASE, off, f'@a_rules [{{"id": "x", {setting}}}]\n').rule("x")
    assert rule.enabled is True
    assert [(item.source, item.field, item.new) for item in rule.overrides] == [
        ("1.md", "enabled", False),
        ("2.md", "enabled", True),
    ]


def test_a_severity_that_is_only_the_default_overrides_nothing():
    rules = merged(BASE, HEAD + '@a_rules [{"id": "x", "description": "X"}]\n')
    assert (rules.rule("x").severity, rules.rule("x").overrides) == ("error", ())
    assert rules.diagnostics == ()


def test_a_setting_that_changes_nothing_is_no_override():
    rules = merged(BASE, HEAD + '@a_rules [{"id": "x", "severity": "error", "enabled": true}]\n')
    assert rules.rule("x").overrides == ()


def test_the_text_of_the_first_manifest_stays_and_another_one_is_reported():
    rules = merged(BASE, HEAD + '@a_rules [{"id": "x", "severity": "advice", "description": "Z"}]\n')
    assert (rules.rule("x").description, rules.rule("x").severity) == ("X", "advice")
    [diagnostic] = rules.diagnostics
    assert (diagnostic.code, diagnostic.path, diagnostic.line) == ("text-not-overridden", "1.md", 4)
    assert "0.md, line 5" in diagnostic.message


def test_a_later_manifest_adds_rules_blocks_and_guidance():
    later = '@a_rules [{"id": "z", "description": "Z"}]\n- tip\n@b_rules [{"id": "x", "description": "X"}]\n'
    rules = merged(BASE + "- first\n", HEAD + later)
    assert [rule.key for rule in rules.rules] == ["a_rules.x", "a_rules.y", "a_rules.z", "b_rules.x"]
    assert [rule.source for rule in rules.rules] == ["0.md", "0.md", "1.md", "1.md"]
    assert [(item.text, item.source) for item in rules.block("a_rules").guidance] == [
        ("first", "0.md"),
        ("tip", "1.md"),
    ]
    assert [manifest.source for manifest in rules.manifests] == ["0.md", "1.md"]


def test_an_adjustment_of_a_rule_that_is_not_there_is_reported_with_the_closest():
    rules = merged(BASE, HEAD + '@a_rulez [{"id": "x", "severity": "off"}]\n')
    [diagnostic] = rules.diagnostics
    assert (diagnostic.code, diagnostic.path, diagnostic.line) == ("adjusts-unknown-rule", "1.md", 4)
    assert "did you mean a_rules.x" in diagnostic.message
    assert [block.name for block in rules.blocks] == ["a_rules"]


def test_the_diagnostics_of_every_manifest_are_kept():
    rules = merged('@a_rules [{"id": 1}]', BASE, "nothing")
    assert {diagnostic.path for diagnostic in rules.diagnostics} == {"0.md", "2.md"}


def test_the_shipped_manifest_comes_first(tmp_path):
    path = tmp_path / "team.md"
    path.write_text('@sklearn_rules [{"id": "cross_validation", "severity": "off"}]\n', encoding="utf-8")
    rules = load_manifests([path])
    assert len(rules.rules) == 46
    assert rules.diagnostics == ()
    off = [rule for rule in rules.rules if not rule.enabled]
    assert [(rule.key, rule.overrides[0].source) for rule in off] == [("sklearn_rules.cross_validation", str(path))]
    assert all(rule.enabled for rule in load_manifests().rules)


def test_a_manifest_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(ManifestError, match="there is no rule file"):
        load_manifests([tmp_path / "none.md"])
