from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from mcp import Client

from mlrules_mcp.cli import cli
from tests.server.conftest import run, text_of
from tests.server.test_stdio import stdio_server


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tools", "fix_code,analyse"], "There is no tool analyse; there are: analyze_code, check_training"),
        (
            ["--transport", "http", "--tools", "check_training"],
            "left to offer: check_training needs enable_training",
        ),
    ],
)
def test_tools_that_can_not_be_offered_are_named(options: list[str], message: str) -> None:
    result = CliRunner().invoke(cli, ["serve", *options])
    assert result.exit_code == 2
    assert message in result.output


def test_tools_and_roots_narrow_what_a_server_over_stdio_offers(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    for path in ("inside/a.py", "outside.py"):
        (tmp_path / path).write_text("import torch\nwith torch.no_grad:\n    pass\n", encoding="utf-8")
    options = ["--root", "inside", "--tools", " analyze_code, list_rules", "--read-only"]
    server = stdio_server(tmp_path)
    server.args += ["serve", *options]

    async def use(client: Client) -> None:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["analyze_code", "list_rules"]
        assert "fix_code" not in (client.instructions or "")
        inside: Any = await client.call_tool("analyze_code", {"paths": ["a.py"]})
        assert len(inside.structured_content["findings"]) == 1
        for path in ("../outside.py", str(tmp_path / "outside.py")):
            refused = await client.call_tool("analyze_code", {"paths": [path]})
            assert refused.is_error
            assert "can't be read: this server reads files under inside only" in text_of(refused)

    run(use, server)
