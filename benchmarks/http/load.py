"""Load on the service, beside the bare SDK and the analysis as a function, in one run.

    python benchmarks/http/load.py FILE… [--seconds 5] [--clients 1,8,32,128] [--workers 2]

Each file is sent by so many clients at once over kept connections. `cost` is time of the processor a call, over that of
the function for the same file; `rate` is answers a second over those of the function in one process.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

import uvloop
from common import (
    ERAS,
    Connection,
    Service,
    call,
    family,
    listening,
    memory,
    percentile,
    right,
    seconds_of_cpu,
    service,
)

from mlrules_mcp.analysis.engine import analyze
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.report.data import analysis_data
from mlrules_mcp.source import SourceFile

_BARE = """
import uvicorn
from mcp.server import MCPServer
server = MCPServer("bare", log_level="WARNING")
@server.tool()
async def analyze_code(code: str, filename: str) -> str:
    return "ok"
app = server.streamable_http_app(stateless_http=True, json_response=True, max_request_body_size=1 << 24)
uvicorn.run(app, host="127.0.0.1", port=0, access_log=False)
"""


def function_alone(code: str, seconds: float) -> tuple[float, float]:
    """Milliseconds a call of the analysis in this process: by the clock, and of the processor."""
    catalogue = Catalogue()
    assert catalogue.checks

    def once() -> None:
        analysis_data(analyze(SourceFile.from_text(code, "train.py"), catalogue))

    once()
    calls, start, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds:
        once()
        calls += 1
    return (time.perf_counter() - start) / calls * 1000, (time.process_time() - cpu) / calls * 1000


async def load(target: Service, era: str, code: str, clients: int, seconds: float) -> tuple[list[float], int]:
    """The sorted times of all answers in seconds, and how many were wrong."""
    request = call(era, "analyze_code", {"code": code, "filename": "train.py"}, target.port)
    times: list[float] = []
    wrong = 0
    end = time.perf_counter() + seconds

    async def client() -> None:
        nonlocal wrong
        connection = Connection(target.port)
        while (start := time.perf_counter()) < end:
            status, body = await connection.ask(request)
            wrong += not right(status, body, '"content"')
            times.append(time.perf_counter() - start)
        connection.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return sorted(times), wrong


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--clients", default="1,8,32,128")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    clients = [int(number) for number in options.clients.split(",")]
    flags = ("--workers", str(options.workers), "--queue", "256")
    print(
        f"{'what':<22}{'lines':>6}{'clients':>8}{'answers/s':>10}{'p50 ms':>8}{'p99 ms':>8}{'cpu ms':>8}{'cost':>6}",
        end="",
    )
    print(f"{'rate':>6}{'MiB':>6}{'wrong':>6}")
    with service(*flags) as ours, listening([sys.executable, "-c", _BARE]) as bare:
        for file in options.files:
            code = file.read_text("utf-8")
            lines = code.count("\n")
            clock, cpu = function_alone(code, options.seconds)
            print(
                f"{'function, one process':<22}{lines:>6}{'–':>8}{1000 / clock:>10.0f}{clock:>8.1f}{'':>8}{cpu:>8.2f}"
                f"{1:>6.2f}{1:>6.2f}"
            )
            for name, target, era in [
                *((f"bare SDK {era}", bare, era) for era in ERAS),
                *((f"service {era}", ours, era) for era in ERAS),
            ]:
                for number in clients:
                    start = seconds_of_cpu(family(target.process.pid))
                    times, wrong = uvloop.run(load(target, era, code, number, options.seconds))
                    each = (seconds_of_cpu(family(target.process.pid)) - start) / len(times) * 1000
                    rate = len(times) / options.seconds
                    p50, p99 = (percentile(times, share) * 1000 for share in (0.5, 0.99))
                    print(
                        f"{name:<22}{lines:>6}{number:>8}{rate:>10.0f}{p50:>8.1f}{p99:>8.1f}{each:>8.2f}"
                        f"{each / cpu:>6.2f}{rate * clock / 1000:>6.2f}{memory(family(target.process.pid)):>6.0f}"
                        f"{wrong:>6}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
