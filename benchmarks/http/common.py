"""What the trials of the HTTP service share: a running service, a plain client, and figures of processes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ERAS = ("2025-11-25", "2026-07-28")
BAD = "import torch\n\nwith torch.no_grad:\n    pass\n"
_META = "io.modelcontextprotocol/"


@dataclass(frozen=True, slots=True)
class Service:
    """A service in a process of its own."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"http://127.0.0.1:{self.port}/mcp"


@contextmanager
def service(*flags: str) -> Iterator[Service]:
    """Run `mlrules-mcp serve --transport http` on a free port, without a limit of rate."""
    command = [sys.executable, "-m", "mlrules_mcp", "serve", "--transport", "http", "--port", "0", "--rate-limit", "0"]
    with listening([*command, *flags]) as running:
        yield running


@contextmanager
def listening(command: Sequence[str]) -> Iterator[Service]:
    """Run a command that logs the address that it listens on."""
    with tempfile.TemporaryDirectory(prefix="mlrules-http-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as stream, subprocess.Popen(command, stderr=stream) as process:
            try:
                while not (match := re.search(r"running on http://127\.0\.0\.1:(\d+)", log.read_text("utf-8"))):
                    if process.poll() is not None:
                        sys.exit(f"The service did not start:\n{log.read_text('utf-8')}")
                    os.sched_yield()
                yield Service(process, int(match[1]), log)
            finally:
                process.kill()


def message(era: str, method: str, params: dict[str, Any], port: int = 0, **headers: str) -> bytes:
    """A whole request of HTTP."""
    own = {"mcp-protocol-version": era}
    if era == ERAS[1]:
        about = {"protocolVersion": era, "clientInfo": {"name": "trial", "version": "1"}, "clientCapabilities": {}}
        params = {**params, "_meta": {f"{_META}{name}": value for name, value in about.items()}}
        own |= {"mcp-method": method} | ({"mcp-name": params["name"]} if "name" in params else {})
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    return raw(body, port, **(own | headers))


def call(era: str, tool: str, arguments: dict[str, Any], port: int = 0, **headers: str) -> bytes:
    """A whole request of HTTP that calls a tool."""
    return message(era, "tools/call", {"name": tool, "arguments": arguments}, port, **headers)


def raw(body: bytes, port: int = 0, **headers: str) -> bytes:
    """A POST of some bytes; underscores in names of headers stand for hyphens."""
    fields = {
        "host": f"127.0.0.1:{port}",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "content-length": str(len(body)),
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode("latin-1", "replace") + body


class Connection:
    """A connection that is kept open; made anew where the service has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """The status and the body of the answer to a request."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 24)
        reader, writer = self._streams
        try:
            writer.write(request)
            status, head, body = await response(reader)
        except BaseException:
            self.close()
            raise
        if b"connection: close" in head:
            self.close()
        return status, body

    def close(self) -> None:
        """End the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def response(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    """Read one response: its status, its head in lower case, its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = re.search(rb"content-length: (\d+)", head)
    if length:
        return int(head[9:12]), head, await reader.readexactly(int(length[1]))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16) if b"chunked" in head else 0:
        body += (await reader.readexactly(size + 2))[:-2]
    if b"chunked" in head:
        await reader.readexactly(2)
    return int(head[9:12]), head, body


def right(status: int, body: bytes, expected: str = "no-grad-not-called") -> bool:
    """Whether an answer is that of a tool and holds what is expected."""
    return status == 200 and b'"isError":true' not in body and expected.encode() in body


def family(process: int) -> list[int]:
    """A process and all that it started, by their numbers."""
    found = [process]
    for tasks in Path(f"/proc/{process}/task").glob("*/children"):
        for child in tasks.read_text("ascii").split():
            found += family(int(child))
    return found


def seconds_of_cpu(processes: Sequence[int]) -> float:
    """The time of the processor that some processes took."""
    ticks = 0
    for process in processes:
        try:
            fields = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(processes: Sequence[int]) -> float:
    """MiB that some processes have to themselves or share in part (PSS)."""
    total = 0
    for process in processes:
        try:
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text("ascii")
        except OSError:
            continue
        total += int(re.findall(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[0])
    return total / 1024


def descriptors(process: int) -> int:
    """How many files a process has open."""
    return len([*Path(f"/proc/{process}/fd").iterdir()])


def percentile(values: Sequence[float], share: float) -> float:
    """A percentile of some sorted values."""
    return values[min(len(values) - 1, int(len(values) * share))]
