"""The process that analyses: it answers one call after another over a socket, within its limits.

Messages are JSON after their length in four bytes. The server sends `{"tool", "arguments", "warning"}`; the worker
sends `{"progress": […]}` any number of times, then one of `{"result"}`, `{"refused"}` (an error that an assistant can
act on), `{"error"}` (one of the protocol) and `{"failed"}`. Nothing that comes from a worker is unpickled.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.to_thread
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.shared.exceptions import MCPError

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.manifest.model import RuleCollection
from mlrules_mcp.server.app import RulesServer, build_server

LENGTH = struct.Struct(">I")
# How far a worker's memory may have grown by a call before another takes its place, so that it stays flat.
_MOST_GROWTH = 128 * 1024 * 1024
# Others report progress out of the thread that they work in.
_QUICK = {"analyze_code", "fix_code"}
_IN_A_THREAD = anyio.to_thread.run_sync


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What a worker starts with.

    Attributes:
        rules: the rules in force; None stands for those of the shipped manifest.
        roots: the folders whose files may be read.
        memory_limit: bytes of address space that a call may take beyond what a worker starts with.
    """

    rules: RuleCollection | None = None
    roots: tuple[Path, ...] = ()
    memory_limit: int = 1024 * 1024 * 1024


def main(channel: socket.socket, spec: WorkerSpec) -> None:
    """Answer calls until the server closes the channel."""
    # What ends the server reaches its whole process group: workers end with their channel, after their last answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    silence = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):  # a warning about analysed code would print its lines into the server's log
        os.dup2(silence, descriptor)
    limit(spec.memory_limit)
    with suppress(ConnectionError):
        asyncio.run(_serve(channel, build_server(Catalogue(spec.rules), spec.roots, keep_reports=False)))


async def _serve(channel: socket.socket, server: RulesServer) -> None:
    start = peak_memory()
    send(channel, {"ready": os.getpid()})
    while (call := receive(channel)) is not None:
        server.rules.warning = call["warning"]
        # Tools hand their work to a thread so that a server stays responsive; nobody else waits for a worker.
        anyio.to_thread.run_sync = _RUN_HERE if call["tool"] in _QUICK else _IN_A_THREAD
        answer = await _answer(server, call, channel)
        send(channel, answer | {"last": peak_memory() - start > _MOST_GROWTH})


async def _run_here(function: Callable[..., Any], *args: Any, **_options: Any) -> Any:
    return function(*args)


_RUN_HERE: Any = _run_here


class _ChannelContext(Context[Any, Any]):
    """What a tool is told of its call in a worker: it can report progress, and nothing else."""

    _channel: socket.socket

    def __init__(self, server: RulesServer, channel: socket.socket) -> None:
        super().__init__(mcp_server=server)
        self._channel = channel

    async def report_progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        send(self._channel, {"progress": [progress, total, message]})


async def _answer(server: RulesServer, call: dict[str, Any], channel: socket.socket) -> dict[str, Any]:
    context = _ChannelContext(server, channel)
    try:
        result = await server.call_tool(call["tool"], call["arguments"], context)
        return {"result": result.model_dump(mode="json", by_alias=True, exclude_none=True)}
    except MCPError as error:
        return {"error": error.error.model_dump(mode="json", exclude_none=True)}
    except UnexpectedToolError as error:
        cause = error.__cause__
        return {"failed": "memory" if isinstance(cause, MemoryError) else type(cause).__name__}
    except ToolError as error:
        return {"refused": str(error)}
    except MemoryError:
        return {"failed": "memory"}
    except Exception as error:
        return {"failed": type(error).__name__}


def limit(memory: int) -> None:
    """Bound this process: its address space, and no file of a crash or of anything else."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - not on Windows

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError, ValueError):  # macOS has no /proc and does not bound address space
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        bound = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (bound, bound))


def peak_memory() -> int:
    """The most memory that this process ever had, in bytes; 0 where the system does not tell."""
    if sys.platform == "win32":
        return 0
    import resource  # noqa: PLC0415 - not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def send(channel: socket.socket, message: dict[str, Any]) -> None:
    """Write one message."""
    data = json.dumps(message, separators=(",", ":")).encode()
    channel.sendall(LENGTH.pack(len(data)) + data)


def receive(channel: socket.socket) -> dict[str, Any] | None:
    """Read one message; None at the end."""
    head = _read(channel, LENGTH.size)
    data = _read(channel, LENGTH.unpack(head)[0]) if head else None
    return None if data is None else json.loads(data)


def _read(channel: socket.socket, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        if not (chunk := channel.recv(min(size - len(data), 1 << 20))):
            return None
        data += chunk
    return bytes(data)
