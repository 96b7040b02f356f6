"""The user's own module over a real server: what it does there harms neither the server nor the machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import StdioServerParameters

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.app import build_server
from tests.server.conftest import call, run, text_of
from tests.training.misbehaving import ENDLESS, FAULTS, Held

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a supervisor and namespaces")


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    (tmp_path / "outside").mkdir()
    held = Held(tmp_path / "outside")
    yield held
    held.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def stdio_server(folder: Path) -> StdioServerParameters:
    arguments = ["-m", "mlrules_mcp", "--allow-training-code"]
    return StdioServerParameters(command=sys.executable, args=arguments, cwd=folder, env=dict(os.environ))


async def is_well(client: Any) -> None:
    """The server answers."""
    with anyio.fail_after(20):
        assert not (await client.call_tool("explain_rule", {"rule": "no-grad-not-called"})).is_error


@linux
def test_the_server_answers_on_after_each_module_that_misbehaves(project: Path, held: Held) -> None:
    async def use(client: Any) -> None:
        for fault, (text, said) in FAULTS.items():
            if "memory" in fault:  # the limit is that of the machine here
                continue
            file = held.write(project, fault, text)
            result = await client.call_tool("check_training", {"target": file})
            assert result.is_error, fault
            assert said in text_of(result)
            await is_well(client)
            assert held.let_go(), fault

    run(use, stdio_server(project))


@linux
def test_cancelled_calls_end_their_processes_and_leave_the_queue(project: Path, held: Held) -> None:
    messages: list[str] = []

    async def use(client: Any) -> None:
        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            messages.append(str(message))

        async def train(scope: anyio.CancelScope, file: str) -> None:
            with scope:
                await client.call_tool("check_training", {"target": file}, progress_callback=on_progress)

        endless, fails = held.write(project, "endless", ENDLESS), held.write(project, "fails", "1 / 0")
        first, second = anyio.CancelScope(), anyio.CancelScope()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(train, first, endless)
            assert await anyio.to_thread.run_sync(held.started)
            tasks.start_soon(train, second, endless)
            while "waiting: 1 before you" not in messages:
                await anyio.lowlevel.checkpoint()
            second.cancel()
            await is_well(client)
            first.cancel()
        assert await anyio.to_thread.run_sync(held.let_go)
        with anyio.fail_after(20):
            result = await client.call_tool("check_training", {"target": fails})
        assert "ZeroDivisionError" in text_of(result)

    run(use, stdio_server(project))
    assert messages.count("importing endless.py") == 1


NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, size: int):
        super().__init__()
        self.layer = nn.Linear(size, 2)

    def forward(self, x):
        print("not for the channel")
        return self.layer(x)
"""


def test_a_module_is_trained_and_answered_for_as_the_sample_is(project: Path) -> None:
    (project / "net.py").write_text(NET, encoding="utf-8")
    server = build_server(Catalogue(), (project,), training_code=True)
    target = {"target": "net.py:Net", "init_args": {"size": 3}, "loss": "mse", "device": "cpu"}
    result = call(server, "check_training", {**target, "batch": [{"shape": [4, 3]}, {"shape": [4, 2]}]})
    assert result.structured_content is not None
    assert {check["status"] for check in result.structured_content["checks"]} == {"met", "not_applicable"}
    assert result.structured_content["model"] == "Net"
    assert "Trained Net (8 parameters" in text_of(result)
    assert "network was refused" in text_of(result)


def test_code_is_run_only_where_the_operator_allowed_it(project: Path) -> None:
    (project / "net.py").write_text("raise SystemExit", encoding="utf-8")
    result = call(build_server(Catalogue(), (project,)), "check_training", {"target": "net.py:Net"})
    assert result.is_error
    assert "mlrules-mcp serve --allow-training-code" in text_of(result)
    assert "mlrules-mcp train-check --target net.py:Net" in text_of(result)


def test_the_annotations_say_whether_code_is_run() -> None:
    def annotations(allowed: bool) -> dict[str, Any]:
        tools = run(lambda client: client.list_tools(), build_server(Catalogue(), training_code=allowed)).tools
        tool = next(tool for tool in tools if tool.name == "check_training")
        return tool.annotations.model_dump(exclude={"title"})

    assert annotations(False) == {
        "read_only_hint": True,
        "destructive_hint": False,
        "idempotent_hint": True,
        "open_world_hint": False,
    }
    assert annotations(True) == {
        "read_only_hint": False,
        "destructive_hint": True,
        "idempotent_hint": False,
        "open_world_hint": False,
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"target": "../net.py:Net"}, "can't be read"),
        ({"target": "gone.py:Net"}, "There is no file or folder 'gone.py'"),
        ({"target": "net.py:Net", "data": "../data.py"}, "can't be read"),
        ({"loss": "mse"}, "`loss` is for the user's own module: pass `target`, too."),
        ({"target": "net.py:Net", "loss": "mae"}, "Unknown loss 'mae'"),
        ({"target": "net.py:Net", "batch": [{"shape": "8"}]}, "batch[0]: shape must be a list"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_runs(
    project: Path, arguments: dict[str, Any], said: str
) -> None:
    (project / "net.py").write_text("raise SystemExit", encoding="utf-8")
    result = call(build_server(Catalogue(), (project,), training_code=True), "check_training", arguments)
    assert result.is_error
    assert said in text_of(result)
