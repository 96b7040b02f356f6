import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlrules_mcp.manifest.compiled import shipped_path
from mlrules_mcp.manifest.reader import MAX_BYTES, ManifestError, read_manifest, read_manifest_file

from .support import BLOCK, HEAD, codes, read

FRAGMENTS = st.sampled_from(
    [
        *"@[]{}\"',:\n- #`~*!|>&",
        "---\n",
        "```\n",
        "@my_rules ",
        '{"id": "a"',
        '"description": "A"',
        "globs: ",
        "trigger: ",
    ]
)


@pytest.fixture(scope="module")
def shipped():
    return read_manifest_file(shipped_path())


def test_the_shipped_manifest_has_46_rules_and_8_bullets_and_no_oddities(shipped):
    assert len(shipped.rules) == 46
    assert len({rule.key for rule in shipped.rules}) == 46
    assert {block.name: len(block.guidance) for block in shipped.blocks if block.guidance} == {
        "pytorch_rules": 4,
        "lightning_rules": 4,
    }
    assert shipped.diagnostics == ()


def test_the_rules_of_the_shipped_manifest_stand_on_the_lines_they_name(shipped):
    lines = shipped_path().read_text(encoding="utf-8").split("\n")
    for rule in shipped.rules:
        assert lines[rule.line - 1].strip() == "{"
        assert f'"id": "{rule.id}"' in lines[rule.line]
    for block in shipped.blocks:
        assert lines[block.line - 1] == f"@{block.name} ["
        for guidance in block.guidance:
            assert lines[guidance.line - 1] == f"- {guidance.text}"


def test_the_head_and_the_meta_of_the_shipped_manifest_are_read(shipped):
    assert shipped.trigger == "always_on"
    assert shipped.description.startswith("Machine learning best practices for PyTorch")
    assert shipped.globs == ("**/*.py", "**/*.ipynb", "experiments/**/*", "models/**/*", "src/**/*")
    assert shipped.context["type"] == "machine_learning"
    assert (shipped.version, shipped.last_updated) == ("1.0.0", "2025-01-14")
    assert shipped.block("pytorch_rules").heading == "PyTorch Best Practices"
    assert shipped.block("pytorch_rules").guidance[0].heading == "PyTorch Memory Management"


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_of_other_systems_make_no_difference(end):
    text = HEAD + BLOCK + "- tip\n"
    assert read(text.replace("\n", end)) == read(text)


def test_two_rules_of_one_id_in_a_block_are_reported_and_the_first_counts():
    manifest = read(f'{HEAD}@r [{{"id": "a", "description": "1"}},\n{{"id": "a", "description": "2"}}]')
    assert [rule.description for rule in manifest.rules] == ["1"]
    assert [(d.code, d.severity, d.line) for d in manifest.diagnostics] == [("rule-twice", "error", 7)]


def test_a_block_given_twice_is_joined_and_that_is_said():
    manifest = read(HEAD + BLOCK + BLOCK.replace("first", "second"))
    assert [rule.key for rule in manifest.rules] == ["my_rules.first", "my_rules.second"]
    assert len(manifest.blocks) == 1
    assert [(item.code, item.line) for item in manifest.diagnostics] == [("block-twice", 9)]


def test_a_file_without_rules_says_how_rules_are_written():
    manifest = read("# Notes\n\nBe kind.\n")
    assert codes(manifest) == ["no-rules"]
    assert "@my_rules [" in manifest.diagnostics[0].message


def test_meta_of_the_wrong_shape_or_given_twice_is_reported():
    manifest = read(f'{HEAD}{BLOCK}@context [1]\n@version "1"\n@version "2"\n@last_updated {{}}\n')
    assert (manifest.context, manifest.version, manifest.last_updated) == ({}, "1", None)
    assert codes(manifest) == ["annotation-shape", "annotation-twice", "annotation-shape"]


def test_diagnostics_come_in_the_order_of_the_lines():
    manifest = read('---\ntrigger: x\nglobs: *.py\n---\n@a_rules {}\n@b_rules [{"id": "a",}]\n```\n')
    lines = [item.line or 0 for item in manifest.diagnostics]
    assert lines == sorted(lines)
    assert len(lines) >= 5


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"caf\xe9", "not UTF-8"), ("@a".encode("utf-16"), "not UTF-8"), (b"x" * (MAX_BYTES + 1), "larger than 256 KiB")],
)
def test_a_file_that_is_no_text_or_too_large_gives_a_clear_error(tmp_path, content, message):
    path = tmp_path / "rules.md"
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=message):
        read_manifest_file(path)


def test_a_missing_file_a_folder_and_an_impossible_path_give_a_clear_error(tmp_path):
    with pytest.raises(ManifestError, match=r"there is no rule file .*none\.md"):
        read_manifest_file(tmp_path / "none.md")
    with pytest.raises(ManifestError, match="is not a file"):
        read_manifest_file(tmp_path)
    with pytest.raises(ManifestError, match="cannot be read"):
        read_manifest_file(tmp_path / ("x" * 5000))


def test_a_file_is_called_by_its_path_unless_a_label_is_given(tmp_path):
    path = tmp_path / "rules.md"
    path.write_text(HEAD + BLOCK, encoding="utf-8")
    assert read_manifest_file(path).rules[0].source == str(path)
    assert read_manifest_file(path, "team").rules[0].source == "team"


@given(st.text() | st.lists(FRAGMENTS | st.text(max_size=3), max_size=40).map("".join))
def test_no_text_makes_the_reader_raise(text):
    lines = text.count("\n") + text.count("\r") + 1
    for diagnostic in read_manifest(text, "rules.md").diagnostics:
        assert diagnostic.line is None or 1 <= diagnostic.line <= lines


@given(st.lists(FRAGMENTS | st.sampled_from("\u202e\u200b\ud800"), max_size=40).map("".join))
def test_nothing_hidden_is_ever_passed_on(text):
    manifest = read_manifest(
        f"---\nglobs: {text}\n---\n# {text}\n@my_rules [{{{text}}}]\n{BLOCK}- {text}\n", "rules.md"
    )
    texts = [manifest.description, *manifest.globs, *(item.message for item in manifest.diagnostics)]
    for block in manifest.blocks:
        texts += [block.name, block.heading]
        texts += [text for rule in block.rules for text in (rule.id, rule.description)]
        texts += [text for guidance in block.guidance for text in (guidance.text, guidance.heading)]
    assert not {"\u202e", "\u200b", "\ud800"} & set("".join(texts))
