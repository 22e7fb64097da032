"""Reconcile a lane: compare every unfinal transaction of the journal with the chain.

Runs at every start and at every poll. It only ever does three things to a transaction: hand its
recorded bytes to the node again, note the block it stands in, or, once that block is final,
write down what it did. Absence of a receipt permits nothing but the first.
"""

from airflow_cwf.actions.judge import judge_batch
from airflow_cwf.actions.lease import OpenLane
from airflow_cwf.core.chains import Chain
from airflow_cwf.core.errors import (
    LaneStoppedError,
    RejectedError,
    RpcError,
    TransportError,
)
from airflow_cwf.core.journal_rows import RecordedTransaction
from airflow_cwf.core.ports import ChainClient
from airflow_cwf.core.runtime import Runtime
from airflow_cwf.core.states import TransactionState
from airflow_cwf.core.transactions import Block, TransactionReceipt

REBROADCAST_S = 12.0
"""How long a node may take before it is given the same bytes again."""


async def reconcile(lane: OpenLane) -> int:
    """Bring the lane's unfinal transactions up to date; return how many are left.

    Raises:
        LaneStoppedError: the account has used a nonce that the journal cannot explain.
        TransportError: the node did not answer; nothing was concluded.
        StaleLeaseError: another worker has the lane.
    """
    await explain_nonces(lane.chain, lane.client, lane.runtime)
    lanes = lane.runtime.journal.lanes
    pending = lanes.unfinal(lane.chain.caip2, lane.lease.sender)
    if not pending:
        return 0
    # The final block is read before the receipts: a receipt is never newer than its judge.
    final = await final_block(lane)
    hashes = [attempt.signed.hash for tx in pending for attempt in tx.attempts]
    receipts = await lane.client.receipts(hashes)
    left = 0
    for transaction in pending:
        found = [receipts[a.signed.hash] for a in transaction.attempts if a.signed.hash in receipts]
        if not await _advance(lane, transaction, found[0] if found else None, final):
            left += 1
    return left


async def final_block(lane: OpenLane) -> Block:
    """Return the newest block that is final by the chain's rule."""
    if lane.chain.finality_depth is None:
        return await lane.client.block("finalized")
    head = await lane.client.block("latest")
    return await lane.client.block(max(0, head.number - lane.chain.finality_depth))


async def broadcast(lane: OpenLane, transaction: RecordedTransaction) -> None:
    """Hand a recorded transaction's newest bytes to the node.

    A refusal or a lost reply changes nothing: the bytes are recorded, and the next reconcile
    tells what became of them.
    """
    attempt = transaction.attempts[-1]
    lane.last_broadcast[attempt.signed.hash] = lane.runtime.clock.now()
    try:
        await lane.client.broadcast(attempt.signed)
    except (RejectedError, RpcError, TransportError):
        return
    lane.runtime.journal.lanes.mark_broadcast(attempt.signed.hash)


async def explain_nonces(chain: Chain, client: ChainClient, runtime: Runtime) -> None:
    """Stop the payer's lane if it has used a nonce for which no signature is recorded.

    Raises:
        LaneStoppedError: it has; nothing may be signed until a person has looked.
        TransportError: the node did not answer.
    """
    sender = runtime.signer.address
    used = await client.nonce(sender, "latest")
    explained = runtime.journal.lanes.next_nonce(chain.caip2, sender)
    if used <= explained:
        return
    reason = (
        f"{sender} has used nonces up to {used - 1}, but the journal explains only those below "
        f"{explained}: something else signs with this key, or the journal is an old copy"
    )
    runtime.journal.lanes.stop(chain.caip2, sender, reason)
    message = f"{reason}. Nothing was signed. The lane stays stopped until a person has looked."
    raise LaneStoppedError(message, chain=chain.caip2)


async def _advance(
    lane: OpenLane,
    transaction: RecordedTransaction,
    receipt: TransactionReceipt | None,
    final: Block,
) -> bool:
    """Bring one transaction up to date; return whether it is final."""
    lanes = lane.runtime.journal.lanes
    if receipt is not None and receipt.block_number <= final.number:
        if await _is_canonical(lane, receipt):
            outcomes = await judge_batch(lane, transaction, receipt)
            lanes.finalise(lane.lease, transaction.id, receipt, outcomes)
            return True
        receipt = None  # of a fork that was lost: it says nothing
    if receipt is None:
        if transaction.state is TransactionState.INCLUDED:
            lanes.mark_included(transaction.id, None)
        await _rebroadcast(lane, transaction)
    elif transaction.state is TransactionState.RECORDED:
        lanes.mark_included(transaction.id, receipt)
    return False


async def _is_canonical(lane: OpenLane, receipt: TransactionReceipt) -> bool:
    block = await lane.client.block(receipt.block_number)
    return block.hash == receipt.block_hash


async def _rebroadcast(lane: OpenLane, transaction: RecordedTransaction) -> None:
    last = lane.last_broadcast.get(transaction.attempts[-1].signed.hash)
    if last is None or lane.runtime.clock.now() - last >= REBROADCAST_S:
        await broadcast(lane, transaction)
