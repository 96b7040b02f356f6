from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mlrules_mcp.cli import cli

UNCLEARED = """\
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in loader:
    nn.functional.mse_loss(model(x), y).backward()
    optimizer.step()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(UNCLEARED, encoding="utf-8")
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["review", *arguments])


def test_a_broken_rule_ends_with_exit_code_1_and_names_the_place_and_the_step(folder: Path) -> None:
    result = invoke()
    assert result.exit_code == 1
    assert "deep learning" in result.stdout
    assert "train.py:7: " in result.stdout
    assert "Mend backward-without-zero-grad in train.py" in result.stdout


def test_where_nothing_is_broken_the_exit_code_is_0(folder: Path) -> None:
    (folder / "train.py").write_text("def double(x):\n    return 2 * x\n", encoding="utf-8")
    assert invoke(".").exit_code == 0


def test_json_has_every_key_of_the_contract(folder: Path) -> None:
    result = invoke("--format", "json")
    assert result.exit_code == 1
    data = json.loads(result.stdout)
    assert data["project"]["kinds"] == ["deep_learning"]
    assert len(data["rules"]) == 46
    rule = next(rule for rule in data["rules"] if rule["rule"] == "pytorch_rules.gradient_management")
    assert (rule["status"], rule["severity"]) == ("broken", "error")
    (place,) = rule["evidence"]
    assert (place["path"], place["line"], place["check"]) == ("train.py", 7, "backward-without-zero-grad")
    assert rule["next_step"]["effort"] == "small"
    assert data["next"][0] == "pytorch_rules.gradient_management"
    assert sum(data["summary"].values()) == 46


def test_one_step_is_shown_in_full(folder: Path) -> None:
    result = invoke("--step", "baseline_first")
    assert result.exit_code == 0
    assert "add baseline.py" in result.stdout
    assert "import torch" in result.stdout
    data = json.loads(invoke("--step", "gradient_management", "--format", "json").stdout)
    assert data["rule"] == "pytorch_rules.gradient_management"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "There is no folder nowhere"),
        (["train.py"], "mlrules-mcp check train.py"),
        (["--step", "baseline_frist"], "baseline_first"),
        (["--step", "cross_validation"], "sklearn_rules.cross_validation"),
        (["--time-limit", "0"], "0.1"),
    ],
)
def test_what_cannot_run_ends_with_exit_code_2_and_says_what_to_do(
    arguments: list[str], says: str, folder: Path
) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert says in result.output
