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


def test_aliases_that_grow_without_end_are_cut() -> None:
    levels = "\n".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, 9))
    assert len(settings_in("a.yaml", f"x0: &x0 [a, b]\n{levels}\n")) <= 500


def test_deep_nesting_is_cut_or_refused() -> None:
    for text in ("[" * 5000 + "]" * 5000, '{"a":' * 3000 + "1" + "}" * 3000):
        try:
            assert len(settings_in("a.json", text)) <= 500
        except BrokenSettings:
            continue
