"""Two replicas behind a proxy that takes them in turn, and what happens when one of them is told to end under load.

    python benchmarks/http/replicas.py [--seconds 20] [--clients 8]

Every call of both eras has to be answered right by either. Then, again and again, one replica gets SIGTERM and another
takes its place: no request may fail. Exits with 1 where one did.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections import Counter
from contextlib import ExitStack, suppress

import uvloop
from common import BAD, ERAS, Connection, Service, call, message, response, right, service


class Proxy:
    """Sends each request to the next replica by a connection of its own; to another where it is refused."""

    def __init__(self, replicas: list[int]) -> None:
        self.replicas = replicas
        self.served: Counter[int] = Counter()
        self.passed_on = 0
        self._turn = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client's connection."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                writer.write(await self._ask(head + await reader.readexactly(length)))
                await writer.drain()
        writer.close()

    async def _ask(self, request: bytes) -> bytes:
        for _ in range(4):
            self._turn += 1
            replica = self.replicas[self._turn % len(self.replicas)]
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", replica, limit=1 << 24)
                writer.write(request)
                status, _, body = await response(reader)
                writer.close()
            except (OSError, asyncio.IncompleteReadError):
                self.passed_on += 1
                continue
            if status == 503:
                self.passed_on += 1
                continue
            self.served[replica] += 1
            return b"HTTP/1.1 %d x\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)
        return b"HTTP/1.1 502 x\r\ncontent-length: 0\r\n\r\n"


async def trial(stack: ExitStack, seconds: float, clients: int) -> bool:
    """Whether all answers were right."""
    flags = ("--workers", "1", "--queue", "256", "--drain-delay", "0.5")
    replicas: list[Service] = [stack.enter_context(service(*flags)) for _ in range(2)]
    proxy = Proxy([replica.port for replica in replicas])
    server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0, limit=1 << 24)
    port = server.sockets[0].getsockname()[1]
    requests = [
        (request, expected)
        for era in ERAS
        for request, expected in (
            (message(era, "tools/list", {}, replicas[0].port), "analyze_code"),
            (call(era, "analyze_code", {"code": BAD}, replicas[0].port), "no-grad-not-called"),
            (call(era, "fix_code", {"code": BAD, "output": "code"}, replicas[0].port), "no_grad():"),
            (call(era, "list_rules", {"paths": ["a.py"]}, replicas[0].port), "gradient_management"),
        )
    ]
    answers = failed = 0

    async def client(number: int, end: float) -> None:
        nonlocal answers, failed
        connection = Connection(port)
        while time.perf_counter() < end:
            for request, expected in requests[number % 2 :] + requests[: number % 2]:
                status, body = await connection.ask(request)
                answers += 1
                if not right(status, body, expected):
                    failed += 1
                    print(f"wrong: {status} {body[:200]!r}")
        connection.close()

    await asyncio.gather(*(client(number, time.perf_counter() + seconds / 4) for number in range(clients)))
    shares = ", ".join(str(proxy.served[each]) for each in proxy.replicas)
    print(f"in turn: {answers} answers of {len(requests)} kinds in both eras, {failed} wrong; each replica's: {shares}")

    ends = 0

    async def replace(end: float) -> None:
        nonlocal ends
        while time.perf_counter() < end:
            new = await asyncio.to_thread(lambda: stack.enter_context(service(*flags)))
            old = replicas.pop(0)
            replicas.append(new)
            proxy.replicas = [replica.port for replica in replicas]
            # Half of the time the proxy learns late of it, as one does that only looks now and then.
            if ends % 2:
                proxy.replicas.append(old.port)
            old.process.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(old.process.wait)
            proxy.replicas = [replica.port for replica in replicas]
            ends += 1
            if code != 0:
                print(f"a replica ended with {code}")

    before, end = answers, time.perf_counter() + seconds * 3 / 4
    await asyncio.gather(replace(end), *(client(number, end) for number in range(clients)))
    print(f"SIGTERM {ends} times: {answers - before} answers, {failed} wrong, {proxy.passed_on} passed to the other")
    server.close()
    return failed == 0 and ends > 0 and all(proxy.served.values())


def main() -> None:
    """Run both trials."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    with ExitStack() as stack:
        good = uvloop.run(trial(stack, options.seconds, options.clients))
    sys.exit(int(not good))


if __name__ == "__main__":
    main()
