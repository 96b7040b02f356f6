"""A worker process that cannot outlive its use: its lines of output, the end of its log, the end of its tree."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

from mlrules_mcp.training.errors import TrainingError

LOG_BYTES = 16 * 1024
# How long a grandchild that left the process group may keep the pipes open after the worker's end, in seconds.
PIPE_GRACE = 1.0
# How long the worker may take to end what it started when it is asked to end, in seconds.
GRACE = 4.0


class WorkerProcess(asyncio.SubprocessProtocol):
    """One worker and all that it starts; made by `started`.

    asyncio's streams would not do: their `wait()` also waits for the pipes (Python 3.11), which a grandchild
    may hold open for as long as it likes.

    Attributes:
        lines: what the worker writes to stdout, a line at a time, then None.
        exit_code: its exit code, or a signal's number negated; None while it runs.
        log: the last of what it and its children write to stderr, at most `LOG_BYTES`.
    """

    def __init__(self) -> None:
        self.lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.exit_code: int | None = None
        self.log = bytearray()
        self._transport: asyncio.SubprocessTransport
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unfinished_line = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The process has started."""
        self._transport = cast(asyncio.SubprocessTransport, transport)
        self._pid = self._transport.get_pid()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """The process has written."""
        if fd == 1:
            *lines, self._unfinished_line = (self._unfinished_line + data).split(b"\n")
            for line in lines:
                self.lines.put_nowait(line)
        else:
            self.log += data
            del self.log[:-LOG_BYTES]

    def process_exited(self) -> None:
        """The process has ended; what it started ends with it."""
        self.exit_code = self._transport.get_returncode()
        self.kill()
        asyncio.get_running_loop().call_later(PIPE_GRACE, self._transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """The process has ended and its pipes are closed."""
        self._transport.close()
        self.lines.put_nowait(None)
        self._closed.set_result(None)

    def kill(self) -> None:
        """End the process and all that it started, at once."""
        if sys.platform == "win32":
            quiet: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
            subprocess.run(["taskkill", "/F", "/T", "/PID", str(self._pid)], check=False, **quiet)
        else:
            with suppress(ProcessLookupError, PermissionError):  # macOS refuses where only zombies are left
                os.killpg(self._pid, signal.SIGKILL)

    def _kill_if_it_runs(self) -> None:
        if self.exit_code is None:
            self.kill()

    def terminate(self) -> None:
        """Ask the process to end, and it alone: a supervisor ends what it supervises, whatever group that is in."""
        if sys.platform == "win32":
            self.kill()
        else:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self._pid, signal.SIGTERM)

    async def end(self) -> None:
        """End the tree and wait until it is gone, however often the waiting itself is cancelled."""
        if self.exit_code is None:
            self.terminate()
            asyncio.get_running_loop().call_later(GRACE, self._kill_if_it_runs)
        cancelled = None
        while not self._closed.done():
            try:
                await asyncio.wait({self._closed})
            except asyncio.CancelledError as error:  # anyio cancels every await until the task has ended
                cancelled = error
        if cancelled is not None:
            raise cancelled


@asynccontextmanager
async def started(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str]
) -> AsyncIterator[WorkerProcess]:
    """Run a command in a process group of its own, with no stdin; however the block ends, no process is left.

    Args:
        command: the program and its arguments.
        folder: where it runs.
        environment: all of its variables.

    Raises:
        TrainingError: the program cannot be started.
    """
    own_group: dict[str, Any]
    if sys.platform == "win32":
        own_group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    else:
        own_group = {"start_new_session": True}
    loop = asyncio.get_running_loop()
    try:
        _, worker = await loop.subprocess_exec(
            WorkerProcess, *command, stdin=subprocess.DEVNULL, cwd=folder, env=environment, **own_group
        )
    except OSError as error:
        raise TrainingError("worker-died", f"The training worker cannot be started: {error}.") from error
    try:
        yield worker
    finally:
        await worker.end()
