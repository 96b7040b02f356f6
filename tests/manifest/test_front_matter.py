import pytest

from .support import BLOCK, codes, read


def test_valid_front_matter_is_read_without_a_word():
    manifest = read('---\ntrigger: glob\ndescription: Rules\nglobs: ["*.py", "src/**"]\n---\n' + BLOCK)
    assert (manifest.trigger, manifest.description, manifest.globs) == ("glob", "Rules", ("*.py", "src/**"))
    assert manifest.diagnostics == ()


@pytest.mark.parametrize(
    ("globs", "patterns"),
    [
        ('"*.py, src/{a,b}/*.ts,, c "', ("*.py", "src/{a,b}/*.ts", "c")),
        ('\n  - "*.py"\n  - src/**', ("*.py", "src/**")),
        ("src/**/*.py", ("src/**/*.py",)),
        ("", ()),
        ("[]", ()),
        ("~", ()),
        ('""', ()),
    ],
)
def test_globs_may_be_a_list_a_comma_string_or_empty(globs, patterns):
    manifest = read(f"---\ntrigger: always_on\nglobs: {globs}\n---\n{BLOCK}")
    assert manifest.globs == patterns
    assert manifest.diagnostics == ()


@pytest.mark.parametrize(
    ("globs", "patterns"),
    [
        ("*.py", ("*.py",)),
        ("**/*.py,*.{ts,tsx}", ("**/*.py", "*.{ts,tsx}")),
        ("*.py # all of Python", ("*.py",)),
        ("[*.py, {a,b}.ts]", ("*.py", "{a,b}.ts")),
        ("\n  - *.py\n  - 'b'", ("*.py", "b")),
        ("[\n*.py,\n*.ts\n]", ("*.py", "*.ts")),
        ("!build/**", ("!build/**",)),
    ],
)
def test_globs_that_are_not_yaml_are_read_line_by_line_and_that_is_said(globs, patterns):
    manifest = read(f"---\ntrigger: glob\nglobs: {globs}\n---\n{BLOCK}")
    assert manifest.globs == patterns
    assert codes(manifest) == ["front-matter-not-yaml"]
    assert len(manifest.rules) == 1


def test_the_line_that_is_not_yaml_is_named():
    manifest = read(f"---\ntrigger: glob\ndescription: fine\nglobs: *.py\n---\n{BLOCK}")
    [diagnostic] = manifest.diagnostics
    assert (diagnostic.path, diagnostic.line, diagnostic.severity) == ("rules.md", 4, "warning")


def test_a_colon_in_an_unquoted_description_is_part_of_it():
    manifest = read(f"---\ntrigger: always_on\ndescription: PyTorch: the rules\n---\n{BLOCK}")
    assert manifest.description == "PyTorch: the rules"


@pytest.mark.parametrize("description", [">\n  All of\n  this", "All of\n  this", '"All of this"'])
def test_a_description_may_go_on_over_lines_in_either_reading(description):
    text = f"---\ndescription: {description}\n%s\ntrigger: always_on\n---\n{BLOCK}"
    for globs in ("globs: a", "globs: *.py"):
        assert read(text % globs).description.strip() == "All of this"


def test_a_line_that_belongs_to_nothing_is_named_as_ignored():
    manifest = read(f"---\ntrigger: glob\nsome words\nglobs: *.py\n---\n{BLOCK}")
    assert manifest.globs == ("*.py",)
    assert "ignored: line 3" in manifest.diagnostics[0].message


def test_a_mapping_of_patterns_is_read_as_the_braces_it_was_meant_as():
    manifest = read(f"---\ntrigger: glob\nglobs: {{a,b}}\n---\n{BLOCK}")
    assert manifest.globs == ("{a,b}",)
    assert codes(manifest) == ["globs-shape"]


def test_a_key_given_twice_counts_once_and_is_reported():
    manifest = read(f"---\ntrigger: glob\nglobs: a\nglobs: b\n---\n{BLOCK}")
    assert manifest.globs == ("a",)
    assert [(item.code, item.line) for item in manifest.diagnostics] == [("front-matter-key-twice", 4)]


def test_a_second_block_is_merged_and_the_first_value_that_is_not_empty_counts():
    manifest = read(
        "---\nowner: me\ndescription: first\nglobs:\n---\n\n"
        f"---\ntrigger: glob\nowner: me\ndescription: second\nglobs: src/*.py\n---\n{BLOCK}"
    )
    assert (manifest.trigger, manifest.description, manifest.globs) == ("glob", "first", ("src/*.py",))
    [diagnostic] = manifest.diagnostics
    assert (diagnostic.code, diagnostic.line) == ("front-matter-twice", 7)
    assert diagnostic.message.endswith("whose value counts for 'description'")


def test_a_thematic_break_after_the_head_is_no_second_block():
    manifest = read(f"---\ntrigger: always_on\n---\n---\nNote: read on\n---\n{BLOCK}")
    assert manifest.diagnostics == ()


@pytest.mark.parametrize("rest", ["\n# Title\n", "# Title\n", "\nSome words.\n\n---\n\nMore: words\n"])
def test_a_head_that_is_never_closed_ends_with_its_keys(rest):
    manifest = read(f"---\ntrigger: glob\nglobs: src/*.py\n{rest}{BLOCK}")
    assert (manifest.trigger, manifest.globs) == ("glob", ("src/*.py",))
    assert [rule.key for rule in manifest.rules] == ["my_rules.first"]
    [diagnostic] = manifest.diagnostics
    assert (diagnostic.code, diagnostic.line) == ("front-matter-not-closed", 1)
    assert "lines 2 to 3" in diagnostic.message


def test_a_head_that_runs_into_an_annotation_does_not_swallow_it():
    for rest in ("", "\n---\n\nMore.\n"):
        manifest = read(f"---\ntrigger: always_on\n{BLOCK}{rest}")
        assert [rule.key for rule in manifest.rules] == ["my_rules.first"]
        assert codes(manifest) == ["front-matter-not-closed"]


def test_a_file_without_front_matter_is_always_on_and_that_is_said():
    manifest = read(BLOCK)
    assert (manifest.trigger, manifest.globs) == ("always_on", ())
    assert codes(manifest) == ["no-trigger"]


@pytest.mark.parametrize("block", ["Hello", "- a", "? {a: b}\n: c"])
def test_text_between_two_lines_is_not_taken_for_a_head(block):
    manifest = read(f"---\n{block}\n---\n{BLOCK}")
    assert "front-matter-not-read" in codes(manifest)
    assert len(manifest.rules) == 1


def test_an_empty_head_is_a_head():
    assert codes(read(f"---\n---\n{BLOCK}")) == ["no-trigger"]


def test_blank_lines_before_the_head_are_reported():
    manifest = read(f"\n\n---\ntrigger: always_on\n---\n{BLOCK}")
    assert [(item.code, item.line) for item in manifest.diagnostics] == [("front-matter-not-first", 3)]


def test_a_trigger_that_is_unknown_is_reported_with_what_was_assumed():
    manifest = read(f"---\ntrigger: always\nglobs: a\n---\n{BLOCK}")
    assert manifest.trigger == "glob"
    [diagnostic] = manifest.diagnostics
    assert (diagnostic.code, diagnostic.line) == ("unknown-trigger", 2)
    assert "always_on, glob, model_decision, manual" in diagnostic.message
    assert "glob was assumed" in diagnostic.message


def test_a_glob_trigger_without_globs_is_reported():
    manifest = read(f"---\ntrigger: glob\nglobs:\n---\n{BLOCK}")
    assert [(item.code, item.line) for item in manifest.diagnostics] == [("glob-without-globs", 2)]


@pytest.mark.parametrize("bomb", ["a: &a [*a]", "a: &a [x,x]\nb: &b [*a,*a]\nglobs: [*b,*b]", "a: " + "[" * 3000])
def test_yaml_that_refers_to_itself_or_is_deeply_nested_does_no_harm(bomb):
    assert len(read(f"---\n{bomb}\n---\n{BLOCK}").rules) == 1
