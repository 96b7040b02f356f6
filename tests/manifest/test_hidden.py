import pytest

from mlrules_mcp.manifest.collector import Collector
from mlrules_mcp.manifest.hidden import hidden_characters, report_hidden_in, visible

from .support import HEAD, codes, read

HIDDEN = ["\u202e", "\u2066", "\u200b", "\u200f", "\u2060", "\ufeff", "\U000e0041", "\u00ad", "\u2028"]


@pytest.mark.parametrize("character", HIDDEN, ids=[f"U+{ord(character):04X}" for character in HIDDEN])
def test_a_rule_with_a_hidden_character_is_left_out_with_line_and_column(character):
    manifest = read(
        f'{HEAD}@my_rules [\n{{"id": "a", "description": "Do{character} this"}},\n'
        '{"id": "b", "description": "Do that"}\n]\n'
    )
    assert [rule.id for rule in manifest.rules] == ["b"]
    reported = [(item.code, item.severity, item.line, item.column) for item in manifest.diagnostics]
    assert reported == [("hidden-unicode", "error", 7, 31)]
    assert f"U+{ord(character):04X}" in manifest.diagnostics[0].message


@pytest.mark.parametrize("escape", [r"\u202e", r"\u200b", r"\ud800", r"\u0007", r"\udb40\udc41"])
def test_a_hidden_character_written_as_an_escape_is_found_as_well(escape):
    manifest = read(
        f'{HEAD}@my_rules [\n{{"id": "a", "description": "Do{escape}"}},\n{{"id": "b", "description": "B"}}]\n'
    )
    assert [rule.id for rule in manifest.rules] == ["b"]
    assert [(item.code, item.line) for item in manifest.diagnostics] == [("hidden-unicode", 7)]


def test_bullets_headings_and_values_with_hidden_characters_are_left_out():
    manifest = read(
        '---\ntrigger: always_on\ndescription: "a\\u200b"\nglobs: ["a\\u202e", "b"]\n---\n'
        '# He\u200bading\n@my_rules [{"id": "a", "description": "A"}]\n- ti\u200bp\n- ok\n  o\u200bn\n- fine\n'
        '@version "1\u200b"\n@context {"a": {"\\u200b": [1]}}\n@last_updated "\\u200b"\n'
    )
    assert (manifest.description, manifest.globs) == ("", ("b",))
    [block] = manifest.blocks
    assert (block.heading, [item.text for item in block.guidance]) == ("", ["fine"])
    assert (manifest.version, manifest.context, manifest.last_updated) == (None, {}, None)
    assert [item.line for item in manifest.diagnostics] == [3, 4, 6, 8, 10, 12, 13, 14]
    assert set(codes(manifest)) == {"hidden-unicode"}


@pytest.mark.parametrize("value", ["\u200b", ["a", ["\u200b"]], {"a": {"b": "\u200b"}}, {"a\u200b": 1}])
def test_a_hidden_character_is_found_wherever_it_is_within_a_value(value):
    collector = Collector("rules.md")
    assert report_hidden_in(value, "@context", 3, collector) is True
    [diagnostic] = collector.diagnostics
    assert (diagnostic.code, diagnostic.severity, diagnostic.line) == ("hidden-unicode", "error", 3)
    assert diagnostic.message.startswith("@context holds the hidden character U+200B")


def test_a_line_is_reported_once_with_the_number_of_its_hidden_characters():
    manifest = read(HEAD + "a\u200bb\u200bc")
    messages = [item.message for item in manifest.diagnostics if item.code == "hidden-unicode"]
    assert len(messages) == 1
    assert "and 1 more" in messages[0]


def test_a_byte_order_mark_at_the_start_is_no_hidden_character():
    manifest = read('\ufeff---\ntrigger: always_on\n---\n@my_rules [{"id": "a", "description": "A"}]')
    assert len(manifest.rules) == 1
    assert manifest.diagnostics == ()


@pytest.mark.parametrize(
    "text",
    [
        "tabs\tand plain text",
        "👩‍💻 👨‍👩‍👧 🏳️‍🌈 ❤️‍🔥 🙂‍↔️ 👩🏽‍⚕️",
        "1️⃣ #️⃣ ❤️ ✔︎ ™️",
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "می\u200cخواهم",
        "क्\u200dष",
        "naïve façade — “quotes” … 学习率 학습 עברית العربية",
    ],
)
def test_what_shows_is_let_through(text):
    assert hidden_characters(text) == []


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("a\u200db", [1]),
        ("\u200d💻", [0]),
        ("👩\u200d", [1]),
        ("👩\u200d\u200d💻", [1, 2]),
        ("a\ufe0f", [1]),
        ("1\ufe0f2", [1]),
        ("❤\ufe0f\ufe0f", [2]),
        ("🏴\U000e0041\U000e007f", [1, 2]),
        ("\ufeff", [0]),
        ("a\u200cb", [1]),
    ],
)
def test_joiners_styles_and_tags_outside_their_sequences_are_hidden(text, places):
    assert hidden_characters(text) == places


def test_characters_that_do_not_show_are_written_out():
    assert visible("a\u202eb\x00\ud800") == "a<U+202E>b<U+0000><U+D800>"
    assert visible("größe/été 👩‍💻.py\n") == "größe/été 👩‍💻.py\n"
