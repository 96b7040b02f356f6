import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlrules_mcp.manifest.compiled import shipped_manifest
from mlrules_mcp.manifest.globs import applies, explain, split_patterns
from mlrules_mcp.manifest.reader import read_manifest

GLOB_TEXT = st.text(alphabet="ab/.*?[]{}(),|!@+-\\1 ~:", max_size=14)


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ("a, b ,,c", ("a", "b", "c")),
        ("*.{py,ipynb},src/{a,{b,c}}/**", ("*.{py,ipynb}", "src/{a,{b,c}}/**")),
        ("a},b", ("a}", "b")),
        ("", ()),
        (["a,b", " c "], ("a", "b", "c")),
    ],
)
def test_commas_separate_patterns_outside_braces(text, patterns):
    assert split_patterns(text) == patterns


@pytest.mark.parametrize(
    ("path", "pattern", "matched"),
    [
        ("src/a.py", "**/*.py", True),
        ("a.py", "**/*.py", True),
        ("src/x/a.py", "*.py", True),
        ("src/x/a.py", "src/*.py", False),
        ("src/x/a.py", "src/**/*.py", True),
        ("src/x/a.py", "./src/**", True),
        ("./src//x/../a.py", "src/a.py", True),
        (" src/a.py ", " src/a.py ", True),
        (".github/.hidden.py", "*.py", True),
        (".git/x/.y", "**/*", True),
        ("a/b/c.py", "{*.py,docs/**}", True),
        ("a.ipynb", "*.{py,ipynb}", True),
        ("a3.py", "a{1..5}.py", True),
        ("b.py", "[!a].py", True),
        ("test_a.py", "@(test|check)_*.py", True),
        ("a.py", "!(b).py", True),
        ("b.py", "!(b).py", False),
        ("src", "src/**", False),
        ("A.py", "a.py", False),
        (r"src\x\a.py", "src/**/*.py", True),
        ("src/a.py", r"src\a.py", False),
    ],
)
def test_a_pattern_means_what_it_means_to_minimatch(path, pattern, matched):
    match = explain(path, pattern)
    assert match.matched is matched
    assert match.pattern == (pattern.strip() if matched else None)
    assert match.notes == ()


@pytest.mark.parametrize(
    ("path", "patterns", "matched", "decided"),
    [
        ("src/a.py", ["*.py", "!src/gen/**"], True, "*.py"),
        ("src/gen/a.py", ["*.py", "!src/gen/**"], False, "!src/gen/**"),
        ("src/gen/a.py", ["!src/gen/**", "*.py"], False, "!src/gen/**"),
        ("x/test_a.py", ["*.py", "!test_*.py"], False, "!test_*.py"),
        ("a.py", ["!*.md"], True, "!*.md"),
        ("a.md", ["!*.md"], False, "!*.md"),
        ("a.md", ["!./a.md"], False, "!./a.md"),
    ],
)
def test_a_negated_pattern_excludes_whatever_its_place(path, patterns, matched, decided):
    match = explain(path, patterns)
    assert (match.matched, match.pattern) == (matched, decided)
    assert match.reason


@pytest.mark.parametrize(
    ("path", "root", "compared"),
    [
        ("/proj/src/a.py", "/proj", "src/a.py"),
        ("/proj/src/a.py", "/proj/", "src/a.py"),
        ("/proj/x/../src/a.py", "/", "proj/src/a.py"),
        (r"C:\proj\src\a.py", r"C:\proj", "src/a.py"),
        (r"c:\Proj\src\A.py", r"C:\proj", "src/A.py"),
        ("../proj/src/a.py", "/proj", "src/a.py"),
        ("src/a.py", "/proj", "src/a.py"),
        ("./src/a.py", None, "src/a.py"),
    ],
)
def test_a_path_below_the_root_is_compared_relative_to_it(path, root, compared):
    match = explain(path, "src/**", root)
    assert match.path == compared
    assert match.matched is compared.startswith("src/")
    assert match.notes == ()


@pytest.mark.parametrize(
    ("path", "root", "note"),
    [
        ("/home/me/proj/src/a.py", None, "**/src/*.py"),
        (r"C:\proj\src\a.py", None, "**/src/*.py"),
        ("/other/src/a.py", "/proj", "outside the root /proj"),
        ("/project/src/a.py", "/proj", "outside the root /proj"),
        ("../other/src/a.py", "/proj", "outside the root /proj"),
        ("../other/src/a.py", None, "climbs with .."),
    ],
)
def test_a_path_that_is_below_no_root_is_retried_at_any_depth_and_that_is_said(path, root, note):
    match = explain(path, ["src/*.py"], root)
    assert (match.matched, match.pattern) == (True, "src/*.py")
    assert any(note in text for text in match.notes)
    assert any("retried as **/src/*.py" in text for text in match.notes)


def test_a_pattern_that_matches_an_absolute_path_as_it_is_needs_no_retry():
    assert explain("/proj/src/a.py", "**/*.py").notes == ()
    assert explain("/proj/src/a.py", "/proj/**").notes == ()


def test_a_negated_pattern_is_retried_for_an_absolute_path_as_well():
    assert explain("/proj/src/gen/a.py", ["*.py", "!src/gen/**"]).matched is False


@pytest.mark.parametrize("pattern", ["{1..5000}", "{a,b}" * 12, "{1..1000000000}"])
def test_a_pattern_with_too_many_alternatives_is_skipped_and_the_others_count(pattern):
    match = explain("a.py", [pattern, "*.py"])
    assert (match.matched, match.pattern) == (True, "*.py")
    assert len(match.notes) == 1
    assert "skipped" in match.notes[0]


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("a/" * 30 + "x", "**/a/" * 12 + "b"),
        ("a" * 30 + "!", "*(*(a)|*(a))"),
        ("a" * 30 + "!", "+(a|a)"),
        ("a" * 30 + "!", "@(a|a)" * 30),
        ("a" * 40 + "!", "!(a*b)*a" * 4 + "b"),
        ("a" * 60, "!(b)" * 8 + "c"),
        ("a" * 5000, "*"),
    ],
)
def test_a_pattern_that_would_be_tried_for_minutes_is_skipped(path, pattern):
    match = explain(path, pattern)
    assert match.matched is False
    assert "skipped" in match.notes[0]


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("aab.py", "+(a|b).py"),
        ("v12.py", "v+([0-9]).py"),
        ("a/b/c/d/e/x.test.ts", "**/{a,b}/**/*.@(test|spec).{ts,js}"),
    ],
)
def test_everyday_groups_are_tried(path, pattern):
    assert explain(path, pattern).matched is True


@pytest.mark.parametrize(
    ("path", "pattern", "hint"),
    [
        ("src/x/a.py", "src/*.py", "src/**/*.py"),
        ("src/a.py", "src", "src/**"),
        ("src/a.py", "src/", "src/**"),
        ("src/a.py", "/src/*.py", "relative to the root: src/*.py"),
        ("proj/src/a.py", "src/*.py", "**/src/*.py"),
        ("src/A.PY", "src/*.py", "upper and lower case"),
    ],
)
def test_a_pattern_that_just_misses_is_answered_with_the_one_that_would_match(path, pattern, hint):
    match = explain(path, pattern)
    assert match.matched is False
    assert hint in match.reason


def test_the_reason_names_the_patterns_that_were_tried():
    match = explain("a.md", ["*.py", "*.ipynb"])
    assert (match.matched, match.reason) == (False, "no pattern of *.py, *.ipynb matches a.md")
    assert explain("a.md", []).reason == "there are no patterns"


@given(GLOB_TEXT | st.text(max_size=12), st.lists(GLOB_TEXT | st.text(max_size=12), max_size=3), st.none() | GLOB_TEXT)
def test_no_path_pattern_or_root_makes_explain_raise(path, patterns, root):
    match = explain(path, patterns, root)
    assert match.reason
    assert match.pattern is None or match.pattern in split_patterns(patterns)


def scope(trigger: str, globs: str, path: str):
    manifest = read_manifest(f'---\ntrigger: {trigger}\nglobs: "{globs}"\n---\n', "rules.md")
    found = applies(manifest, path)
    return found.on, found.about


def test_always_on_is_on_everywhere_and_the_globs_say_what_it_is_about():
    shipped = shipped_manifest()
    about = applies(shipped, "/proj/src/train.py", "/proj")
    assert (about.on, about.about, about.match.pattern) == (True, True, "**/*.py")
    elsewhere = applies(shipped, "README.md")
    assert (elsewhere.on, elsewhere.about) == (True, False)
    assert elsewhere.reason.startswith("always on; no pattern of ")


@pytest.mark.parametrize(
    ("trigger", "globs", "on", "about"),
    [
        ("always_on", "", True, True),
        ("glob", "*.py", True, True),
        ("glob", "*.md", False, False),
        ("model_decision", "*.py", False, True),
        ("model_decision", "", False, True),
        ("manual", "*.md", False, False),
    ],
)
def test_each_trigger_says_when_rules_are_on(trigger, globs, on, about):
    assert scope(trigger, globs, "a.py") == (on, about)
