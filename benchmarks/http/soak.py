"""A soak: real files from several clients for some minutes; memory and descriptors have to stay as they are.

    python benchmarks/http/soak.py FILE… [--seconds 600] [--clients 8]

Exits with 1 where memory grew by more than a tenth after the first fifth of the time, or descriptors by any.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import time
from pathlib import Path

import uvloop
from common import ERAS, Connection, Service, call, descriptors, family, memory, right, service


async def soak(target: Service, codes: list[str], clients: int, seconds: float) -> bool:
    """Print memory and descriptors ten times; whether they stayed."""
    requests = itertools.cycle(
        call(era, tool, {"code": code, "filename": "train.py"}, target.port)
        for code in codes
        for era in ERAS
        for tool in ("analyze_code", "fix_code")
    )
    start = time.perf_counter()
    answers = wrong = 0

    async def client() -> None:
        nonlocal answers, wrong
        while time.perf_counter() - start < seconds:
            connection = Connection(target.port)  # a new one now and then: descriptors are to be given back
            for _ in range(50):
                wrong += not right(*await connection.ask(next(requests)), '"content"')
                answers += 1
                if time.perf_counter() - start > seconds:
                    break
            connection.close()

    seen: list[tuple[float, int]] = []

    async def watch() -> None:
        for step in range(1, 11):
            await asyncio.sleep(max(0.0, start + step * seconds / 10 * 0.98 - time.perf_counter()))
            processes = family(target.process.pid)
            seen.append((memory(processes), descriptors(target.process.pid)))
            print(
                f"{time.perf_counter() - start:>6.0f} s {answers:>8} answers {wrong:>4} wrong {seen[-1][0]:>7.1f} MiB "
                f"{seen[-1][1]:>4} descriptors {len(processes):>3} processes",
                flush=True,
            )

    await asyncio.gather(watch(), *(client() for _ in range(clients)))
    settled, last = seen[1:], seen[-1]
    return wrong == 0 and last[0] <= settled[0][0] * 1.1 and last[1] <= max(each[1] for each in settled[:4])


def main() -> None:
    """Run the soak."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    codes = [file.read_text("utf-8") for file in options.files]
    with service("--queue", "256") as target:
        flat = uvloop.run(soak(target, codes, options.clients, options.seconds))
    print("flat" if flat else "not flat")
    sys.exit(int(not flat))


if __name__ == "__main__":
    main()
