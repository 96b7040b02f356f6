"""A pool of worker processes that outlives whatever its workers are given.

The executors of the standard library and of pebble share one pipe under a lock among their workers: one that is
killed while it holds the lock (by the kernel, when memory runs out) stops them all. Here each worker has a socket
of its own, is killed alone, and its successor is forked from a process that has everything loaded.
"""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import socket
import sys
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any, TypeAlias, cast

from mlrules_mcp.server.http import worker as worker_module
from mlrules_mcp.server.http.worker import LENGTH, WorkerSpec

logger = logging.getLogger(__name__)

OnProgress: TypeAlias = Callable[[float, float | None, str | None], Awaitable[None]]

_ATTEMPTS = 3
_START_LIMIT = 60.0
_PAUSE = 1.0


class PoolError(Exception):
    """A call got no answer; the message says why, in words for who sent it.

    Attributes:
        reason: `time`, `memory`, `died` or `failed`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class _WorkerLost(Exception):
    """The worker's process has ended."""


class Worker(asyncio.Protocol):
    """The server's end of one worker.

    Attributes:
        calling: it was sent a call that it has not answered yet.
        spent: it is to get no further call.
        lost: its process has ended.
    """

    def __init__(self, process: BaseProcess, spec: WorkerSpec, on_lost: Callable[[Worker], None]) -> None:
        self.process = process
        self.spec = spec
        self.calling = self.spent = self.lost = False
        self._on_lost = on_lost
        self._messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._buffer = bytearray()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is in the loop's care."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Some of the worker's messages came."""
        buffer = self._buffer
        buffer += data
        while len(buffer) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(buffer)[0]
            if len(buffer) < end:
                return
            self._messages.put_nowait(json.loads(bytes(buffer[LENGTH.size : end])))
            del buffer[:end]

    def connection_lost(self, exc: Exception | None) -> None:
        """The process has ended, or was told to."""
        self.lost = True
        self._messages.put_nowait(None)
        self._on_lost(self)

    async def message(self) -> dict[str, Any]:
        """The worker's next message; raises _WorkerLost when there will be none."""
        message = await self._messages.get()
        if message is None:
            raise _WorkerLost
        return message

    def send(self, data: bytes) -> None:
        """Send one message."""
        self._transport.write(LENGTH.pack(len(data)) + data)

    def kill(self) -> None:
        """End the process at once, whatever it does."""
        if not self.lost:
            self.process.kill()
            self._transport.abort()

    def retire(self) -> None:
        """Let the process end by itself."""
        self._transport.close()


class WorkerPool:
    """Workers that run tools on what clients send, each call in one of them, with a limit of time and memory.

    Attributes:
        spec: what workers start with.
        ends: how often a worker ended, by why: `time`, `memory`, `died`, `cancelled`, `grown`, `renewed`.
    """

    def __init__(self, spec: WorkerSpec, *, size: int = 2, time_limit: float = 30.0) -> None:
        self.size = size
        self.ends: Counter[str] = Counter()
        self.spec = spec
        self._time_limit = time_limit
        self._workers: set[Worker] = set()
        self._idle: list[Worker] = []
        self._waiting: deque[asyncio.Future[Worker]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting = 0
        self._open = False
        self._processes = _context()

    @property
    def up(self) -> int:
        """How many workers are there."""
        return len(self._workers)

    @property
    def busy(self) -> int:
        """How many of them have a call."""
        return sum(worker.calling for worker in self._workers)

    @property
    def waiting(self) -> int:
        """How many calls wait for a worker."""
        return len(self._waiting)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start all workers, and end them with the block."""
        self._open = True
        try:
            self._starting = self.size
            await asyncio.gather(*(self._start() for _ in range(self.size)))
            yield
        finally:
            self._open = False
            for worker in list(self._workers):
                worker.kill()
            await asyncio.sleep(0)  # lets connection_lost see to their processes
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def renew(self, spec: WorkerSpec) -> None:
        """Answer later calls by what a new specification says; calls that are under way end by the old one."""
        self.spec = spec
        for worker in self._workers:
            self.ends["renewed"] += 1
            worker.spent = True
        for worker in self._idle:
            worker.retire()
        self._idle.clear()

    async def call(
        self,
        tool: str,
        arguments: dict[str, Any],
        progress: OnProgress | None = None,
        warning: str | None = None,
    ) -> dict[str, Any]:
        """The answer to one call, which has one of `result`, `refused` and `error` as `worker` describes.

        A call whose worker is lost by no doing of ours is given to another one: the kernel may have killed it
        for what others took. Cancelling kills the worker, as there is no other way to stop what it does.

        Args:
            progress: awaited with each step that the tool reports.
            warning: what the answer has to say besides.

        Raises:
            PoolError: there is no answer.
        """
        data = json.dumps({"tool": tool, "arguments": arguments, "warning": warning}, separators=(",", ":")).encode()
        for _ in range(_ATTEMPTS):
            worker = await self._acquire()
            try:
                async with asyncio.timeout(self._time_limit):
                    return await self._exchange(worker, data, progress)
            except _WorkerLost:
                self.ends["died"] += 1
            except TimeoutError:
                self.ends["time"] += 1
                raise PoolError("time", f"The call took more than {self._time_limit:g} s and was ended.") from None
            except asyncio.CancelledError:
                self.ends["cancelled"] += 1
                raise
            finally:
                self._release(worker)
        raise PoolError("died", "What analysed this died of it, again and again. Pass less, or leave this file out.")

    async def _exchange(self, worker: Worker, data: bytes, progress: OnProgress | None) -> dict[str, Any]:
        worker.calling = True
        worker.send(data)
        while "progress" in (message := await worker.message()):
            if progress is not None:
                await progress(*message["progress"])
        worker.calling = False
        if message.pop("last"):
            self.ends["grown"] += 1
            worker.spent = True
        match message:
            case {"failed": "memory"}:
                self.ends["memory"] += 1
                worker.spent = True
                raise PoolError("memory", "The call needed more memory than a call may take, and was ended.")
            case {"failed": str(kind)}:
                raise PoolError("failed", f"The analysis failed with a {kind}. Please report this.")
        return message

    async def _acquire(self) -> Worker:
        if self._idle:
            return self._idle.pop()
        future: asyncio.Future[Worker] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():  # it was given a worker in the same moment
                self._release(future.result())
            with suppress(ValueError):
                self._waiting.remove(future)
            raise

    def _release(self, worker: Worker) -> None:
        if worker.calling:
            worker.calling = False
            worker.kill()
        elif worker.spent:
            worker.retire()
        elif not worker.lost:
            while self._waiting:
                if not (future := self._waiting.popleft()).done():
                    future.set_result(worker)
                    return
            self._idle.append(worker)

    def _on_lost(self, worker: Worker) -> None:
        self._workers.discard(worker)
        if worker in self._idle:
            self.ends["died"] += 1
            self._idle.remove(worker)
        self._spawn(asyncio.to_thread(_bury, worker.process))
        if self._open and len(self._workers) + self._starting < self.size:
            self._starting += 1
            self._spawn(self._replace())

    async def _replace(self) -> None:
        while self._open:
            try:
                await self._start()
                return
            except Exception as error:
                logger.error("A worker could not be started: %s", type(error).__name__)
                self._starting += 1
                await asyncio.sleep(_PAUSE)

    async def _start(self) -> None:
        spec = self.spec
        ours, theirs = socket.socketpair()
        process = self._processes.Process(target=worker_module.main, args=(theirs, spec), daemon=True)
        worker = Worker(process, spec, self._on_lost)
        try:
            with theirs:
                await asyncio.to_thread(process.start)
            ours.setblocking(False)
            await asyncio.get_running_loop().create_connection(lambda: worker, sock=ours)
            async with asyncio.timeout(_START_LIMIT):
                await worker.message()
        except BaseException:
            ours.close()
            if process.pid is not None:
                process.kill()
            raise
        finally:
            self._starting -= 1
        self._workers.add(worker)
        worker.spent = spec is not self.spec
        self._release(worker)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _context() -> SpawnContext | ForkServerContext:
    if sys.platform == "win32":  # it cannot fork: there each worker loads everything by itself
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "mlrules_mcp.server.http.warm"])
    return context


def _bury(process: BaseProcess) -> None:
    process.join(5)
    if process.exitcode is None:
        process.kill()
        process.join(5)
    with suppress(ValueError):
        process.close()
