from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from mlrules_mcp.manifest.merging import load_manifests
from mlrules_mcp.server.http.pool import PoolError, WorkerPool
from mlrules_mcp.server.http.worker import WorkerSpec
from tests.server.http.conftest import BAD, run

# Takes some tenths of a second.
LONG = "import torch\n" + "x = torch.load('model.pt')\n" * 7000
# A tree of some hundred megabytes.
WIDE = f"x = [{'0, ' * 300_000}]\n"
ARGUMENTS = {"code": BAD}


def with_pool(work: Callable[[WorkerPool], Awaitable[Any]], **options: Any) -> Any:
    async def use() -> Any:
        pool = WorkerPool(options.pop("spec", WorkerSpec()), **{"size": 1, **options})
        async with pool.running():
            return await work(pool)

    return run(use)


def checks(answer: dict[str, Any]) -> list[str]:
    return [finding["check"] for finding in answer["result"]["structuredContent"]["findings"]]


async def busy(pool: WorkerPool, number: int = 1) -> None:
    """Return when some workers have a call."""
    while pool.busy < number:
        await asyncio.sleep(0)


def workers(pool: WorkerPool) -> list[int]:
    return [worker.process.pid for worker in pool._workers if worker.process.pid]


def test_calls_are_answered_by_all_workers_and_refusals_come_back_as_such() -> None:
    async def use(pool: WorkerPool) -> None:
        answers = await asyncio.gather(*(pool.call("analyze_code", ARGUMENTS) for _ in range(6)))
        assert [checks(answer) for answer in answers] == [["no-grad-not-called"]] * 6
        assert (pool.up, pool.busy, pool.waiting) == (2, 0, 0)
        refused = await pool.call("analyze_code", {"source": "x"})
        assert "has no argument 'source'" in refused["refused"]
        fixed = await pool.call("fix_code", {**ARGUMENTS, "output": "code"})
        assert fixed["result"]["structuredContent"]["code"] == BAD.replace("no_grad:", "no_grad():")
        assert not pool.ends

    with_pool(use, size=2)


def test_a_worker_that_is_killed_amid_a_call_costs_neither_the_call_nor_the_pool() -> None:
    async def use(pool: WorkerPool) -> None:
        long = asyncio.create_task(pool.call("analyze_code", {"code": LONG}))
        await busy(pool)
        os.kill(workers(pool)[0], signal.SIGKILL)
        assert (await long)["result"]["structuredContent"]["files"] == 1
        assert pool.ends == {"died": 1}
        assert checks(await pool.call("analyze_code", ARGUMENTS)) == ["no-grad-not-called"]

    with_pool(use)


def test_an_idle_worker_that_is_killed_gets_a_successor() -> None:
    async def use(pool: WorkerPool) -> None:
        (first,) = workers(pool)
        os.kill(first, signal.SIGKILL)
        while workers(pool) in ([], [first]):
            await asyncio.sleep(0.01)
        assert checks(await pool.call("analyze_code", ARGUMENTS)) == ["no-grad-not-called"]

    with_pool(use)


def test_a_call_whose_workers_die_again_and_again_is_given_up() -> None:
    async def use(pool: WorkerPool) -> None:
        async def kill_all() -> None:
            while True:
                await busy(pool)
                for worker in [worker for worker in pool._workers if worker.calling]:
                    worker.process.kill()
                while pool.busy:
                    await asyncio.sleep(0)

        killer = asyncio.create_task(kill_all())
        with pytest.raises(PoolError, match="died of it, again") as caught:
            await pool.call("analyze_code", {"code": LONG})
        killer.cancel()
        assert caught.value.reason == "died"

    with_pool(use)


def test_a_call_that_takes_too_long_is_ended_and_the_next_is_answered() -> None:
    async def use(pool: WorkerPool) -> None:
        with pytest.raises(PoolError, match="took more than") as caught:
            await pool.call("analyze_code", {"code": LONG})
        assert caught.value.reason == "time"
        pool._time_limit = 30
        assert checks(await pool.call("analyze_code", ARGUMENTS)) == ["no-grad-not-called"]
        assert pool.ends == {"time": 1}

    with_pool(use, time_limit=0.05)


def test_a_cancelled_call_frees_its_worker() -> None:
    async def use(pool: WorkerPool) -> None:
        long = asyncio.create_task(pool.call("analyze_code", {"code": LONG}))
        await busy(pool)
        waiting = asyncio.create_task(pool.call("analyze_code", ARGUMENTS))
        gone = asyncio.create_task(pool.call("analyze_code", ARGUMENTS))
        while pool.waiting < 2:
            await asyncio.sleep(0)
        gone.cancel()
        long.cancel()
        assert checks(await waiting) == ["no-grad-not-called"]
        assert (pool.waiting, pool.ends) == (0, {"cancelled": 1})

    with_pool(use)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds address space")
def test_a_call_that_needs_too_much_memory_is_ended_and_the_next_is_answered() -> None:
    async def use(pool: WorkerPool) -> None:
        answer = {}
        try:
            answer = await pool.call("analyze_code", {"code": WIDE})
        except PoolError as error:
            assert error.reason in {"memory", "died"}
        else:  # the parser itself said that it had too little
            assert answer["result"]["structuredContent"]["diagnostics"]
        assert checks(await pool.call("analyze_code", ARGUMENTS)) == ["no-grad-not-called"]

    with_pool(use, spec=WorkerSpec(memory_limit=32 * 1024 * 1024))


def test_new_rules_are_in_force_for_the_next_call(tmp_path: Path) -> None:
    file = tmp_path / "off.md"
    file.write_text('@pytorch_rules [{"id": "gradient_management", "enabled": false}]\n', encoding="utf-8")

    async def use(pool: WorkerPool) -> None:
        assert checks(await pool.call("analyze_code", ARGUMENTS)) == ["no-grad-not-called"]
        pool.renew(WorkerSpec(load_manifests([file])))
        assert checks(await pool.call("analyze_code", ARGUMENTS)) == []
        assert pool.up == 1

    with_pool(use)
