"""BlockIntervalTrigger: a clock whose ticks are blocks of an EVM chain.

Airflow promises neither that an event is delivered once nor that it is delivered at all: a
triggerer may be killed between two instructions. Hence the trigger is *level-triggered*. It keeps
no cursor; at every look it compares the chain's head with the block up to which the consumer says
it has worked, and tells the consumer as long as there is work. A cursor saved before the event
was delivered would lose that event with the triggerer.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowException, AirflowRuntimeError
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_cwf.core.chains import Chain
from airflow_cwf.core.errors import ConfigError, CwfError, WrongChainError
from airflow_cwf.core.ports import ChainClient
from airflow_cwf.core.settings import Settings
from airflow_cwf.hooks.evm import endpoints

CURSOR: Final = "cwf_block"
"""Key in the asset's state store: the block up to which the consuming task has worked."""

REPEAT_S: Final = 60.0
"""Seconds after which an event that nobody consumed is sent again."""

MIN_PAUSE_S: Final = 1.0
MAX_PAUSE_S: Final = 15.0
MAX_BACKOFF_S: Final = 60.0

_LOOKS_PER_CONNECTION: Final = 240
"""Then Airflow's connection is read anew, so that a changed URL or token is noticed."""

_PASSING: Final = (CwfError, AirflowException, AirflowRuntimeError, OSError, ValueError)
"""What a look may end with: the node, the API server, the connection. `TimeoutError` is one."""


@dataclass(slots=True)
class IntervalLevel:
    """Decides, look by look, whether the consumer is to be told; pure.

    Args:
        every: length of an interval in blocks; intervals end at its multiples.
        until: tell once, when the head has reached this block, instead of at every interval.
    """

    every: int
    until: int | None = None
    _told: int = 0
    _told_at: float = 0.0

    def due(self, *, head: int, consumed: int, now: float) -> int | None:
        """Return the block to tell the consumer, or None if there is nothing to tell.

        Args:
            head: number of the newest block.
            consumed: the consumer's cursor; 0: it has never worked.
            now: seconds of a clock that never goes back.
        """
        if self.until is not None:
            return self.until if head >= self.until else None
        end = head - head % self.every
        if end <= consumed or self._is_pending(consumed=consumed, now=now):
            return None
        self._told, self._told_at = end, now
        return end

    def blocks_left(self, head: int) -> int:
        """Return how many blocks the head lacks until the next one that matters; at least 1."""
        if self.until is not None:
            return max(self.until - head, 1)
        return self.every - head % self.every

    def _is_pending(self, *, consumed: int, now: float) -> bool:
        """Return whether the consumer was told something that it may still be working on."""
        return consumed < self._told and now - self._told_at < REPEAT_S


def pause_s(blocks_left: int, *, block_time_s: float) -> float:
    """Return the seconds until the next look: half the expected wait, within bounds."""
    return min(max(blocks_left * block_time_s / 2, MIN_PAUSE_S), MAX_PAUSE_S)


def backoff_s(failures: int) -> float:
    """Return the seconds to wait after so many failed looks in a row, counted from 1."""
    return min(2.0 ** min(failures, 16), MAX_BACKOFF_S)


class BlockIntervalTrigger(BaseEventTrigger):
    """Fires when an interval of blocks has ended that the consumer has not worked off.

    As the clock of an asset: `AssetWatcher(name="blocks", trigger=BlockIntervalTrigger(...))`. The
    consuming task has the asset among its `inlets` and owns the cursor:

        due = max(e.extra["payload"]["block"] for e in triggering_asset_events[clock])
        done = asset_state_store[clock].get(CURSOR, 0)
        if due > done:
            ...                                          # work off the blocks (done, due]
            asset_state_store[clock].set(CURSOR, due)    # last of all

    so that its ranges join without a gap, however often triggerer or task are killed. Several
    ended intervals are told as one; an event that is not consumed within a minute is sent again.
    Give the DAG `max_active_runs=1`. Each asset needs a trigger of its own: Airflow runs equal
    triggers as one, which could not tell the assets' cursors apart.

    For deferral: with `until` it fires once, when the head has reached that block. Give `defer` a
    timeout; the trigger itself never gives up.

    The payload is `{"chain": name, "every": blocks, "block": number, "head": number}`, `block`
    being the last interval's end, or `until`. A node, API server or connection that fails is
    logged and looked at again after a growing pause; it never ends the trigger.

    Args:
        conn_id: connection of type `evm`.
        every: length of an interval in blocks.
        until: a block number to wait for instead.
        chain: name in the chain table; None: the connection's `extra.chain`, else what follows
            `evm_` in `conn_id`.

    Raises:
        ValueError: `every` is not positive.
    """

    node_timeout_s: ClassVar[float] = 10.0
    """How long the node may take. Airflow's own answers have no limit: the first one to a
    triggerer that has just started can take half a minute on a busy machine."""

    def __init__(
        self, conn_id: str, every: int, *, until: int | None = None, chain: str | None = None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if every < 1:
            message = f"BlockIntervalTrigger needs an interval of at least one block, not {every}."
            raise ValueError(message)
        self.conn_id = conn_id
        self.every = every
        self.until = until
        self.chain = chain

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments, as Airflow stores them."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "conn_id": self.conn_id,
                "every": self.every,
                "until": self.until,
                "chain": self.chain,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look at the chain's head, again and again, and tell what is due."""
        level = IntervalLevel(self.every, until=self.until)
        failures = 0
        while True:
            try:
                async with self.connect() as (chain, client):
                    for _ in range(_LOOKS_PER_CONNECTION):
                        event, pause = await self._look(chain, client, level)
                        failures = 0
                        if event is not None:
                            yield event
                            if self.until is not None:
                                return
                        await self.sleep(pause)
            except _PASSING as error:
                failures += 1
                pause = backoff_s(failures)
                self.log.warning(
                    "%s: look %d in vain, the next one in %.0f s: %s",
                    self.conn_id,
                    failures,
                    pause,
                    str(error) or type(error).__name__,
                )
                await self.sleep(pause)

    async def sleep(self, seconds: float) -> None:
        """Wait without holding up the triggerer's other triggers."""
        await asyncio.sleep(seconds)

    def now(self) -> float:
        """Return the seconds of a clock that never goes back."""
        return time.monotonic()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[tuple[Chain, ChainClient]]:
        """Yield the chain and a client of it, over Airflow's connection as it is now.

        Raises:
            ConfigError: the connection has no host, or the chain is not in the table.
            WrongChainError: the node serves another chain.
        """
        connection = await BaseHook.aget_connection(self.conn_id)
        # In a thread, because it reads files and, the first time, imports the adapters.
        settings = await asyncio.to_thread(_settings, connection, self.chain)
        from airflow_cwf.wiring import runtime

        (chain,) = settings.chains.values()
        async with runtime(settings) as ports:
            client = ports.client(chain.name)
            async with asyncio.timeout(self.node_timeout_s):
                served = await client.chain_id()
            if served != chain.eip155_id:
                message = f"The node serves chain id {served}, not {chain.eip155_id}."
                raise WrongChainError(message, chain=chain.name)
            yield chain, client

    async def _look(
        self, chain: Chain, client: ChainClient, level: IntervalLevel
    ) -> tuple[TriggerEvent | None, float]:
        """Return the event that is due, if one is, and the pause until the next look."""
        async with asyncio.timeout(self.node_timeout_s):
            head = (await client.block("latest")).number
        consumed = await self._consumed()
        pause = pause_s(level.blocks_left(head), block_time_s=chain.block_time_s)
        block = level.due(head=head, consumed=consumed, now=self.now())
        if block is None:
            return None, pause
        payload = {"chain": chain.name, "every": self.every, "block": block, "head": head}
        return TriggerEvent(payload), pause  # type: ignore[no-untyped-call]

    async def _consumed(self) -> int:
        """Return the consumer's cursor; 0 without one, as for a deferred task.

        Raises:
            ConfigError: the cursor is no block number.
        """
        if self.asset_state_store is None:
            return 0
        cursor = await self.asset_state_store.aget(CURSOR, 0)
        if isinstance(cursor, int) and not isinstance(cursor, bool):
            return cursor
        message = f"The asset's state {CURSOR!r} must be a block number; it is {cursor!r}."
        raise ConfigError(message)


def _settings(connection: Connection, chain: str | None) -> Settings:
    """Return settings that know one chain and nothing else."""
    from airflow.sdk.configuration import conf

    from airflow_cwf.hooks.journal import home
    from airflow_cwf.wiring import load_chains

    place = home()
    known = load_chains(conf.get("cwf", "chains_file", fallback="") or str(place / "chains.json"))
    name = chain or connection.extra_dejson.get("chain") or connection.conn_id.removeprefix("evm_")
    if name not in known:
        message = (
            f"{name!r} is not in the chain table ({', '.join(sorted(known))}): give the trigger "
            f"`chain`, or set `extra.chain` of the connection {connection.conn_id}."
        )
        raise ConfigError(message)
    return Settings(
        home=str(place),
        artifacts="",
        journal_url="",
        chains={name: known[name]},
        endpoints={name: endpoints(connection)},
    )
