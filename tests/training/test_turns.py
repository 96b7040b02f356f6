import asyncio

import pytest

from mlrules_mcp.training.turns import Turns


class Queue:
    """Trainings that end when they are told to."""

    def __init__(self, at_once=1):
        self.turns = Turns(at_once)
        self.running, self.told, self.ends, self.tasks = [], [], {}, {}

    async def add(self, name):
        async def waiting(before):
            self.told.append((name, before))

        async def train():
            async with self.turns.turn(waiting):
                self.running.append(name)
                await self.ends[name].wait()
                self.running.remove(name)

        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(train())
        await self.settle()

    async def settle(self):
        for _ in range(10):
            await asyncio.sleep(0)

    async def end(self, name):
        self.ends[name].set()
        await self.settle()

    async def cancel(self, name):
        self.tasks[name].cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.tasks[name]
        await self.settle()


def test_the_first_to_come_is_the_first_to_run_and_all_are_told_where_they_stand():
    async def play():
        queue = Queue()
        for name in "abc":
            await queue.add(name)
        assert queue.running == ["a"]
        assert queue.told == [("b", 1), ("c", 2)]
        await queue.end("a")
        assert queue.running == ["b"]
        assert queue.told[2:] == [("c", 1)]
        await queue.end("b")
        assert queue.running == ["c"]
        await queue.end("c")

    asyncio.run(play())


def test_who_is_cancelled_while_waiting_or_running_makes_room():
    async def play():
        queue = Queue()
        for name in "abcd":
            await queue.add(name)
        await queue.cancel("b")
        assert queue.told[-2:] == [("c", 1), ("d", 2)]
        await queue.cancel("a")
        assert queue.running[-1] == "c"
        await queue.end("c")
        assert queue.running[-1] == "d"
        await queue.end("d")

    asyncio.run(play())


def test_several_may_run_at_once():
    async def play():
        queue = Queue(at_once=2)
        for name in "abc":
            await queue.add(name)
        assert queue.running == ["a", "b"]
        assert queue.told == [("c", 1)]
        await queue.end("b")
        assert queue.running == ["a", "c"]
        await queue.end("a")
        await queue.end("c")

    asyncio.run(play())
