"""AnchorRecordsOperator: append every record that waits to the log, at a block clock's tick."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Asset

from airflow_cwf.core.errors import ConfigError, TransportError, UnresolvedError
from airflow_cwf.core.fees import parse_strategy
from airflow_cwf.hooks.chains import anchor_chain
from airflow_cwf.operators.base import CwfOperator
from airflow_cwf.triggers.blocks import CURSOR

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cwf.core.runtime import Runtime


STILL_S: Final = 900.0
"""How long a chain may stand still before a task no longer waits for it."""


class AnchorRecordsOperator(CwfOperator):
    """Anchors all published records in batches, and keeps the clock's cursor.

    Level-triggered: it looks at what waits, not at what the event says, so a lost event, a killed
    triggerer or two runs at once leave nothing out and anchor nothing twice.

    Args:
        clock: the asset whose watcher is a BlockIntervalTrigger; the cursor in its state store
            is moved when the batches are final. None: anchor now, whatever the block.
        gas_strategy: `optimal`, `fast` or `eco`.
    """

    def __init__(
        self,
        *,
        clock: Asset | None = None,
        gas_strategy: str = "optimal",
        **kwargs: Any,  # noqa: ANN401 - CwfOperator's own
    ) -> None:
        if clock is not None:
            kwargs.setdefault("inlets", [clock])
        super().__init__(**kwargs)
        parse_strategy(gas_strategy)
        self.clock = clock
        self.gas_strategy = gas_strategy

    def execute(self, context: "Context") -> list[dict[str, Any]]:
        """Anchor what waits, then move the cursor; returns the batches."""
        chain = required_anchor_chain()
        done = self.enter(self._anchor, chains=[chain])
        for batch in done:
            self.log.info("%(records)d records anchored in block %(block)d: %(tx_hash)s", batch)
        if self.clock is not None:
            self._move_cursor(context, self.clock)
        return done

    def _move_cursor(self, context: "Context", clock: Asset) -> None:
        """Move the clock's cursor up to the newest tick that called this run, never back.

        A run that a person triggers has no tick, and a late one may have an old tick.
        """
        store = context["asset_state_store"][clock]
        ticks = [_tick(event.extra) for event in context["triggering_asset_events"][clock]]
        due = max(ticks, default=0)
        stored = store.get(CURSOR, 0)
        if not isinstance(stored, int) or due > stored:
            store.set(CURSOR, due)

    async def _anchor(self, ports: "Runtime") -> list[dict[str, Any]]:
        from airflow_cwf.actions.advance import anchor_all

        return await anchor_all(ports, strategy=parse_strategy(self.gas_strategy))


def _tick(extra: Mapping[str, Any]) -> int:
    """Return the block that an event tells of; 0 if it is none of the trigger's."""
    payload = extra.get("payload")
    block = payload.get("block") if isinstance(payload, Mapping) else None
    return block if isinstance(block, int) and not isinstance(block, bool) else 0


def required_anchor_chain() -> str:
    """Return `[cwf] anchor_chain`.

    Raises:
        ConfigError: it is not set.
    """
    chain = anchor_chain()
    if chain is None:
        message = "Set `[cwf] anchor_chain` to the chain on which records are to be anchored."
        raise ConfigError(message)
    return chain


async def next_multiple(ports: "Runtime", chain: str, every: int) -> tuple[int, float]:
    """Return the next block number that `every` divides, and about how many seconds it is away."""
    head = (await ports.client(chain).block("latest")).number
    target = head + every - head % every
    return target, (target - head) * ports.chains[chain].block_time_s


async def wait_until(ports: "Runtime", chain: str, block: int) -> None:
    """Poll until the head has reached `block`.

    A node that does not answer is asked again; a chain that stands still is not waited for.

    Raises:
        UnresolvedError: the head did not move for `STILL_S`.
    """
    client = ports.client(chain)
    pause = min(2.0, ports.chains[chain].block_time_s)
    seen, moved_at = -1, ports.clock.now()
    while True:
        with suppress(TransportError):
            head = (await client.block("latest")).number
            if head >= block:
                return
            if head > seen:
                seen, moved_at = head, ports.clock.now()
        if ports.clock.now() - moved_at >= STILL_S:
            message = (
                f"{chain} has made no block that its node shows for {STILL_S:.0f} s; its last is "
                f"{max(seen, 0)}, and {block} is waited for. The record is stored and proved; "
                "running again goes on from there."
            )
            raise UnresolvedError(message)
        await ports.clock.sleep(pause)


def summarise_batches(batches: Sequence[dict[str, Any]]) -> str:
    """Return one line about what was anchored."""
    if not batches:
        return "nothing waited to be anchored; another run had taken it along"
    return "; ".join(f"{b['records']} records in block {b['block']}" for b in batches)
