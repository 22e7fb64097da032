"""Settle payments: bring every item of a scope to an end that is final, and pay none twice.

    reserve -> quote -> simulate -> sign -> record -> broadcast -> included -> final

Whatever interrupts this, running it again with the same items is safe: it reconciles first,
and an item that is in a live transaction, or settled, is never signed for again.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from airflow_cwf.actions.lease import OpenLane, leased_lane
from airflow_cwf.actions.quote import quote
from airflow_cwf.actions.reconcile import reconcile
from airflow_cwf.actions.screen import load_list
from airflow_cwf.actions.send import send_batch
from airflow_cwf.actions.simulate import simulate
from airflow_cwf.core.batches import MAX_ITEMS, BatchItem, PayCall, batches
from airflow_cwf.core.chains import Chain, Token
from airflow_cwf.core.errors import PreparationError, TransportError
from airflow_cwf.core.fees import FeeCapError, GasStrategy
from airflow_cwf.core.intents import PlanItem, Scope
from airflow_cwf.core.journal_rows import ItemRow, TransactionItem
from airflow_cwf.core.runtime import Runtime
from airflow_cwf.core.screening import SanctionsList
from airflow_cwf.core.states import PAYABLE, Reason

WINDOW = 16
"""Unfinal transactions of one account: what geth's pool guarantees (AccountSlots)."""
SHRINK = 8
"""A re-send goes in batches this many times smaller, so that a poisonous item ends up alone."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is to be settled, and within which limits."""

    scope: Scope
    items: tuple[PlanItem, ...]
    chain: Chain
    token: Token
    run: str
    agent: str
    strategy: GasStrategy
    max_retries: int = 3
    atomic: bool = False
    """One transaction for all items, which the first failing one reverts."""
    timeout_s: float = 3600.0
    """How long to wait for finality; then the rest is unresolved, and safe to run again."""
    health: Callable[[], Awaitable[str | None]] | None = None
    """Asked before new signatures: why there should be none, or None."""
    health_check_interval: int = 12
    """Blocks between two questions."""


class UnhealthyError(PreparationError):
    """An agent's health check found something; `trouble` is what it said."""

    def __init__(self, trouble: str, *, chain: str) -> None:
        super().__init__(f"The agent is unhealthy: {trouble}. Nothing new was signed.", chain=chain)
        self.trouble = trouble


async def settle(work: Settlement, runtime: Runtime) -> None:
    """Settle `work`; the outcome of each item stands in the journal afterwards.

    Returns when every item has ended, or when `timeout_s` is over.

    Raises:
        PreparationError: the treasury, the allowance or the contract is not as it should be.
        UnhealthyError: the agent's health check found something.
        LaneBusyError, LaneStoppedError, StaleLeaseError: see `actions.lease`.
        SanctionsListError: the list cannot be read, so nothing is signed.
        TransportError: the node did not answer until `timeout_s` was over.
        FeeCapError: fees stayed above the cap until then.
    """
    _check_atomic(work)
    deadline = runtime.clock.now() + work.timeout_s
    leasing = leased_lane(
        chain=work.chain,
        contract=work.scope.contract,
        runtime=runtime,
        max_retries=work.max_retries,
    )
    async with leasing as lane:
        settling = _Settling(lane, work, await load_list(runtime, run=work.run))
        while True:
            try:
                if await settling.step():
                    return
            except PreparationError:  # nothing more is signed, but what is under way goes on
                await _finish_in_flight(lane, deadline)
                raise
            except (TransportError, FeeCapError):  # nothing was concluded or signed; ask again
                if runtime.clock.now() >= deadline:
                    raise
            if runtime.clock.now() >= deadline:
                return
            await _pause(lane)


async def _finish_in_flight(lane: OpenLane, deadline: float) -> None:
    with suppress(TransportError):  # why nothing more is signed matters more
        while await reconcile(lane) and lane.runtime.clock.now() < deadline:
            await _pause(lane)


async def _pause(lane: OpenLane) -> None:
    await lane.runtime.clock.sleep(min(2.0, lane.chain.block_time_s / 2))


class _Settling:
    """One settlement under one lease."""

    def __init__(self, lane: OpenLane, work: Settlement, sanctions: SanctionsList) -> None:
        self._lane = lane
        self._work = work
        self._sanctions = sanctions
        self._payments = lane.runtime.journal.payments
        self._items = {item.index: item for item in work.items}
        self._left_out: set[str] = set()
        """Keys this settlement refused: not tried again until the next one."""
        self._next_health_check: int | None = None

    async def step(self) -> bool:
        """Reconcile, then sign what is due; return whether all is at its end."""
        unfinal = await reconcile(self._lane)
        rows = {row.key: row for row in self._payments.items(self._work.scope.id)}
        ready = self._ready(rows)
        if not ready:
            return unfinal == 0
        await self._check_health()
        for group in self._groups(ready, rows):
            if unfinal >= WINDOW:
                break
            unfinal += await self._send(group)
        return False

    async def _check_health(self) -> None:
        """Ask the agent's health every so many blocks; nothing is signed while it is unwell."""
        if self._work.health is None:
            return
        head = (await self._lane.client.block("latest")).number
        if self._next_health_check is None or head >= self._next_health_check:
            self._next_health_check = head + self._work.health_check_interval
            trouble = await self._work.health()
            if trouble is not None:
                raise UnhealthyError(trouble, chain=self._work.scope.chain)

    def _ready(self, rows: Mapping[str, ItemRow]) -> list[PlanItem]:
        """Return the items that may be signed now: payable, screened, and reserved."""
        payable = [i for i in self._work.items if self._is_payable(i, rows[i.key])]
        listed = [item for item in payable if self._sanctions.lists(item.payee)]
        self._refuse(listed, Reason.SANCTIONED)
        clean = [item for item in payable if item.key not in self._left_out]
        if not clean:
            return []
        token = self._work.token
        over_cap = self._payments.reserve(
            clean,
            budget=f"run/{self._work.run}/{token.symbol}",
            cap=self._lane.runtime.policy.max_per_run.get(token.symbol),
            decimals=token.decimals,
        )
        self._left_out.update(item.key for item in over_cap)
        self._check_whole(len(self._left_out))
        return [item for item in clean if item.key not in self._left_out]

    def _check_whole(self, missing: int) -> None:
        if self._work.atomic and missing:
            message = (
                f"{missing} items of an atomic batch may not be paid or would fail, so the whole "
                "batch was not signed. Take them out of the file, or pay without `atomic`."
            )
            raise PreparationError(message, chain=self._work.scope.chain)

    def _is_payable(self, item: PlanItem, row: ItemRow) -> bool:
        """A row of another revision or digest belongs to a newer plan than this one."""
        same = (row.revision, row.digest) == (item.revision, item.digest)
        return same and row.state in PAYABLE and item.key not in self._left_out

    def _refuse(self, items: Sequence[PlanItem], reason: Reason) -> None:
        if items:
            self._payments.refuse(items, reason)
            self._left_out.update(item.key for item in items)

    def _groups(
        self, ready: Sequence[PlanItem], rows: Mapping[str, ItemRow]
    ) -> Iterator[tuple[BatchItem, ...]]:
        """Yield batches in order of index; what failed before goes in ever smaller ones."""
        if self._work.atomic:
            yield tuple(BatchItem(item.index, item.payee, item.amount) for item in ready)
            return
        by_resends: dict[int, list[BatchItem]] = {}
        for item in ready:
            entry = BatchItem(item.index, item.payee, item.amount)
            by_resends.setdefault(rows[item.key].resends, []).append(entry)
        for resends, items in sorted(by_resends.items()):
            yield from batches(items, max(1, MAX_ITEMS // SHRINK**resends))

    async def _send(self, group: tuple[BatchItem, ...]) -> int:
        """Simulate one batch and send what it holds; return the transactions sent."""
        work = self._work
        pay = PayCall(
            token=work.token.address,
            scope=bytes.fromhex(work.scope.id),
            digest=bytes.fromhex(work.scope.digest),
            atomic=work.atomic,
            items=group,
        )
        fees = await quote(
            self._lane.client, work.strategy, cap=self._lane.runtime.policy.max_fee_per_gas
        )
        found = await simulate(self._lane, pay)
        self._refuse([self._items[item.index] for item in found.refused], Reason.BLACKLISTED)
        self._check_whole(len(found.refused) + len(found.doubtful))
        sends = [found.payable] if found.payable else []
        sends += [(item,) for item in found.doubtful]
        for items in sends:
            await send_batch(
                self._lane,
                replace(pay, items=items),
                items=tuple(self._transaction_item(item) for item in items),
                fees=fees,
                run=work.run,
                agent=work.agent,
            )
        return len(sends)

    def _transaction_item(self, item: BatchItem) -> TransactionItem:
        planned = self._items[item.index]
        return TransactionItem(planned.key, planned.revision, planned.index, planned.digest)


def _check_atomic(work: Settlement) -> None:
    if work.atomic and len(work.items) > MAX_ITEMS:
        message = (
            f"An atomic payroll fits into one transaction of at most {MAX_ITEMS} payments; this "
            f"part has {len(work.items)}. Nothing was signed."
        )
        raise PreparationError(message, chain=work.scope.chain)
