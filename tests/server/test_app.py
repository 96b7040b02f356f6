"""What a server offers, and how it narrows that."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.app import build_server, tool_names
from mlrules_mcp.server.toolkit import ServerContext, make_tool
from mlrules_mcp.server.tools import check_training
from tests.server.conftest import run

SNAPSHOTS = Path(__file__).parent / "snapshots"


def listed(server: Any) -> list[dict[str, Any]]:
    async def use(client: Client) -> Any:
        return (await client.list_tools()).tools

    return [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in run(use, server)]


@pytest.mark.parametrize("tool", listed(build_server(Catalogue())), ids=lambda tool: tool["name"])
def test_a_tools_schema_is_as_it_was_agreed(tool: dict[str, Any]) -> None:
    snapshot = json.loads((SNAPSHOTS / f"{tool['name']}.json").read_text(encoding="utf-8"))
    assert tool == snapshot, "if that is meant: python -m tests.server.test_app && make docs"


def test_there_is_a_snapshot_of_every_tool_and_of_no_other() -> None:
    assert sorted(path.stem for path in SNAPSHOTS.glob("*.json")) == tool_names()


def test_only_the_tools_that_are_named_are_offered_and_spoken_of() -> None:
    server = build_server(Catalogue(), offered=["fix_code", "list_rules"])
    assert [tool["name"] for tool in listed(server)] == ["fix_code", "list_rules"]
    assert server.instructions is not None
    assert set(re.findall(r"[a-z]+_[a-z]+", server.instructions)) == {"fix_code", "list_rules"}


def test_a_tool_that_there_is_not_is_named() -> None:
    with pytest.raises(ValueError, match="no tool analyse_code; there are: analyze_code"):
        build_server(Catalogue(), offered=["analyse_code"])


def test_a_read_only_server_offers_no_tool_that_runs_the_users_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(_context: ServerContext) -> Any:
        async def check_training() -> str:
            """Train."""
            return ""

        return make_tool(check_training, "Check training", runs_code=True)

    monkeypatch.setattr(check_training, "build", build)
    everything = {tool["name"]: tool["annotations"] for tool in listed(build_server(Catalogue()))}
    assert everything["check_training"]["readOnlyHint"] is False
    assert everything["check_training"]["destructiveHint"] is True
    assert everything.keys() - {tool["name"] for tool in listed(build_server(Catalogue(), read_only=True))} == {
        "check_training"
    }


if __name__ == "__main__":
    for each in listed(build_server(Catalogue())):
        text = json.dumps(each, indent=2, ensure_ascii=False) + "\n"
        (SNAPSHOTS / f"{each['name']}.json").write_text(text, encoding="utf-8")
