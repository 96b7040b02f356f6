"""The user's code, in a worker of its own, on this platform."""

import asyncio
import sys
import tempfile

import pytest

from mlrules_mcp.training.errors import TrainingError
from mlrules_mcp.training.run import check_training
from mlrules_mcp.training.target.request import read_target
from tests.training.misbehaving import ENDLESS, FAULTS, Held

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a supervisor and namespaces")
MEMORY = 300 * 2**20


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name in ("project", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "project"


@pytest.fixture
def held(tmp_path):
    held = Held(tmp_path)
    yield held
    held.close()


def run(project, file, progress=None, time_limit=30.0):
    target = read_target(file, folder=project)
    return asyncio.run(
        check_training("cpu", target=target, time_limit=time_limit, memory_limit=MEMORY, progress=progress)
    )


def failure(*arguments, **options):
    with pytest.raises(TrainingError) as caught:
        run(*arguments, **options)
    return str(caught.value)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_module_that_misbehaves_gets_a_clear_answer_and_leaves_nothing_behind(fault, project, held, tmp_path):
    text, said = FAULTS[fault]
    file = held.write(project, fault, text)
    message = failure(project, file)
    assert said in message
    assert "Traceback" not in message
    assert held.let_go()
    assert [path.name for path in project.iterdir()] == [file]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_the_time_limit_ends_everything_and_names_the_line_that_was_reached(project, held):
    file = held.write(project, "endless", ENDLESS)
    assert "its time limit of 4 s and was ended, at endless.py:1" in failure(project, file, time_limit=4.0)
    assert held.started()
    assert held.let_go()


def test_cancellation_ends_what_left_the_process_group_too(project, held):
    async def cancel(step):
        assert step.message == "importing endless.py"
        assert await asyncio.to_thread(held.started)
        asyncio.current_task().cancel()

    file = held.write(project, "endless", ENDLESS)
    with pytest.raises(asyncio.CancelledError):
        run(project, file, progress=cancel)
    assert held.let_go()


def test_what_a_module_writes_into_its_project_is_discarded_or_said_to_stay(project, tmp_path):
    (project / "weights.txt").write_text("ours", encoding="utf-8")
    text = """
import torch
from torch import nn

with open("weights.txt", "w") as file:
    file.write("theirs")
assert open("weights.txt").read() == "theirs"

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        return self.layer(x)
"""
    (project / "writes.py").write_text(text, encoding="utf-8")
    target = read_target("writes.py", folder=project)
    result = asyncio.run(check_training("cpu", target=target, time_limit=100.0))
    discarded = any("were discarded" in note for note in result.notes)
    assert discarded or any("stay there" in note for note in result.notes)
    assert ((project / "weights.txt").read_text(encoding="utf-8") == "ours") == discarded
    assert result.model == "Net"
    assert {outcome.status for outcome in result.checks} <= {"met", "not_applicable"}


def test_a_memory_limit_below_what_torch_takes_is_refused(project):
    (project / "net.py").write_text("", encoding="utf-8")
    target = read_target("net.py", folder=project)
    with pytest.raises(TrainingError, match="at least 256 MiB"):
        asyncio.run(check_training(target=target, memory_limit=2**20))
