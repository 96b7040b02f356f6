"""The real server in a process of its own, called by the official client over its pipes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import StdioServerParameters

from tests.server.conftest import run, text_of

ERAS = {"legacy": "2025-11-25", "2026-07-28": "2026-07-28"}
BAD = "import torch\nwith torch.no_grad:\n    pass\n"


def stdio_server(folder: Path) -> StdioServerParameters:
    return StdioServerParameters(command=sys.executable, args=["-m", "mlrules_mcp"], cwd=folder, env=dict(os.environ))


@pytest.mark.parametrize("era", ERAS)
def test_a_client_of_either_era_lists_and_calls_every_tool(era: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(BAD, encoding="utf-8")
    steps: list[str | None] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        steps.append(message)

    async def use(client: Any) -> None:
        assert client.session.protocol_version == ERAS[era]
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert names == ["analyze_code", "check_training", "explain_rule", "fix_code", "list_rules", "review_project"]
        listed = await client.call_tool("list_rules", {"paths": ["train.py"]})
        assert len(listed.structured_content["rules"]) == 46
        explained = await client.call_tool("explain_rule", {"rule": "no-grad-not-called"})
        assert "torch.no_grad" in text_of(explained)
        analyzed = await client.call_tool("analyze_code", {"paths": ["train.py"]})
        assert analyzed.structured_content["findings"][0]["check"] == "no-grad-not-called"
        fixed = await client.call_tool("fix_code", {"code": BAD, "output": "code"})
        assert fixed.structured_content["code"] == BAD.replace("no_grad:", "no_grad():")
        reviewed = await client.call_tool("review_project", {})
        assert len(reviewed.structured_content["rules"]) == 46
        trained = await client.call_tool("check_training", {"device": "cpu"}, progress_callback=on_progress)
        assert {check["status"] for check in trained.structured_content["checks"]} == {"met", "not_applicable"}
        assert [device["device"] for device in trained.structured_content["devices"]] == ["cpu"]

    run(use, stdio_server(tmp_path), era)
    assert len(steps) > 1


def test_the_server_ends_when_its_input_does(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "mlrules_mcp"],
        input=b"not json\n",
        capture_output=True,
        timeout=60,
        cwd=tmp_path,
        check=False,
    )
    assert ended.returncode == 0
    assert b"Traceback" not in ended.stderr
