"""Lets trainings take turns: a few at once, the others first come, first served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


class Turns:
    """A queue for what one machine can do only so often at once.

    Args:
        at_once: how many may run together.
    """

    def __init__(self, at_once: int = 1) -> None:
        self._at_once = at_once
        self._places: list[object] = []
        self._moved = asyncio.Event()

    @asynccontextmanager
    async def turn(self, waiting: Callable[[int], Awaitable[None]]) -> AsyncIterator[None]:
        """Wait for a turn, and take it while the block runs; whoever is cancelled leaves the queue.

        Args:
            waiting: awaited whenever the queue has moved, with how many have to end before this one begins.
        """
        place = object()
        self._places.append(place)
        try:
            while (before := self._places.index(place) + 1 - self._at_once) > 0:
                moved = self._moved
                await waiting(before)
                await moved.wait()
            yield
        finally:
            self._places.remove(place)
            self._moved.set()
            self._moved = asyncio.Event()
