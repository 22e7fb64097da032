"""Anchor: append the records that wait to the submitter's log, in one batch, and wait till final.

    compose -> STORE -> publish the batch -> sign -> RECORD -> broadcast -> final -> note it

A stored batch is resumed, never composed anew. The contract compares and swaps the head, so a
second append of the same batch reverts; the chain's head tells whether a lost reply was a yes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from airflow_cwf.actions.lease import OpenLane, leased_lane
from airflow_cwf.actions.limit_gas import posting_gas
from airflow_cwf.actions.publish import publish_batch
from airflow_cwf.actions.quote import quote
from airflow_cwf.actions.reconcile import reconcile
from airflow_cwf.actions.send import send_call
from airflow_cwf.core.anchor_log import BatchRow, WaitingRecord, log_name
from airflow_cwf.core.anchors import (
    AppendCall,
    Head,
    append_gas_limit,
    decode_head,
    encode_append,
    encode_head,
)
from airflow_cwf.core.errors import (
    LaneBusyError,
    PreparationError,
    TransportError,
    UnresolvedError,
)
from airflow_cwf.core.evidence.batch_document import (
    MAX_BATCH_RECORDS,
    Batch,
    LogId,
    compose_batch,
    parse_batch,
)
from airflow_cwf.core.evidence.cid import parse_cid
from airflow_cwf.core.evidence.log import log_leaves
from airflow_cwf.core.fees import FeeCapError, GasStrategy
from airflow_cwf.core.hashes import sha3_256
from airflow_cwf.core.journal_rows import RecordedTransaction
from airflow_cwf.core.runtime import Runtime
from airflow_cwf.core.states import TransactionState
from airflow_cwf.core.transactions import Call

ANCHOR_RUN = "anchor"
"""Under which run the journal keeps the fees of appends."""


MOST_REVERTED = 3
"""So many appends of one batch may revert; each can be another worker's, reorganised away."""


@dataclass(frozen=True, slots=True)
class Anchoring:
    """Where to, how dear, how long."""

    chain_name: str
    log: LogId
    strategy: GasStrategy
    timeout_s: float = 3600.0


async def anchor(work: Anchoring, runtime: Runtime) -> BatchRow | None:
    """Anchor what waits for `work.log`; return the batch, or None if nothing waits.

    The batch stays open in the journal until the caller has noted it where its records lie and
    closes it, so that a crash in between is made good by the next call.

    Raises:
        PreparationError: the head on chain is none that this journal knows.
        UnresolvedError: the append is not final within the time; running again goes on.
        CwfError: see `actions.lease` and `actions.reconcile`.
    """
    row = _open_batch(work, runtime)
    if row is None:
        return None
    batch = parse_batch(row.document)
    root_block = await publish_batch(batch, _records_of(row, runtime), runtime=runtime)
    chain = runtime.chains[work.chain_name]
    deadline = runtime.clock.now() + work.timeout_s
    while True:
        leasing = leased_lane(
            chain=chain, contract=work.log.contract, runtime=runtime, max_retries=0
        )
        try:
            async with leasing as lane:
                return await _until_final(lane, work, row, root_block, deadline=deadline)
        except LaneBusyError:  # perhaps with this very batch, until its append is final
            if runtime.clock.now() >= deadline:
                raise


async def _until_final(
    lane: OpenLane, work: Anchoring, row: BatchRow, root_block: bytes, *, deadline: float
) -> BatchRow:
    batch = parse_batch(row.document)
    while True:
        trouble = ""
        try:
            done = await _step(lane, work, batch, row, root_block)
        except (TransportError, FeeCapError) as error:  # nothing was concluded; ask again
            done, trouble = None, f" ({error})"
        if done is not None:
            return done
        if lane.runtime.clock.now() >= deadline:
            message = (
                f"The append of {len(batch.records)} records is not final yet{trouble}. Nothing "
                "is lost; running again goes on from here."
            )
            raise UnresolvedError(message)
        await lane.runtime.clock.sleep(min(2.0, lane.chain.block_time_s / 2))


async def _step(
    lane: OpenLane, work: Anchoring, batch: Batch, row: BatchRow, root_block: bytes
) -> BatchRow | None:
    """Reconcile, send what is not on its way; return the batch with its block once final."""
    await reconcile(lane)
    journal = lane.runtime.journal
    sent = journal.lanes.of_intent(lane.chain.caip2, _intent(batch))
    for transaction in sent:
        where = transaction.included
        if transaction.state is TransactionState.FINAL and where and where.succeeded:
            return replace(row, tx_hash=where.tx_hash, block=where.block)
    if any(t.state in {TransactionState.RECORDED, TransactionState.INCLUDED} for t in sent):
        return None
    await _require_head(lane, batch)
    _require_sense(lane, sent)
    data = encode_append(_append_call(batch, root_block))
    gas = append_gas_limit(calldata=data, posting_gas=await posting_gas(lane, data))
    fees = await quote(lane.client, work.strategy, cap=lane.runtime.policy.max_fee_per_gas)
    await send_call(
        lane,
        Call(lane.contract, data, gas),
        intent=_intent(batch),
        fees=fees,
        run=ANCHOR_RUN,
        agent=log_name(batch.log),
    )
    return None


async def _require_head(lane: OpenLane, batch: Batch) -> None:
    """Refuse to append to other code, or to a head that is not the one the batch began at."""
    if await lane.client.code(lane.contract) != lane.runtime.workflow_anchor.code:
        message = (
            f"There is no WorkflowAnchor of this version at {lane.contract}. Nothing was sent and "
            f"the records wait. Run `cwf contracts deploy --chain {lane.chain.name}`."
        )
        raise PreparationError(message, chain=lane.chain.caip2)
    answer = await lane.client.call(lane.contract, encode_head(batch.log.submitter))
    try:
        head = decode_head(answer)
    except ValueError as error:
        message = f"The node's answer for the log's head cannot be read: {error}"
        raise PreparationError(message, chain=lane.chain.caip2) from error
    if head != Head(batch.growth.old_size, batch.growth.old_root):
        message = (
            f"The log's head on chain has {head.size} records, and this journal's batch begins "
            f"at {batch.growth.old_size}: another journal appends for {batch.log.submitter}. "
            "Nothing was sent. Give each journal a submitter of its own."
        )
        raise PreparationError(message, chain=lane.chain.caip2)


def _require_sense(lane: OpenLane, sent: Sequence[RecordedTransaction]) -> None:
    """Refuse to pay for yet another append if they revert although the head is the right one."""
    reverted = [t for t in sent if t.state is TransactionState.FINAL]
    if len(reverted) >= MOST_REVERTED:
        message = (
            f"The append reverted {len(reverted)} times although the log's head is the one it "
            "expects. Nothing is lost, and nothing more was sent: look at the last transaction, "
            f"{reverted[-1].attempts[-1].signed.hash}."
        )
        raise PreparationError(message, chain=lane.chain.caip2)


def _append_call(batch: Batch, root_block: bytes) -> AppendCall:
    growth = batch.growth
    return AppendCall(
        old=Head(growth.old_size, growth.old_root),
        new=Head(growth.size, growth.root),
        batch=root_block,
    )


def _open_batch(work: Anchoring, runtime: Runtime) -> BatchRow | None:
    """Return the batch to go on with: the stored one, else a new one of all that wait."""
    anchors = runtime.journal.anchors
    name = log_name(work.log)
    while (row := anchors.open_batch(name)) is None:
        known = [parse_cid(record.cid) for record in anchors.leaves(name)]
        waiting = anchors.waiting(name, limit=MAX_BATCH_RECORDS)
        if not waiting:
            return None
        batch = compose_batch(
            work.log, leaves=log_leaves(known), records=[parse_cid(r.cid) for r in waiting]
        )
        growth = batch.growth
        # If another worker was first, there is its batch to go on with, or less that waits.
        anchors.compose(
            BatchRow(name, growth.old_size, growth.size, batch.data, None, None), waiting
        )
    return row


def _records_of(row: BatchRow, runtime: Runtime) -> Sequence[WaitingRecord]:
    leaves = runtime.journal.anchors.leaves(row.log)
    return leaves[row.old_size : row.size]


def _intent(batch: Batch) -> str:
    """Return the intent's key as a scope: it names all attempts at one append."""
    return sha3_256(batch.intent_key.encode()).hex()
