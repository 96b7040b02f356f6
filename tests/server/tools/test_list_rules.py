from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.manifest.compiled import shipped_manifest
from mlrules_mcp.manifest.merging import merge
from mlrules_mcp.manifest.reader import read_manifest
from mlrules_mcp.server.app import RulesServer, build_server
from mlrules_mcp.server.toolkit import MOST_BYTES, weight
from tests.server.conftest import call, text_of


def listed(server: Any, arguments: dict[str, Any]) -> tuple[dict[str, Any], str]:
    result = call(server, "list_rules", arguments)
    assert not result.is_error, text_of(result)
    assert result.structured_content is not None
    return result.structured_content, text_of(result)


def catalogue_with(text: str) -> Catalogue:
    return Catalogue(merge([shipped_manifest(), read_manifest(text, "house.md")]))


def test_rules_are_brief_by_default_and_full_on_request(server: RulesServer) -> None:
    brief, brief_text = listed(server, {})
    full, full_text = listed(server, {"full": True})
    assert {frozenset(rule) for rule in brief["rules"]} == {frozenset({"rule", "severity", "description"})}
    assert "checks" in full["rules"][0]
    assert sum(map(len, full["guidance"].values())) == 8
    assert "hardcoded-cuda" in full_text
    assert "hardcoded-cuda" not in brief_text
    assert weight(brief_text, brief) < 7_500


def test_a_folder_says_how_many_of_its_files_the_rules_are_about(server: RulesServer, tmp_path: Path) -> None:
    for name in ("src/a.py", "src/deep/b.py", "src/c.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found, text = listed(server, {"paths": ["src", "other.py"]})
    folder, file = found["paths"]
    assert (folder["path"], folder["files"], folder["matched"], folder["pattern"]) == ("src", 3, 3, "**/*.py")
    assert (file["path"], file["pattern"]) == ("other.py", "**/*.py")
    assert "src: on, 3 of 3 files, **/*.py matches" in text


def test_a_folder_without_matching_files_says_why(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.py").touch()
    house = '---\ntrigger: glob\nglobs: "src/**"\n---\n@house [{"id": "a", "description": "Do a"}]\n'
    found, _ = listed(build_server(catalogue_with(house), (tmp_path,)), {"paths": ["docs"]})
    (ours,) = [entry for entry in found["paths"] if entry["manifest"] == "house.md"]
    assert (ours["on"], ours["matched"], ours["files"]) == (False, 0, 1)
    assert "src/**" in ours["reason"]
    assert not any(rule["rule"] == "house.a" for rule in found["rules"])


def test_a_path_outside_the_roots_is_matched_and_not_read(server: RulesServer, tmp_path: Path) -> None:
    outside = tmp_path.parent / "elsewhere"
    outside.mkdir(exist_ok=True)
    (outside / "a.py").touch()
    found, _ = listed(server, {"paths": [str(outside)]})
    (entry,) = found["paths"]
    assert "files" not in entry


def test_rules_that_are_off_are_left_out_unless_all_is_asked_for() -> None:
    server = build_server(catalogue_with('@pytorch_rules [{"id": "avoid_item_calls", "enabled": false}]\n'))
    brief, _ = listed(server, {})
    full, text = listed(server, {"full": True})
    assert len(brief["rules"]) == 45
    assert [rule["enabled"] for rule in full["rules"] if "enabled" in rule] == [False]
    assert "avoid_item_calls (off)" in text


@pytest.mark.parametrize("full", [False, True])
def test_many_rules_come_in_pages_that_fit(full: bool) -> None:
    rules = [{"id": f"rule_{number}", "description": f"Dö {number} " + "x" * 100} for number in range(400)]
    server = build_server(catalogue_with(f"@house {json.dumps(rules, ensure_ascii=False)}\n"))
    keys: list[str] = []
    arguments: dict[str, Any] = {"paths": ["train.py"], "full": full}
    while True:
        found, text = listed(server, arguments)
        assert weight(text, found) <= MOST_BYTES
        keys += [rule["rule"] for rule in found["rules"]]
        if "next" not in found:
            break
        assert f"cursor='{found['next']}'" in text
        arguments["cursor"] = found["next"]
    assert len(keys) == len(set(keys)) == 446


def test_a_cursor_that_is_none_says_so(server: RulesServer) -> None:
    result = call(server, "list_rules", {"cursor": "gone"})
    assert result.is_error
    assert "'gone'" in text_of(result)


def test_too_many_paths_are_refused(server: RulesServer) -> None:
    result = call(server, "list_rules", {"paths": [f"{number}.py" for number in range(101)]})
    assert result.is_error
    assert "101 paths are too many" in text_of(result)
