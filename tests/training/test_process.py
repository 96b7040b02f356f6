import asyncio
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from mlrules_mcp.training import process
from mlrules_mcp.training.errors import TrainingError
from mlrules_mcp.training.process import LOG_BYTES, started

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="watches processes through a named pipe")

# Opens the named pipe, and so does the child that it starts: the pipe's end is read when both are gone.
HOLD = """
import os, signal, subprocess, sys
held = os.open(sys.argv[1], os.O_WRONLY)
child = [sys.executable, "-S", "-c", "import signal; signal.pause()"]
child = subprocess.Popen(child, pass_fds=[held], start_new_session=LEAVES_GROUP)
"""
READY = 'print("ready", flush=True)\n'
WAIT = "signal.pause()\n"


class Holders:
    """A named pipe that processes hold open for as long as they live."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "held"
        os.mkfifo(self.path)
        self.descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)

    def command(self, script: str, leaves_group: bool = False) -> list[str]:
        script = script.replace("LEAVES_GROUP", str(leaves_group))
        return [sys.executable, "-S", "-c", script, str(self.path)]

    def wait(self, seconds: float = 20) -> bool:
        """Whether, within these seconds, somebody wrote to the pipe or the last one let go of it."""
        readable, _, _ = select.select([self.descriptor], [], [], seconds)
        return bool(readable)


@pytest.fixture
def holders(tmp_path):
    holders = Holders(tmp_path)
    yield holders
    os.close(holders.descriptor)


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 30))


def start(command, folder):
    return started(command, folder=folder, environment=dict(os.environ))


def test_lines_arrive_and_the_end_is_told(tmp_path):
    async def read():
        async with start([sys.executable, "-S", "-c", "print('one'); print('two', end='')"], tmp_path) as worker:
            return await worker.lines.get(), await worker.lines.get(), worker.exit_code

    assert run(read()) == (b"one", None, 0)


def test_the_end_of_the_block_ends_worker_and_children(holders, tmp_path):
    async def leave_early():
        async with start(holders.command(HOLD + READY + WAIT), tmp_path) as worker:
            assert await worker.lines.get() == b"ready"
            assert not holders.wait(0)

    run(leave_early())
    assert holders.wait()


def test_cancellation_ends_worker_and_children(holders, tmp_path):
    async def cancel():
        ready = asyncio.Event()
        workers = []

        async def work():
            async with start(holders.command(HOLD + READY + WAIT), tmp_path) as worker:
                workers.append(worker)
                await worker.lines.get()
                ready.set()
                await worker.lines.get()

        task = asyncio.create_task(work())
        await ready.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return workers[0].exit_code

    assert run(cancel()) == -signal.SIGTERM
    assert holders.wait()


def test_a_cancelled_anyio_scope_ends_worker_and_children(holders, tmp_path):
    async def cancel():
        with anyio.CancelScope() as scope:
            async with start(holders.command(HOLD + READY + WAIT), tmp_path) as worker:
                await worker.lines.get()
                scope.cancel()
                await worker.lines.get()
        return worker.exit_code

    assert run(cancel()) == -signal.SIGTERM
    assert holders.wait()


def test_children_end_with_a_worker_that_ends_by_itself(holders, tmp_path):
    async def read_to_the_end():
        async with start(holders.command(HOLD), tmp_path) as worker:
            assert await worker.lines.get() is None
            return worker.exit_code

    assert run(read_to_the_end()) == 0
    assert holders.wait()


def test_a_child_that_left_the_group_does_not_hold_the_answer_up(holders, tmp_path):
    async def read_to_the_end():
        async with start(holders.command(HOLD + "print(child.pid)", leaves_group=True), tmp_path) as worker:
            pid = int(await worker.lines.get())
            try:
                async with asyncio.timeout(10):
                    return await worker.lines.get()
            finally:
                os.kill(pid, signal.SIGKILL)

    assert run(read_to_the_end()) is None


def test_a_long_log_is_kept_to_its_end(tmp_path):
    script = "import sys; sys.stderr.write('x' * 500_000 + 'the end')"

    async def read():
        async with start([sys.executable, "-S", "-c", script], tmp_path) as worker:
            await worker.lines.get()
            return bytes(worker.log)

    log = run(read())
    assert len(log) == LOG_BYTES
    assert log.endswith(b"xthe end")


def test_nothing_can_be_read_from_stdin(tmp_path):
    async def read():
        script = "import sys; print(repr(sys.stdin.read()))"
        async with start([sys.executable, "-S", "-c", script], tmp_path) as worker:
            return await worker.lines.get()

    assert run(read()) == b"''"


def test_a_program_that_is_not_there_is_a_clear_error(tmp_path):
    async def fail():
        async with start([str(tmp_path / "no-such-program")], tmp_path):
            pass

    with pytest.raises(TrainingError, match="cannot be started") as caught:
        run(fail())
    assert caught.value.reason == "worker-died"


def test_the_real_worker_ends_with_its_children_when_its_parent_is_killed(holders, tmp_path):
    stuck = HOLD.replace("LEAVES_GROUP", "False").replace("sys.argv[1]", repr(str(holders.path)))
    (tmp_path / "torch.py").write_text(stuck + "os.write(held, b'r')\n" + WAIT, encoding="utf-8")
    parent = f"""
import asyncio, os
from pathlib import Path
from mlrules_mcp.training.process import started
from mlrules_mcp.training.run import WORKER

async def run():
    environment = dict(os.environ) | {{"PYTHONPATH": os.pathsep.join([{str(tmp_path)!r}, *PATHS])}}
    async with started(WORKER, folder=Path({str(tmp_path)!r}), environment=environment) as worker:
        while await worker.lines.get():
            pass

asyncio.run(run())
"""
    parent = parent.replace("PATHS", repr([path for path in sys.path if path]))
    with subprocess.Popen([sys.executable, "-c", parent]) as process:
        assert holders.wait()
        assert os.read(holders.descriptor, 1) == b"r"
        assert not holders.wait(0)
        process.kill()
    assert holders.wait()


def test_a_worker_that_does_not_end_when_asked_to_is_killed_with_its_children(holders, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "GRACE", 0.05)
    deaf = HOLD.replace("child = subprocess", "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nchild = subprocess")

    async def leave_early():
        async with start(holders.command(deaf + READY + WAIT), tmp_path) as worker:
            await worker.lines.get()
        return worker.exit_code

    assert run(leave_early()) == -signal.SIGKILL
    assert holders.wait()
