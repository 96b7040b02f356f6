import pytest

from .support import BLOCK, HEAD, codes, read


@pytest.mark.parametrize("name", ["my_rules", "rules", "checks", "a-b"])
def test_a_list_of_objects_with_ids_is_a_block_whatever_its_name(name):
    manifest = read(f'{HEAD}@{name} [{{"id": "a", "description": "A"}}]\n')
    assert [rule.key for rule in manifest.rules] == [f"{name}.a"]
    assert manifest.diagnostics == ()


@pytest.mark.parametrize(
    "text",
    [
        "@theme {\n  --color: red;\n}\n",
        '@test "adds two numbers" {\n  run true\n}\n',
        '@import "other.css";\n',
        "@media (max-width: 1px) {\n}\n",
        "@layer base {\n}\n",
        "@alice [see this](https://example.org)\n",
        "@steps [1, 2] and more\n",
        "@decorator\ndef f(): ...\n",
        '@examples ["one", "two"]\n',
        '@settings {"a": 1}\n',
        '@env [{"var": "A", "default": "1"}]\n',
        'Write to me@example.org {"a": 1}\n',
    ],
)
def test_what_is_no_block_of_rules_is_passed_over_without_a_word(text):
    manifest = read(HEAD + text + BLOCK)
    assert [rule.key for rule in manifest.rules] == ["my_rules.first"]
    assert manifest.diagnostics == ()


@pytest.mark.parametrize("fence", ["```", "~~~", "````", "  ```json"])
def test_annotations_in_fenced_code_are_examples(fence):
    closing = fence.strip().rstrip("json")
    manifest = read(f"{HEAD}{fence}\n@example_rules [{{}}]\n{BLOCK}{closing}\n{BLOCK}")
    assert [rule.line for rule in manifest.rules] == [13]
    assert manifest.diagnostics == ()


@pytest.mark.parametrize("inner", ["```", "~~~ text", "~~", "~~~~ python"])
def test_code_ends_at_its_own_fence_only(inner):
    manifest = read(f"{HEAD}~~~\n{inner}\n{BLOCK}~~~\n")
    assert manifest.rules == ()
    assert codes(manifest) == ["no-rules"]


def test_code_between_backticks_on_one_line_opens_nothing():
    assert len(read(f"{HEAD}```x``` is code\n{BLOCK}").rules) == 1


def test_a_fence_that_is_never_closed_is_reported_where_it_opens():
    manifest = read(f"{HEAD}```\n{BLOCK}")
    assert manifest.rules == ()
    assert ("code-fence-not-closed", 6) in [(item.code, item.line) for item in manifest.diagnostics]


@pytest.mark.parametrize(
    ("items", "line", "column"),
    [
        ('  {"id": "a", "description": "A"}\n  {"id": "b", "description": "B"}\n', 8, 3),
        ('  {"id": "a", "description": "A"},\n  {"id": "b" "description": "B"}\n', 8, 14),
        ('  {"id": "a", "description": "A"},\n  {"id": "b", "description": "B"},\n', 9, 1),
        ('  {"id": "a",\n   "description": "A\n"}\n', 8, 21),
        ('  {"id": "a",\n   "id": "b"}\n', 7, 3),
        ("  {'id': 'a'}\n", 7, 4),
    ],
)
def test_broken_json_is_reported_at_its_place_and_the_rest_is_read(items, line, column):
    manifest = read(f'{HEAD}@my_rules [\n{items}]\n@other [{{"id": "c", "description": "C"}}]\n')
    assert [rule.key for rule in manifest.rules] == ["other.c"]
    [diagnostic] = manifest.diagnostics
    assert (diagnostic.code, diagnostic.severity) == ("broken-json", "error")
    assert (diagnostic.line, diagnostic.column) == (line, column)


def test_a_broken_object_under_a_name_of_rules_is_reported_once():
    assert codes(read(f'{HEAD}@my_rules {{"id": }}\n{BLOCK}')) == ["broken-json"]


def test_deeply_nested_json_and_huge_numbers_are_reported():
    for value in ("[" * 100_000, "[" + "1" * 5000 + "]"):
        assert "broken-json" in codes(read(f"@my_rules {value}\n"))


def test_the_value_may_begin_on_the_line_after_the_name():
    assert [rule.line for rule in read('@my_rules\n[{"id": "a", "description": "A"}]').rules] == [2]


def test_text_after_a_block_of_rules_is_reported_and_the_rules_are_read():
    manifest = read(f'{HEAD}@checks [{{"id": "a", "description": "A"}}] some words\n')
    assert [rule.id for rule in manifest.rules] == ["a"]
    assert [(item.code, item.line) for item in manifest.diagnostics] == [("annotation-trailing-text", 6)]


@pytest.mark.parametrize("value", ['{"id": "a"}', '["a", "b"]', '"a"', '[{"name": "a"}]'])
def test_a_value_that_is_no_list_of_rules_under_a_name_of_rules_is_reported(value):
    manifest = read(f"{HEAD}@my_rules {value}\n{BLOCK.replace('my_rules', 'other')}")
    assert [(item.code, item.line) for item in manifest.diagnostics] == [("block-shape", 6)]


def test_an_unquoted_version_is_read_as_text_and_that_is_said():
    manifest = read(f"{HEAD}{BLOCK}@version 1.10\n")
    assert manifest.version == "1.10"
    assert codes(manifest) == ["annotation-not-quoted"]


@pytest.mark.parametrize(
    ("heading", "text"),
    [("## C#", "C#"), ("## Title ##", "Title"), ("###", ""), ("   # A  ", "A"), ("####### A", ""), ("#A", "")],
)
def test_headings_are_those_of_markdown(heading, text):
    assert read(f"{heading}\n{BLOCK}").blocks[0].heading == text


def test_bullets_after_a_block_are_its_guidance_with_the_heading_they_stand_under():
    manifest = read(f"{HEAD}## Rules\n{BLOCK}### How\n\n- one\n  goes on\n* two\n1. three\n\nprose\n\n* * *\n")
    [block] = manifest.blocks
    assert block.heading == "Rules"
    assert [(item.text, item.line, item.heading) for item in block.guidance] == [
        ("one goes on", 12, "How"),
        ("two", 14, "How"),
        ("three", 15, "How"),
    ]
    assert {item.source for item in block.guidance} == {"rules.md"}


def test_guidance_after_a_broken_block_does_not_go_to_the_block_before():
    manifest = read(f'{HEAD}{BLOCK}@checks [{{"id": "a" "b"}}]\n- tip\n')
    assert [(block.name, len(block.guidance)) for block in manifest.blocks] == [
        ("my_rules", 0),
        ("checks", 1),
    ]


def test_bullets_before_any_block_are_counted_in_one_diagnostic():
    manifest = read(f"{HEAD}- one\n- two\n{BLOCK}")
    [diagnostic] = manifest.diagnostics
    assert (diagnostic.code, diagnostic.line) == ("guidance-without-block", 6)
    assert diagnostic.message.startswith("2 ")
