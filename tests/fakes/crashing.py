"""Processes that die at a chosen call, as kill -9 would have it.

Whatever a process does outside itself goes through a port. A `Mortality` counts these calls and
ends the process before or after one of them; from then on every call of any port ends it again,
so that no `finally` of the dead process reaches the world.
"""

import inspect
from collections.abc import Callable
from typing import Any

from tests.fakes.runtime import FakeRuntime, FakeWorld


class Killed(BaseException):
    """The process is gone. Not an `Exception`: nothing in it may handle this."""


WRITES = ("record", "finalise", "mark_", "acquire", "release", "freeze", "correct", "reserve")
WRITES += ("publish", "withdraw", "compose", "close_", "prove")
WRITES += ("refuse", "start_", "finish_", "save_", "write", "broadcast", "pin_", "renew")
"""How the names of those methods begin that leave something behind."""


class Mortality:
    """Counts calls of ports, and kills at the one with the number `at`.

    A reading call dies before it is made, a writing one after: between two writes the world is
    the same for whoever comes next, so these are all the worlds that a death can leave.
    """

    def __init__(self, *, at: int | None = None) -> None:
        self.at = at
        self.calls: list[str] = []
        self.is_dead = False

    def begin(self, name: str) -> int:
        self._check()
        self.calls.append(name)
        if len(self.calls) == self.at and not self._writes(name):
            self.is_dead = True
        self._check()
        return len(self.calls)

    def end(self, number: int, name: str) -> None:
        if number == self.at and self._writes(name):
            self.is_dead = True
        self._check()

    def _writes(self, name: str) -> bool:
        return name.partition(".")[2].startswith(WRITES)

    def _check(self) -> None:
        if self.is_dead:
            raise Killed


class Mortal:
    """A port whose every method may be the last thing that its process does."""

    def __init__(self, port: object, name: str, mortality: Mortality) -> None:
        self._port = port
        self._name = name
        self._mortality = mortality

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._port, method)
        if not callable(found):
            return found
        name = f"{self._name}.{method}"
        return (
            self._awaited(found, name)
            if inspect.iscoroutinefunction(found)
            else self._plain(found, name)
        )

    def _plain(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            number = self._mortality.begin(name)
            try:
                return method(*args, **kwargs)
            finally:
                self._mortality.end(number, name)

        return call

    def _awaited(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            number = self._mortality.begin(name)
            try:
                return await method(*args, **kwargs)
            finally:
                self._mortality.end(number, name)

        return call


class MortalJournal:
    def __init__(self, journal: Any, mortality: Mortality) -> None:
        self.secret = journal.secret
        self.payments = Mortal(journal.payments, "payments", mortality)
        self.lanes = Mortal(journal.lanes, "lanes", mortality)
        self.runs = Mortal(journal.runs, "runs", mortality)
        self.anchors = Mortal(journal.anchors, "anchors", mortality)


class MortalRuntime(FakeRuntime):
    """A process of the fake world that dies as its `Mortality` says."""

    def __init__(self, world: FakeWorld, mortality: Mortality) -> None:
        super().__init__(world)
        self._living = self.journal
        parts = vars(self)
        parts["journal"] = MortalJournal(self._living, mortality)
        parts["artifacts"] = Mortal(self.artifacts, "artifacts", mortality)
        parts["sanctions"] = Mortal(self.sanctions, "sanctions", mortality)
        parts["prover"] = Mortal(self.prover, "prover", mortality)
        parts["codec"] = Mortal(self.codec, "codec", mortality)
        self._nodes = {name: Mortal(node, name, mortality) for name, node in world.nodes.items()}

    def client(self, chain: str) -> Any:
        return self._nodes[chain]

    def close(self) -> None:
        self._living.close()
