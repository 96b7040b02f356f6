from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Tree

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


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "train.py").write_text(
        "import torch\nmodel = torch.nn.Linear(2, 2).cuda()\nmodel(torch.ones(1, 2)).sum().backward()\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_review_is_written_in_every_format_with_one_exit_code(project: Path) -> None:
    by_format = {
        name: CliRunner().invoke(cli, ["review", "--format", name])
        for name in ("text", "json", "html", "markdown", "badge")
    }
    assert len({result.exit_code for result in by_format.values()}) == 1
    assert Page(by_format["html"].stdout).problems == []
    assert by_format["markdown"].stdout.startswith("### ")
    assert Tree.fromstring(by_format["badge"].stdout).tag.endswith("svg")


def test_a_review_is_compared_with_an_earlier_one_in_every_format(project: Path) -> None:
    old = json.loads(CliRunner().invoke(cli, ["review", "--format", "json"]).stdout)
    changed = next(rule for rule in old["rules"] if rule["status"] != "met")
    changed["status"] = "met"
    (project / "old.json").write_text(json.dumps(old))

    def compared(form: str) -> str:
        return CliRunner().invoke(cli, ["review", "--format", form, "--compare", "old.json"]).stdout

    assert "Since old.json: 1 " in compared("text").splitlines()[-2]
    assert "Since old.json: 1 " in Page(compared("html")).text
    assert "**Since old.json: 1 " in compared("markdown")
    comparison = json.loads(compared("json"))["comparison"]
    assert [change["rule"] for each in ("worse", "other") for change in comparison[each]] == [changed["rule"]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--compare", "gone.json"], "gone.json can't be read"),
        (["--compare", "train.py"], "train.py is not JSON"),
        (["--compare", "old.json", "--format", "badge"], "--compare is for a whole review"),
        (["--step", "gradient_management", "--format", "html"], "as text or JSON, not as html"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_read(
    project: Path, arguments: list[str], said: str
) -> None:
    result = CliRunner().invoke(cli, ["review", *arguments])
    assert result.exit_code == 2
    assert said in result.stderr
