"""A clock that a test, or everybody's sleep, moves on."""

import asyncio
import heapq
import itertools
from collections.abc import Callable

START = 1_800_000_000.0
LONGEST_S = 50_000.0
"""A test that waits for longer than this waits for ever."""


class FakeClock:
    """Time that passes only when everybody sleeps; it jumps to the first who wakes."""

    def __init__(self) -> None:
        self.time = START
        self.listeners: list[Callable[[float], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._is_armed = False

    def now(self) -> float:
        return self.time

    def advance(self, seconds: float) -> None:
        self._jump(self.time + seconds)

    async def sleep(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # another process: the sleepers of the last one are gone
            self._loop, self._sleepers, self._is_armed = loop, [], False
        woken = loop.create_future()
        heapq.heappush(self._sleepers, (self.time + seconds, next(self._numbers), woken))
        if not self._is_armed:
            self._is_armed = True
            loop.call_soon(self._tick)
        await woken

    def _tick(self) -> None:
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        if not self._sleepers or self._loop is None:
            self._is_armed = False
            return
        moment, _, woken = heapq.heappop(self._sleepers)
        if moment - START > LONGEST_S:
            woken.set_exception(AssertionError("The test waits for ever."))
        else:
            self._jump(moment)
            woken.set_result(None)
        self._loop.call_soon(self._tick)

    def _jump(self, moment: float) -> None:
        self.time = max(self.time, moment)
        for listener in self.listeners:
            listener(self.time)
