"""Faults under load: no wrong answer, no accepted call lost, and how long the service takes to be itself again.

    python benchmarks/http/faults.py [--seconds 10]

Workers are killed amid every tenth call; the disk is full; clients dawdle or stop half way; calls are cut off;
a rule file is broken and mended.
Exits with 1 where a call was lost or answered wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import uvloop
from common import BAD, ERAS, Connection, Service, call, descriptors, family, listening, right, service

# Some tenths of a second of work.
LONG = "import torch\n" + "x = torch.load('model.pt')\n" * 6000
_HALVES = 200
RULE = '@pytorch_rules [{"id": "gradient_management", "enabled": ENABLED}]\n'
# What a rule file holds by turns, whether code that breaks the rule gets a finding then, and answers a warning.
_EDITS = (
    (RULE.replace("ENABLED", "false"), False, False),
    ("@pytorch_rules [{", False, True),
    (RULE.replace("ENABLED", "true"), True, False),
    ("@pytorch_rules [{", True, True),
)


class Client:
    """Asks again and again, and keeps count."""

    def __init__(self, target: Service) -> None:
        self.answers = self.wrong = 0
        self.longest = 0.0
        self._target = target

    async def ask(self, request: bytes, connection: Connection, expected: str = "no-grad-not-called") -> None:
        """One call."""
        start = time.perf_counter()
        status, body = await connection.ask(request)
        self.longest = max(self.longest, time.perf_counter() - start)
        self.answers += 1
        if not right(status, body, expected):
            self.wrong += 1
            print(f"wrong: {status} {body[:300]!r}")

    async def ask_until(self, end: float, before: Callable[[], Awaitable[None]] | None = None) -> None:
        """Ordinary calls of both eras until a time."""
        connection = Connection(self._target.port)
        for era in itertools.cycle(ERAS):
            if time.perf_counter() > end:
                break
            if before is not None:
                await before()
            await self.ask(call(era, "analyze_code", {"code": BAD}, self._target.port), connection)
        connection.close()

    def __str__(self) -> str:
        return f"{self.answers} answers, {self.wrong} wrong, the longest took {self.longest:.2f} s"


def workers(target: Service) -> list[int]:
    """The processes that analyse: children of the one they are forked from."""
    return [
        process
        for child in family(target.process.pid)[1:]
        if "forkserver" in Path(f"/proc/{child}/cmdline").read_text("utf-8", "replace")
        for process in family(child)[1:]
    ]


async def killed_workers(target: Service, seconds: float) -> bool:
    """A worker is killed amid every tenth call."""
    client, kills, calls = Client(target), 0, itertools.count(1)
    rng = random.Random(0)

    async def kill_sometimes() -> None:
        nonlocal kills
        if next(calls) % 10 == 0:
            for process in rng.sample(present, 1) if (present := workers(target)) else []:
                with suppress(ProcessLookupError):
                    asyncio.get_running_loop().call_later(rng.random() / 500, _kill, process)
                    kills += 1

    await asyncio.gather(*(client.ask_until(time.perf_counter() + seconds, kill_sometimes) for _ in range(8)))
    start = time.perf_counter()
    for process in workers(target):
        _kill(process)
    connection = Connection(target.port)
    await client.ask(call(ERAS[1], "analyze_code", {"code": BAD}, target.port), connection)
    connection.close()
    print(f"workers killed: {kills}; {client}; all killed at once: an answer after {time.perf_counter() - start:.2f} s")
    return client.wrong == 0 and kills > 0


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


async def cut_calls(target: Service, seconds: float) -> bool:
    """Connections are cut amid long calls, as by a proxy or a client that gives up; others are answered meanwhile."""
    client, cuts = Client(target), 0
    end = time.perf_counter() + seconds

    async def cut() -> None:
        nonlocal cuts
        for era in itertools.cycle(ERAS):
            if time.perf_counter() > end:
                break
            _, writer = await asyncio.open_connection("127.0.0.1", target.port)
            writer.write(call(era, "analyze_code", {"code": LONG}, target.port))
            await asyncio.sleep(0.05)
            writer.transport.abort()
            cuts += 1

    await asyncio.gather(cut(), client.ask_until(end))
    connection = Connection(target.port)
    start = time.perf_counter()
    await client.ask(call(ERAS[0], "analyze_code", {"code": BAD}, target.port), connection)
    connection.close()
    print(f"calls cut: {cuts}; {client}; the next answer took {time.perf_counter() - start:.3f} s")
    return client.wrong == 0


async def slow_clients(target: Service, seconds: float) -> bool:
    """Clients stop in the middle of a head or of a body; others are answered, and the service gets rid of them."""
    client, before = Client(target), descriptors(target.process.pid)
    whole = call(ERAS[0], "analyze_code", {"code": BAD}, target.port)
    held = []
    for number in range(_HALVES):
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
        writer.write(whole[: (0, 20, whole.index(b"\r\n\r\n") - 5, len(whole) - 5)[number % 4]])
        held.append((reader, writer))
    most = descriptors(target.process.pid)
    start = time.perf_counter()
    await client.ask_until(start + seconds)
    for reader, _ in held:
        with suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 60)
    rid = time.perf_counter() - start
    for _, writer in held:
        writer.close()
    await asyncio.sleep(0.5)
    after = descriptors(target.process.pid)
    print(
        f"slow clients: {_HALVES}, gone after {rid:.0f} s; {client}; descriptors {before}, at most {most}, then {after}"
    )
    return client.wrong == 0 and after <= before + 2


async def edited_rules(target: Service, seconds: float, file: Path) -> bool:
    """A rule file is broken, mended and changed under load: answers go by its last good form and say so."""
    client, ends = Client(target), asyncio.Event()
    request = call(ERAS[1], "analyze_code", {"code": BAD}, target.port)

    async def load() -> None:
        connection = Connection(target.port)
        while not ends.is_set():
            await client.ask(request, connection, '"content"')
        connection.close()

    async def edit() -> list[float]:
        took = []
        for number in range(max(4, int(seconds / 2))):
            text, finds, warns = _EDITS[number % len(_EDITS)]
            file.write_text(text, encoding="utf-8")
            start = time.perf_counter()
            connection = Connection(target.port)
            while True:
                body = (await connection.ask(request))[1]
                if (b"no-grad-not-called" in body, b"Warning: " in body) == (finds, warns):
                    break
                if time.perf_counter() - start > 30:
                    client.wrong += 1
                    print(f"an edit was not taken over: {text}")
                    break
                await asyncio.sleep(0.01)
            connection.close()
            took.append(time.perf_counter() - start)
        ends.set()
        return took

    took, *_ = await asyncio.gather(edit(), load(), load())
    print(f"rules edited: {len(took)} times, in force after {max(took):.2f} s at most; {client}")
    return client.wrong == 0


async def full_disk(target: Service, seconds: float) -> bool:
    """The log cannot grow any more."""
    client, start = Client(target), target.log.stat().st_size
    await asyncio.gather(*(client.ask_until(time.perf_counter() + seconds) for _ in range(4)))
    print(f"disk full: log of {start} bytes grew to {target.log.stat().st_size} and no further; {client}")
    return client.wrong == 0


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    good = True
    for fault in (killed_workers, cut_calls, slow_clients):
        with service("--workers", "2", "--queue", "256") as target:
            good &= uvloop.run(fault(target, options.seconds))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "house.md"
        file.write_text(RULE.replace("ENABLED", "true"), encoding="utf-8")
        with service("--workers", "2", "--queue", "256", "--manifest", str(file)) as target:
            good &= uvloop.run(edited_rules(target, options.seconds, file))
    limited = f"ulimit -f 16; exec {sys.executable} -m mlrules_mcp serve --transport http --port 0 --rate-limit 0"
    with listening(["bash", "-c", limited]) as target:
        good &= uvloop.run(full_disk(target, options.seconds))
    sys.exit(int(not good))


if __name__ == "__main__":
    main()
