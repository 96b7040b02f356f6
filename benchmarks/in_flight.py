"""Many calls in flight on one stdio server, some of them cancelled: are all others answered right, is memory flat?

Run: python benchmarks/in_flight.py [CALLS [ROUNDS]], by default 200 calls in each of 30 rounds, every tenth cancelled.
Exit 1 when an answer is missing or wrong, or memory grows by more than 5 % in the second half of the rounds.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters

GROWTH = 1.05
# What is cancelled is long enough to be at work, or to wait for its turn, when it is.
LONG = "import torch\n" + "def f(x):\n    return torch.relu(x) + torch.sigmoid(x)\n\n\n" * 2_000


def main() -> int:
    """Print a row for each round."""
    calls, rounds = (int(argument) for argument in (*sys.argv[1:], *("200", "30")[len(sys.argv) - 1 :]))
    return anyio.run(_rounds, calls, rounds)


async def _rounds(calls: int, rounds: int) -> int:
    server = StdioServerParameters(command=sys.executable, args=["-m", "mlrules_mcp"], env=dict(os.environ))
    memory: list[float] = []
    wrong = 0
    print(f"{'round':>5} {'right':>6} {'wrong':>6} {'cancelled':>10} {'calls/s':>8} {'server memory':>14}")
    async with Client(server) as client:
        for number in range(1, rounds + 1):
            began = time.perf_counter()
            outcomes = await _round(client, calls)
            seconds = time.perf_counter() - began
            wrong += outcomes["wrong"]
            memory.append(_children_mib())
            print(
                f"{number:>5} {outcomes['right']:>6} {outcomes['wrong']:>6} {outcomes['cancelled']:>10} "
                f"{calls / seconds:>8.0f} {f'{memory[-1]:.0f} MiB' if memory[-1] else 'unknown':>14}",
                flush=True,
            )
    half = memory[rounds // 2]
    grown = memory[-1] > half * GROWTH
    if grown:
        print(f"Memory grew from {half:.0f} to {memory[-1]:.0f} MiB in the second half.", file=sys.stderr)
    return int(wrong > 0 or grown)


async def _round(client: Client, calls: int) -> dict[str, int]:
    """How many of the calls were answered right, answered wrong, and cancelled."""
    outcomes = {"right": 0, "wrong": 0, "cancelled": 0}

    async def call(number: int) -> None:
        if number % 10 == 0:
            with anyio.move_on_after(0.05) as scope:
                await client.call_tool("analyze_code", {"code": LONG, "filename": f"long_{number}.py"})
            outcomes["cancelled" if scope.cancelled_caught else "right"] += 1
            return
        mistakes = number % 7
        code = "import torch\n" + "with torch.no_grad:\n    pass\n" * mistakes
        result = await client.call_tool("analyze_code", {"code": code, "filename": f"file_{number}.py"})
        outcomes["right" if _is_right(result.structured_content, number, mistakes) else "wrong"] += 1

    async with anyio.create_task_group() as group:
        for number in range(calls):
            group.start_soon(call, number)
    return outcomes


def _is_right(data: dict[str, Any] | None, number: int, mistakes: int) -> bool:
    """Whether the answer is the one to this very call."""
    if data is None:
        return False
    found = [
        (each["path"], each["check"], line)
        for each in data["findings"]
        for line in (each["line"], *each.get("also_at", ()))
    ]
    return found == [(f"file_{number}.py", "no-grad-not-called", 2 + 2 * place) for place in range(mistakes)]


def _children_mib() -> float:
    """The resident memory of this process's children, in MiB; 0 where the system doesn't tell."""
    own = os.getpid()
    children = Path(f"/proc/{own}/task/{own}/children")
    if not children.exists():
        return 0.0
    sizes = [
        Path(f"/proc/{child}/statm").read_text(encoding="ascii").split()[1] for child in children.read_text().split()
    ]
    return sum(map(int, sizes)) * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    sys.exit(main())
