from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mlrules_mcp.cli import cli
from mlrules_mcp.training import run
from mlrules_mcp.training.result import CheckOutcome, TrainingResult
from mlrules_mcp.training.spread import Spread

RESULT = TrainingResult("Net", 8, 0, (), (), {"torch": "2"}, 1.0, ("The network was refused.",))


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command asks to have trained, which nothing is."""
    asked: dict[str, Any] = {}

    async def trained(device: str, **options: Any) -> TrainingResult:
        asked.update(options, device=device)
        return RESULT

    monkeypatch.setattr(run, "check_training", trained)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text("", encoding="utf-8")
    (tmp_path / "args.yaml").write_text("hidden: 8", encoding="utf-8")
    return asked


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(cli, ["train-check", *arguments])


def test_the_options_of_a_target_arrive(asked: dict[str, Any], tmp_path: Path) -> None:
    done = invoke("--target", "net.py:Net", "--init-args", "args.yaml", "--loss", "mse", "--memory-limit", "0.5")
    assert done.exit_code == 0
    target = asked["target"]
    assert (target.file, target.cls, target.init_args) == (str(tmp_path / "net.py"), "Net", {"hidden": 8})
    assert target.loss == "mse"
    assert asked["memory_limit"] == 2**29


def test_the_answer_tells_what_was_assumed_in_text_and_json(asked: dict[str, Any]) -> None:
    assert "The network was refused." in invoke("--target", "net.py").stdout
    data = json.loads(invoke("--target", "net.py", "--format", "json").stdout)
    assert data["notes"] == ["The network was refused."]


def test_without_a_target_the_sample_is_trained(asked: dict[str, Any]) -> None:
    assert invoke().exit_code == 0
    assert asked["target"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--target", "gone.py"], "There is no file gone.py"),
        (["--target", "net.py", "--batch", "{"], "batch is not valid JSON"),
        (["--batch", "[]"], "--batch is for your own module: pass --target, too."),
        (["--memory-limit", "1"], "--memory-limit is for your own module: pass --target, too."),
    ],
)
def test_what_cannot_be_asked_for_is_an_error_with_exit_code_2(
    asked: dict[str, Any], arguments: list[str], said: str
) -> None:
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert not asked


def test_the_help_shows_examples() -> None:
    assert "mlrules-mcp train-check --target model.py:Net" in invoke("--help").stdout


def test_leave_to_run_code_is_the_servers_over_stdio_alone() -> None:
    done = CliRunner().invoke(cli, ["--allow-training-code", "rules"])
    assert done.exit_code == 2
    assert "--allow-training-code is for the server, not for rules" in done.stderr
    done = CliRunner().invoke(cli, ["serve", "--transport", "http", "--allow-training-code"])
    assert done.exit_code == 2
    assert "is for stdio alone" in done.stderr


def test_several_machines_need_torchrun_and_train_the_sample(asked: dict[str, Any]) -> None:
    alone = invoke("--nodes", "2")
    assert alone.exit_code == 2
    assert "On each machine, run: torchrun --nnodes 2" in alone.stderr
    own = invoke("--nodes", "2", "--target", "net.py:Net")
    assert (own.exit_code, "--nodes trains the sample" in own.stderr) == (2, True)
    assert asked == {}


@pytest.mark.parametrize(("rank", "broken", "speaks"), [(0, False, True), (1, False, False), (1, True, True)])
def test_the_first_of_many_processes_reports_and_another_one_only_what_is_broken(
    asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch, rank: int, broken: bool, speaks: bool
) -> None:
    for name, value in {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "29500")
    outcome = CheckOutcome("a-check", "block.rule", "cpu", "broken", "It is broken.")
    monkeypatch.setattr(sys.modules[__name__], "RESULT", replace(RESULT, checks=(outcome,) if broken else ()))
    done = invoke("--nodes", "1")
    assert (done.exit_code, bool(done.stdout)) == (int(broken), speaks)
    assert asked["spread"] == Spread(nodes=1, strategy="ddp", rank=rank, processes=2)
