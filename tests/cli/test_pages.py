from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from mlrules_mcp.cli import cli
from mlrules_mcp.training import run
from tests.report.markup import Page
from tests.report.test_training_html import RESULT


def test_the_training_check_prints_a_page_and_its_exit_code_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    async def trained(*_: Any, **__: Any) -> Any:
        return RESULT

    monkeypatch.setattr(run, "check_training", trained)
    result = CliRunner().invoke(cli, ["train-check", "--format", "html"])
    assert result.exit_code == 1
    assert Page(result.stdout).problems == []
    assert "1 check is broken" in result.stdout
