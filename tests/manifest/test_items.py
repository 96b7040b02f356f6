import json

import pytest

from .support import HEAD, codes, read


def read_items(*items: object):
    return read(f"{HEAD}@my_rules [\n" + ",\n".join(json.dumps(item) for item in items) + "\n]\n")


@pytest.mark.parametrize("field", ["description", "rule"])
def test_the_text_is_under_description_or_rule(field):
    manifest = read_items({"id": "a", field: " Do this "})
    assert manifest.rules[0].description == "Do this"
    assert manifest.diagnostics == ()


def test_the_description_counts_where_there_is_a_rule_as_well():
    manifest = read_items({"id": "a", "rule": "R", "description": "D"})
    assert manifest.rules[0].description == "D"
    assert codes(manifest) == ["two-texts"]


def test_a_rule_knows_its_block_line_and_file():
    rule = read_items({"id": "a", "description": "A"}, {"id": "b", "description": "B"}).rules[1]
    assert (rule.key, rule.line, rule.source) == ("my_rules.b", 8, "rules.md")


@pytest.mark.parametrize(
    ("given", "severity"), [("error", "error"), ("warning", "warning"), ("advice", "advice"), ("info", "advice")]
)
def test_known_severities_are_taken_as_they_are(given, severity):
    manifest = read_items({"id": "a", "description": "A", "severity": given})
    assert (manifest.rules[0].severity, manifest.rules[0].stated) == (severity, ("severity",))
    assert manifest.diagnostics == ()


def test_a_rule_without_severity_is_a_warning_that_nobody_stated():
    [rule] = read_items({"id": "a", "description": "A"}).rules
    assert (rule.severity, rule.stated, rule.enabled) == ("warning", (), True)


@pytest.mark.parametrize(
    ("given", "severity"), [("high", "error"), ("Error", "error"), ("medium", "warning"), ("LOW", "advice")]
)
def test_words_of_others_for_severity_are_mapped_and_that_is_said(given, severity):
    manifest = read_items({"id": "a", "description": "A", "severity": given})
    assert manifest.rules[0].severity == severity
    assert [(item.code, item.line) for item in manifest.diagnostics] == [("severity-word", 7)]


@pytest.mark.parametrize(("given", "code"), [("blocker", "unknown-severity"), (5, "item-field")])
def test_an_unknown_severity_is_a_warning_and_that_is_said(given, code):
    manifest = read_items({"id": "a", "description": "A", "severity": given})
    assert (manifest.rules[0].severity, manifest.rules[0].stated) == ("warning", ())
    assert [(item.code, item.line) for item in manifest.diagnostics] == [(code, 7)]


@pytest.mark.parametrize("fields", [{"severity": "off"}, {"severity": "OFF "}, {"enabled": False}])
def test_a_rule_can_be_switched_off(fields):
    manifest = read_items({"id": "a", "description": "A"} | fields)
    assert manifest.rules[0].enabled is False
    assert manifest.diagnostics == ()


def test_an_enabled_that_is_no_truth_value_is_ignored_and_that_is_said():
    manifest = read_items({"id": "a", "description": "A", "enabled": "no"})
    assert manifest.rules[0].enabled is True
    assert codes(manifest) == ["item-field"]


@pytest.mark.parametrize("item", [{"description": "A"}, {"id": "", "description": "A"}, {"id": 3, "description": "A"}])
def test_an_item_without_a_usable_id_is_left_out_with_its_line(item):
    manifest = read_items({"id": "a", "description": "A"}, item)
    assert [rule.id for rule in manifest.rules] == ["a"]
    assert [(d.code, d.severity, d.line) for d in manifest.diagnostics] == [("item-without-id", "error", 8)]


@pytest.mark.parametrize("item", [{"id": "b"}, {"id": "b", "description": " "}, {"id": "b", "description": 3}])
def test_an_item_without_text_is_left_out_with_its_line(item):
    manifest = read_items({"id": "a", "description": "A"}, item)
    assert [rule.id for rule in manifest.rules] == ["a"]
    assert ("item-without-text", "error", 8) in [(d.code, d.severity, d.line) for d in manifest.diagnostics]


def test_an_item_that_is_no_object_is_left_out():
    manifest = read_items({"id": "a", "description": "A"}, "b")
    assert [(item.code, item.line) for item in manifest.diagnostics] == [("item-shape", 8)]


def test_an_item_with_a_setting_and_no_text_is_an_adjustment():
    manifest = read_items({"id": "a", "severity": "off"})
    assert manifest.rules == ()
    assert [(rule.key, rule.enabled, rule.stated) for rule in manifest.adjustments] == [
        ("my_rules.a", False, ("enabled",))
    ]
    assert manifest.diagnostics == ()
