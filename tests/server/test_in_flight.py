"""Many calls at once, some of them cancelled, as benchmarks/in_flight.py has them for longer."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import anyio
from mcp import Client

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.app import build_server
from tests.server.test_stdio import stdio_server

BENCHMARK = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "in_flight.py"))
CALLS = 50


def test_calls_in_flight_are_answered_right_while_others_are_cancelled(tmp_path: Path) -> None:
    async def use() -> Any:
        async with Client(stdio_server(tmp_path), mode="legacy") as client:
            return await BENCHMARK["_round"](client, CALLS)

    outcomes = anyio.run(use)
    assert outcomes["wrong"] == 0
    assert outcomes["right"] + outcomes["cancelled"] == CALLS


def test_calls_that_are_cancelled_leave_no_place_taken() -> None:
    server = build_server(Catalogue())
    code = "import torch\n" + "def f(x):\n    return torch.relu(x)\n\n\n" * 1_000

    async def use() -> None:
        async with Client(server) as client:
            with anyio.move_on_after(0.05) as scope:
                async with anyio.create_task_group() as tasks:
                    for _ in range(20):
                        tasks.start_soon(client.call_tool, "analyze_code", {"code": code})
            assert scope.cancelled_caught
            answer = await client.call_tool("analyze_code", {"code": "x = 1"})
            assert not answer.is_error
            limiter = server.rules._threads
            assert limiter is not None
            assert (limiter.borrowed_tokens, limiter.statistics().tasks_waiting) == (0, 0)

    anyio.run(use)
