from __future__ import annotations

import pytest

from mlrules_mcp.evidence.settings import BrokenSettings, settings_in


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.yaml", "trainer:\n  lr: 0.1\n  tags: [x, y]\n"),
        ("a.toml", "[trainer]\nlr = 0.1\ntags = ['x', 'y']\n"),
        ("a.json", '{"trainer": {\n\t"lr": 0.1,\n\t"tags": ["x", "y"]}}\n'),
    ],
)
def test_settings_are_told_with_their_whole_key_and_line(path: str, text: str) -> None:
    found = [(setting.key, setting.line, setting.value) for setting in settings_in(path, text)]
    assert ("trainer.lr", 2, "0.1") in found
    assert ("trainer.tags.1", 3, "y") in found


def test_a_key_with_the_same_name_in_two_tables_has_two_lines() -> None:
    found = settings_in("a.toml", "[a]\nseed = 1\n\n[b]\n'seed' = 2\n")
    assert [(each.key, each.line) for each in found if each.value] == [("a.seed", 2), ("b.seed", 5)]


@pytest.mark.parametrize(("path", "text"), [("a.yaml", "a: [1"), ("a.toml", "[a"), ("a.json", "{'a': 1}")])
def test_what_is_not_valid_says_so(path: str, text: str) -> None:
    with pytest.raises(BrokenSettings):
        settings_in(path, text)


def test_the_documents_of_one_file_and_keys_that_are_no_scalars_are_read() -> None:
    found = settings_in("a.yaml", "a: 1\n---\nb:\n- c: 2\n- [3]\n? [x, y]\n: d: 4\n")
    assert [(each.key, each.line, each.value) for each in found] == [
        ("a", 1, "1"),
        ("b", 3, ""),
        ("b.0.c", 4, "2"),
        ("b.1.0", 5, "3"),
        ("?", 6, ""),
        ("?.d", 7, "4"),
    ]


@pytest.mark.parametrize("leaf", ["[a, b]", "[]"])
def test_aliases_that_grow_without_end_are_not_followed(leaf: str) -> None:
    levels = "\n".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, 9))
    assert len(settings_in("a.yaml", f"x0: &x0 {leaf}\n{levels}\n")) < 20


@pytest.mark.parametrize("path", ["a.yaml", "a.json", "a.toml"])
@pytest.mark.parametrize(
    "text", ["[" * 99_000, "[" * 50_000 + "]" * 50_000, "a: " + "{b: " * 30_000, "- " * 90_000 + "a"]
)
def test_whatever_is_nested_too_deeply_is_cut_or_refused(text: str, path: str) -> None:
    try:
        assert len(settings_in(path, text)) <= 500
    except BrokenSettings as error:
        assert str(error)
