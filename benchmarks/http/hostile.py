"""Hostile requests: no status of 500, no word of the server's paths in answers, nor of what was sent in logs.

    python benchmarks/http/hostile.py [--requests 20000] [--seed 0]

Made by chance from kinds: broken JSON and JSON-RPC, deep nesting, wrong types, huge strings, zip-bomb-like notebooks,
path tricks, foreign Host and Origin, bad tokens, replayed and cut requests, strange headers. After each hundred, an
ordinary call has to be answered right. Prints statuses by kind; exits with 1 where something is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop
from common import BAD, ERAS, Connection, Service, call, message, raw, right, service

# In whatever is sent as code, so that it is known where it turns up.
_MARK = "zq7secret"
_NAMES = [
    "analyze_code",
    "fix_code",
    "list_rules",
    "explain_rule",
    "review_project",
    "check_training",
    "none",
    "__class__",
]
_METHODS = [
    "initialize",
    "ping",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/read",
    "prompts/get",
    "server/discover",
]
_METHODS += [
    "subscriptions/listen",
    "completion/complete",
    "notifications/cancelled",
    "logging/setLevel",
    "rpc.x",
    "",
    "../x",
]
_PATHS = [
    "/etc/passwd",
    "../../../../etc/passwd",
    "..\\..\\x",
    "/proc/self/environ",
    "~/.ssh/id_rsa",
    "\0",
    "a" * 5000,
    "CON",
    ".",
]
_PATHS += ["file:///etc/passwd", "//etc/passwd", "/dev/stdin", "/dev/zero", "\ud800", "a/\n/b", "%2e%2e/x", "*"]

Kind = Callable[[random.Random, int, str], bytes]


def _value(rng: random.Random, depth: int = 3) -> Any:
    kinds: list[Callable[[], Any]] = [
        lambda: None,
        lambda: rng.choice([True, False, 0, -1, 1e308, 2**70, 0.1]),
        lambda: _MARK + "".join(map(chr, rng.choices(range(32, 0xD7FF), k=rng.randrange(20)))),
        lambda: rng.choice(_PATHS),
        lambda: f"x = {rng.choice('([{')}" * rng.randrange(400) + _MARK,
    ]
    if depth:
        kinds += [
            lambda: [_value(rng, depth - 1) for _ in range(rng.randrange(4))],
            lambda: {rng.choice(["code", "filename", "paths", "a", ""]): _value(rng, depth - 1) for _ in range(3)},
        ]
    return rng.choice(kinds)()


def _wrong_types(rng: random.Random, port: int, era: str) -> bytes:
    names = [
        "code",
        "filename",
        "paths",
        "path",
        "rule",
        "output",
        "suggested",
        "device",
        "root",
        "files",
        "previous",
        _MARK,
    ]
    return call(era, rng.choice(_NAMES), {name: _value(rng) for name in rng.sample(names, rng.randrange(4))}, port)


def _wrong_messages(rng: random.Random, port: int, era: str) -> bytes:
    body = {"jsonrpc": "2.0", "id": 1, "method": rng.choice(_METHODS), "params": _value(rng)}
    for name in rng.sample(sorted(body), rng.randrange(3)):
        body[name] = _value(rng)
    if rng.random() < 0.2:
        body.pop(rng.choice(sorted(body)))
    headers = {"mcp-protocol-version": rng.choice([era, "1", _MARK, "2026-07-28"])}
    return raw(json.dumps(rng.choice([body, [body], [body] * 50, _value(rng)])).encode(), port, **headers)


def _broken_json(rng: random.Random, port: int, era: str) -> bytes:
    data = bytearray(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"x": _MARK}}).encode())
    for _ in range(rng.randrange(1, 6)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return raw(
        bytes(data[: rng.randrange(len(data)) if rng.random() < 0.3 else len(data)]),
        port,
        **{"mcp-protocol-version": era},
    )


def _deep_json(rng: random.Random, port: int, era: str) -> bytes:
    depth = rng.choice([100, 1000, 100_000])
    opening, closing = rng.choice([("[", "]"), ('{"a":', "}")])
    inner = opening * depth + "1" + (closing * depth if rng.random() < 0.7 else "")
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "analyze_code", "x": 0}})
    body = body.replace(": 0}", f": {inner}}}")
    return raw(body.encode(), port, **{"mcp-protocol-version": era})


def _paths(rng: random.Random, port: int, era: str) -> bytes:
    tool, name = rng.choice(
        [("analyze_code", "paths"), ("fix_code", "path"), ("review_project", "root"), ("list_rules", "paths")]
    )
    path = rng.choice(_PATHS)
    arguments = {name: [path] if name == "paths" else path}
    if rng.random() < 0.3:
        arguments = {"code": f"import torch  # {_MARK}\n", "filename": path}
    return call(era, tool, arguments, port)


def _notebooks(rng: random.Random, port: int, era: str) -> bytes:
    cell = {
        "cell_type": "code",
        "source": rng.choice([BAD, f"{_MARK} = (" * 50, "%%bash\n" * 20]),
        "outputs": [{"data": {"image/png": "A" * 100}}] * rng.choice([0, 500]),
    }
    book: Any = {
        "cells": [cell] * rng.choice([1, 300]),
        "nbformat": rng.choice([4, 3, "4", None]),
        "metadata": _value(rng),
    }
    text = json.dumps(book) if rng.random() < 0.8 else '{"cells": ' * 3000
    return call(era, "analyze_code", {"code": text, "filename": "a.ipynb"}, port)


def _huge(rng: random.Random, port: int, era: str) -> bytes:
    size = rng.choice([10_000, 300_000, 5_000_000]) if rng.random() < 0.2 else 10_000
    text = rng.choice([_MARK, "(", "x=1;", "\n", "\0", "é", "f'{", "lambda:"]) * (size // 8)
    return call(era, rng.choice(["analyze_code", "fix_code"]), {"code": text}, port)


def _headers(rng: random.Random, port: int, era: str) -> bytes:
    strange = {
        "host": rng.choice(["evil.example", "", "127.0.0.1.evil.example", f"127.0.0.1:{port}@evil", _MARK]),
        "origin": rng.choice(["https://evil.example", "null", "http://localhost.evil", "file://"]),
        "authorization": rng.choice([f"Bearer {_MARK}", "Bearer", "Basic x", "Bearer " + "a" * 4000]),
        "content-type": rng.choice(["text/plain", "", "application/json; charset=utf-7", _MARK]),
        "accept": rng.choice(["*/*", "text/html", "", "application/json"]),
        "mcp-session-id": rng.choice([_MARK, "x" * 3000]),
        "mcp-protocol-version": rng.choice(["2024-11-05", "9999-01-01", _MARK]),
        "mcp-name": _MARK,
        "mcp-method": rng.choice(["tools/call", "subscriptions/listen", _MARK]),
        "x-forwarded-for": "1.2.3.4",
        "transfer-encoding": "chunked",
        "content-length": rng.choice(["-1", "1e9", "99999999999", "3"]),
    }
    chosen = {name: strange[name] for name in rng.sample(sorted(strange), rng.randrange(1, 4))}
    return call(era, "analyze_code", {"code": BAD}, port, **chosen)


def _cut(rng: random.Random, port: int, era: str) -> bytes:
    whole = call(era, "analyze_code", {"code": BAD + _MARK}, port)
    return whole[: rng.randrange(len(whole))]


def _replayed(rng: random.Random, port: int, era: str) -> bytes:
    return message(era, rng.choice(["tools/list", "ping", "initialize"]), {}, port)


KINDS: dict[str, Kind] = {
    kind.__name__.strip("_").replace("_", " "): kind
    for kind in (
        _wrong_types,
        _wrong_messages,
        _broken_json,
        _deep_json,
        _paths,
        _notebooks,
        _huge,
        _headers,
        _cut,
        _replayed,
    )
}


class Trial:
    """What came back, and what should not have."""

    def __init__(self, target: Service, secrets: list[str]) -> None:
        self.statuses: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.wrong: list[str] = []
        self._target = target
        self._secrets = [secret.encode() for secret in secrets]

    async def send(self, kind: str, request: bytes) -> None:
        """Send one request by a connection of its own and judge the answer."""
        connection = Connection(self._target.port)
        try:
            async with asyncio.timeout(2 if kind == "cut" or b"listen" in request else 60):
                status, body = await connection.ask(request)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            self.statuses[kind]["closed"] += 1
        except TimeoutError:
            self.statuses[kind]["waits"] += 1
            if kind not in ("cut", "headers", "wrong messages"):
                self.wrong.append(f"{kind}: no answer to {request[:300]!r}")
        else:
            self.statuses[kind][str(status)] += 1
            if status >= 500 and status != 503:
                self.wrong.append(f"{kind}: {status} {body[:200]!r} to {request[:600]!r}")
            self.wrong += [f"{kind}: {secret!r} in {body[:300]!r}" for secret in self._secrets if secret in body]
        finally:
            connection.close()

    async def ordinary(self) -> None:
        """An ordinary call has to be answered right."""
        connection = Connection(self._target.port)
        for era in ERAS:
            status, body = await connection.ask(call(era, "analyze_code", {"code": BAD}, self._target.port))
            if not right(status, body):
                self.wrong.append(f"ordinary call: {status} {body[:200]!r}")
        connection.close()


async def trial(target: Service, requests: int, seed: int) -> Trial:
    """Send so many hostile requests, sixteen at a time."""
    here = [str(Path(__file__).resolve().parents[2]), sys.prefix, "site-packages", "Traceback", "root:x:0"]
    made = Trial(target, here)
    rng = random.Random(seed)
    for done in range(0, requests, 100):
        batch = []
        for _ in range(min(100, requests - done)):
            kind = rng.choices([*KINDS], [3, 3, 3, 0.2, 3, 1, 0.3, 3, 0.3, 1])[0]
            batch.append((kind, KINDS[kind](rng, target.port, rng.choice(ERAS))))
        turn = asyncio.Semaphore(16)

        async def send(kind: str, request: bytes, turn: asyncio.Semaphore = turn) -> None:
            async with turn:
                await made.send(kind, request)

        await asyncio.gather(*(send(*each) for each in batch))
        await made.ordinary()
        if sys.stderr.isatty():
            print(f"\r{done + 100}/{requests}", end="", file=sys.stderr)
    return made


def main() -> None:
    """Run the trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with service("--time-limit", "10", "--queue", "64") as target:
            made = uvloop.run(trial(target, options.requests, options.seed))
            log = target.log.read_text("utf-8", "replace")
    for kind, statuses in made.statuses.items():
        print(f"{kind:<16}{'  '.join(f'{status}: {number}' for status, number in statuses.most_common())}")
    for secret in (_MARK, "Traceback", "no_grad", "/etc/"):
        if secret in log:
            made.wrong.append(f"log: {secret!r} in {next(line for line in log.splitlines() if secret in line)[:300]}")
    print(f"{options.requests} requests, {len(log.splitlines())} lines of log, {len(made.wrong)} wrong")
    for wrong in made.wrong[:20]:
        print(wrong)
    sys.exit(int(bool(made.wrong)))


if __name__ == "__main__":
    main()
