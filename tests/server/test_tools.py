from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from mcp.server import MCPServer

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.app import build_server
from tests.server.conftest import call, run, text_of

BAD = "import torch\n\nwith torch.no_grad:\n    pass\nstate = torch.load('model.pt')\n"


def test_every_tool_says_that_it_changes_nothing(server: MCPServer) -> None:
    tools = run(lambda client: client.list_tools(), server).tools
    assert {tool.name for tool in tools} == {
        "analyze_code",
        "check_training",
        "explain_rule",
        "fix_code",
        "list_rules",
        "review_project",
    }
    for tool in tools:
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is True
        assert tool.annotations.destructive_hint is False
        assert tool.description
        assert tool.output_schema


def test_listing_the_tools_costs_under_1500_tokens(server: MCPServer) -> None:
    tools = run(lambda client: client.list_tools(), server).tools
    data = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]
    listed = json.dumps(data, separators=(",", ":"))  # as it is sent
    assert len(listed.encode()) / 4 < 1500


def test_the_instructions_name_every_tool(server: MCPServer) -> None:
    async def both(client: Any) -> tuple[str, list[str]]:
        return client.instructions or "", [tool.name for tool in (await client.list_tools()).tools]

    instructions, names = run(both, server)
    assert all(name in instructions for name in names)


def test_list_rules_gives_all_rules_when_no_path_is_named(server: MCPServer) -> None:
    result = call(server, "list_rules", {})
    assert result.structured_content is not None
    keys = [rule["rule"] for rule in result.structured_content["rules"]]
    assert len(keys) == len(set(keys)) == 46
    assert {"sklearn_rules.cross_validation", "evaluation_rules.cross_validation"} <= set(keys)
    assert all(key.partition(".")[2] in text_of(result) for key in keys)


def test_list_rules_says_which_glob_matched_or_why_none_did(server: MCPServer) -> None:
    result = call(server, "list_rules", {"paths": ["src/train.py", "notes/todo.txt"]})
    assert result.structured_content is not None
    matched, unmatched = result.structured_content["paths"]
    assert matched["pattern"] == "**/*.py"
    assert matched["about"] is True
    assert "pattern" not in unmatched
    assert unmatched["about"] is False
    assert unmatched["reason"]


def test_a_finding_stands_whole_in_text_and_in_structured_content(server: MCPServer) -> None:
    result = call(server, "analyze_code", {"code": BAD, "filename": "train.py"})
    assert result.structured_content is not None
    assert len(result.structured_content["findings"]) == 2
    text = text_of(result)
    for finding in result.structured_content["findings"]:
        assert f"train.py:{finding['line']}:{finding['column']}: {finding['severity']}" in text
        assert finding["check"] in text
        assert finding["message"] in text
        assert finding["fix"]["title"] in text


def test_files_under_the_root_are_read_and_others_are_refused(server: MCPServer, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(BAD, encoding="utf-8")
    result = call(server, "analyze_code", {"paths": ["train.py"]})
    assert result.structured_content is not None
    assert result.structured_content["files"] == 1
    assert {finding["path"] for finding in result.structured_content["findings"]} == {"train.py"}
    assert len(result.structured_content["findings"]) == 2
    outside = tmp_path.parent / "outside.py"
    outside.write_text(BAD, encoding="utf-8")
    (tmp_path / "link.py").symlink_to(outside)
    for path in ("../outside.py", str(outside), "link.py"):
        refused = call(server, "analyze_code", {"paths": [path]})
        assert refused.is_error
        assert "can't be read" in text_of(refused)


def test_a_missing_file_is_named(server: MCPServer) -> None:
    result = call(server, "analyze_code", {"paths": ["gone.py"]})
    assert result.is_error
    assert "'gone.py'" in text_of(result)


def test_a_server_without_roots_reads_no_files() -> None:
    result = call(build_server(Catalogue()), "fix_code", {"path": "train.py"})
    assert result.is_error
    assert "reads no files" in text_of(result)


@pytest.mark.parametrize("output", ["code", "diff"])
def test_fix_code_applies_safe_fixes_and_leaves_suggested_ones(server: MCPServer, output: str) -> None:
    result = call(server, "fix_code", {"code": BAD, "output": output})
    assert result.structured_content is not None
    assert "with torch.no_grad():" in result.structured_content[output]
    assert "map_location" not in result.structured_content[output]
    assert [fixed["check"] for fixed in result.structured_content["fixed"]] == ["no-grad-not-called"]
    assert [finding["check"] for finding in result.structured_content["findings"]] == ["load-without-map-location"]
    assert result.structured_content[output] in text_of(result)


def test_fix_code_applies_suggested_fixes_on_request(server: MCPServer) -> None:
    result = call(server, "fix_code", {"code": BAD, "output": "code", "suggested": True})
    assert result.structured_content is not None
    assert 'map_location="cpu"' in result.structured_content["code"]
    assert result.structured_content["findings"] == []


FORMATS = {
    "explore.ipynb": json.dumps({"cells": [{"cell_type": "code", "source": BAD}], "nbformat": 4}),
    "README.md": f"```python\n{BAD}```\n",
    "cells.py": f"%matplotlib inline\n{BAD}",
}


@pytest.mark.parametrize("name", FORMATS)
def test_notebooks_and_documents_are_analysed_and_fixed_by_the_name_they_come_under(
    server: MCPServer, name: str
) -> None:
    arguments = {"code": FORMATS[name], "filename": name}
    found = call(server, "analyze_code", arguments).structured_content
    assert found is not None
    assert {finding["check"] for finding in found["findings"]} == {"no-grad-not-called", "load-without-map-location"}
    assert all(("cell" in finding) == name.endswith(".ipynb") for finding in found["findings"])
    result = call(server, "fix_code", {**arguments, "output": "code"})
    assert result.structured_content is not None
    assert result.structured_content["code"] == FORMATS[name].replace("no_grad:", "no_grad():")
    assert ("cell" in result.structured_content["fixed"][0]) == name.endswith(".ipynb")
    assert ("explore.ipynb:cell 1:" in text_of(result)) == name.endswith(".ipynb")


def test_the_worst_findings_are_kept_where_there_are_too_many(server: MCPServer, tmp_path: Path) -> None:
    advice = "import torch\n" + "".join(f"def f{i}(x):\n    x.data.add_(1)\n\n" for i in range(400))
    (tmp_path / "a.py").write_text(advice)
    (tmp_path / "b.py").write_text(BAD)
    found = call(server, "analyze_code", {"paths": ["."]}).structured_content
    assert found is not None
    assert re.fullmatch(r"\d+ advice\. Pass fewer than these 2 files to see them\.", found["left_out"])
    severities = [finding["severity"] for finding in found["findings"]]
    assert severities == sorted(severities, key=["error", "warning", "advice"].index)
    assert found["findings"][0]["path"] == "b.py"


def test_fix_code_reads_a_file_and_does_not_change_it(server: MCPServer, tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(BAD, encoding="utf-8")
    result = call(server, "fix_code", {"path": "train.py"})
    assert "+with torch.no_grad():" in text_of(result)
    assert file.read_text(encoding="utf-8") == BAD


def test_explain_rule_takes_a_key_and_the_name_of_a_check(server: MCPServer) -> None:
    by_rule = call(server, "explain_rule", {"rule": "pytorch_rules.gradient_management"})
    by_check = call(server, "explain_rule", {"rule": "no-grad-not-called"})
    assert by_rule.structured_content is not None
    assert by_check.structured_content is not None
    assert by_rule.structured_content["rule"] == by_check.structured_content["rule"]
    assert len(by_rule.structured_content["checks"]) > 1
    (check,) = by_check.structured_content["checks"]
    assert check["bad"][0]["code"] in text_of(by_check).replace("    ", "") or check["summary"] in text_of(by_check)


def test_an_unknown_rule_gets_the_closest_ones(server: MCPServer) -> None:
    result = call(server, "explain_rule", {"rule": "gradient_managment"})
    assert result.is_error
    assert "pytorch_rules.gradient_management" in text_of(result)


def test_an_ambiguous_rule_gets_its_candidates(server: MCPServer) -> None:
    result = call(server, "explain_rule", {"rule": "cross_validation"})
    assert result.is_error
    assert "sklearn_rules.cross_validation" in text_of(result)
    assert "evaluation_rules.cross_validation" in text_of(result)


@pytest.mark.parametrize(
    ("tool", "arguments", "expected"),
    [
        ("analyze_code", {"source": "x"}, "has no argument 'source'. Its arguments are: code, filename, previous"),
        ("analyze_code", {}, "Pass either `code` or `files` or `paths`"),
        ("analyze_code", {"code": "x", "paths": ["a.py"]}, "Pass either `code` or `files` or `paths`"),
        ("analyze_code", {"code": 5}, "code: Input should be a valid string"),
        ("fix_code", {"code": "x", "output": "html"}, "output: Input should be 'diff' or 'code'"),
        ("check_training", {"device": "tpu"}, "device: Input should be"),
    ],
)
def test_a_wrong_call_says_what_to_do_and_the_server_lives_on(
    server: MCPServer, tool: str, arguments: dict[str, Any], expected: str
) -> None:
    async def twice(client: Any) -> tuple[Any, Any]:
        return await client.call_tool(tool, arguments), await client.call_tool("analyze_code", {"code": BAD})

    wrong, right = run(twice, server)
    assert wrong.is_error
    assert expected in text_of(wrong)
    assert "Error executing" not in text_of(wrong)
    assert not right.is_error


@pytest.mark.parametrize(
    ("code", "diagnostic"),
    [
        ("", None),
        ("x" * 5_000_000, "too-large"),
        ("\0\0", "binary-file"),
        ("(" * 10_000, "syntax-error"),
        ("print 'hello'\n", "syntax-error"),
        ("\ud800", "not-analysed"),
    ],
    ids=["empty", "5 MB", "null bytes", "nested brackets", "Python 2", "lone surrogate"],
)
def test_bad_code_gets_a_diagnostic_and_the_server_lives_on(
    server: MCPServer, code: str, diagnostic: str | None
) -> None:
    async def twice(client: Any) -> tuple[Any, Any]:
        return await client.call_tool("analyze_code", {"code": code}), await client.call_tool("list_rules", {})

    result, after = run(twice, server)
    assert result.structured_content["findings"] == []
    codes = [entry["code"] for entry in result.structured_content["diagnostics"]]
    assert codes[:1] == ([diagnostic] if diagnostic else [])
    assert not after.is_error


def test_a_snippet_is_read_as_part_of_the_project_that_its_file_name_lies_in(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "base.py").write_text("import lightning as L\nclass Base(L.LightningModule): ...\n", "utf-8")
    code = (
        "import lightning\nfrom base import Base\nclass Net(Base):\n    def on_epoch_end(self):\n        self.reset()\n"
    )
    server = build_server(Catalogue(), [tmp_path])
    for filename, expected in (("src/net.py", ["removed-hook"]), ("elsewhere/net.py", []), ("/src/net.py", [])):
        result = call(server, "analyze_code", {"code": code, "filename": filename})
        assert result.structured_content is not None
        assert [finding["check"] for finding in result.structured_content["findings"]] == expected, filename
