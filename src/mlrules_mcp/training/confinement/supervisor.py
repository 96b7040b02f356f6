"""Watches over a confined process from outside: its memory, its children, its end."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import NoReturn

from mlrules_mcp.training.confinement import namespaces

INTERVAL = 0.03
# How long processes may take to be gone once they were killed, in seconds.
PATIENCE = 3.0
Report = Callable[[str, str], None]


class _Ended(BaseException):
    """Somebody asked for the end."""


def fork_supervised(
    *, own_processes: bool, channel: int, memory: int, processes: int, report: Report
) -> None:  # pragma: no cover - forks
    """Fork: return in the child, and stay behind as its supervisor, which ends as the child does.

    All that the child started ends with it, whatever session it moved to: it ends when the child does, when this
    process gets SIGTERM, when nobody reads the channel any more, or when a limit is passed.

    Args:
        own_processes: `namespaces.unshare` has worked, so that the child is in a namespace of processes.
        channel: a descriptor whose reader has to be there.
        memory: the most bytes that the child and its descendants may hold together.
        processes: how many of them there may be.
        report: told a reason of `errors.Reason` and a message where a limit was passed, once all of them are gone.
    """
    namespaces.become_subreaper()
    signal.signal(signal.SIGTERM, _end)
    with suppress(OSError):  # where it may: thousands of processes leave it no time to end them otherwise
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    child = os.fork()
    if child:
        _supervise(child, channel, memory, processes, report)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.setsid()  # a session is a group of its own for the scheduler, too
    namespaces.end_with_parent(signal.SIGKILL)
    if not own_processes:
        return
    # This one is process 1 of the namespace: the kernel ends all others with it. It ignores most signals, so that
    # the user's code runs in its child.
    worker = os.fork()
    if worker:
        _be_first_process(worker)
    namespaces.end_with_parent(signal.SIGKILL)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise _Ended


def _be_first_process(worker: int) -> NoReturn:
    while True:
        pid, status = os.wait()
        if pid == worker:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _supervise(child: int, channel: int, memory: int, processes: int, report: Report) -> NoReturn:
    code, passed = 1, None
    try:
        code, passed = _watch(child, channel, memory, processes)
    except _Ended:
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _kill_all()
    if passed is not None:
        with suppress(OSError):
            report(*passed)
    if code > 128:  # the first process of the namespace says so that a signal ended the worker
        code = 128 - code
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code not in {signal.SIGKILL, signal.SIGSTOP} else None
        os.kill(os.getpid(), -code)
    os._exit(max(code, 0))


def _watch(child: int, channel: int, memory: int, processes: int) -> tuple[int, tuple[str, str] | None]:
    """Wait for the child's end: its exit code, and the limit that was passed, if one was."""
    before = 0
    poll = select.poll()
    poll.register(channel, 0)  # no event is asked for: an error is reported all the same
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status), None
        running = list(islice(descendants(os.getpid()), processes + 1))  # there may be thousands
        if len(running) > processes:
            return 0, ("limit", f"The module started more than {processes} processes and was ended.")
        # What says how much is shared waits for processes that fork, and those of a fork bomb wait for each other.
        settled, before = len(running) <= before, len(running)
        if settled and sum(map(_held, running)) > memory and sum(map(_proportional, running)) > memory:
            message = f"Training took more than its memory limit of {memory / 2**20:.0f} MiB and was ended."
            return 0, ("out-of-memory", f"{message} Raise the limit, or pass a smaller model or batch.")
        if poll.poll(INTERVAL * 1000):
            return 0, None


def _kill_all() -> None:
    """End every descendant and wait until none is left."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for pid in descendants(os.getpid()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.005)


def descendants(pid: int) -> Iterator[int]:
    """The processes that a process started, and those that they did, as far as /proc tells."""
    found = _children(pid)
    while found:
        child = found.pop(0)
        found += _children(child)
        yield child


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


def _held(pid: int) -> int:
    """Bytes of its own that a process holds in memory; what it shares with its parent since a fork counts too."""
    return _sum_of(f"/proc/{pid}/status", ("RssAnon:", "RssShmem:"))


def _proportional(pid: int) -> int:
    """Bytes that a process holds in memory, where shared ones count in part."""
    return _sum_of(f"/proc/{pid}/smaps_rollup", ("Pss_Anon:", "Pss_Shmem:"))


def _sum_of(path: str, names: tuple[str, ...]) -> int:
    with suppress(OSError, ValueError):
        lines = Path(path).read_text(encoding="ascii", errors="replace").splitlines()
        return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(names))
    return 0
