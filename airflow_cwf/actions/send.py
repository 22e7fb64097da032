"""Send one transaction: sign, record, and only then show it to a node.

    quote -> sign -> RECORD -> broadcast

Dies before RECORD: nothing exists, the nonce is free. Dies after: the next reconcile finds the
bytes in the journal and hands them to the node again. There is no moment in between.
"""

from airflow_cwf.actions.lease import OpenLane
from airflow_cwf.actions.limit_gas import limit_batch_gas
from airflow_cwf.actions.reconcile import broadcast
from airflow_cwf.core.batches import PayCall, encode_pay
from airflow_cwf.core.journal_rows import NewTransaction, RecordedTransaction, TransactionItem
from airflow_cwf.core.transactions import Call, FeeQuote, UnsignedTransaction


async def send_batch(
    lane: OpenLane,
    pay: PayCall,
    *,
    items: tuple[TransactionItem, ...],
    fees: FeeQuote,
    run: str,
    agent: str,
) -> RecordedTransaction:
    """Sign, record and broadcast one batch of payments at the lane's next nonce.

    Raises:
        StaleLeaseError: another worker has the lane; nothing was recorded.
        JournalError: the journal could not be written; nothing was sent.
        SignerError: the key cannot be used; nothing was recorded.
    """
    data = encode_pay(pay)
    transaction = NewTransaction(
        nonce=_next_nonce(lane),
        call=Call(lane.contract, data, await limit_batch_gas(lane, pay.items, data)),
        kind="batch",
        run=run,
        agent=agent,
        scope=pay.scope.hex(),
        items=items,
    )
    return await _send(lane, transaction, fees)


async def send_call(
    lane: OpenLane, call: Call, *, intent: str, fees: FeeQuote, run: str, agent: str
) -> RecordedTransaction:
    """Sign, record and broadcast one call that carries no payments.

    Args:
        lane: the lane.
        call: to whom, what, with how much gas.
        intent: 64 hex digits that name what the call is for, so that it is found again.
        fees: as quoted.
        run: under which the journal keeps its fee.
        agent: as `run`.

    Raises:
        As `send_batch`.
    """
    transaction = NewTransaction(
        nonce=_next_nonce(lane),
        call=call,
        kind="call",
        run=run,
        agent=agent,
        scope=intent,
        items=(),
    )
    return await _send(lane, transaction, fees)


def _next_nonce(lane: OpenLane) -> int:
    return lane.runtime.journal.lanes.next_nonce(lane.chain.caip2, lane.lease.sender)


async def _send(lane: OpenLane, transaction: NewTransaction, fees: FeeQuote) -> RecordedTransaction:
    runtime = lane.runtime
    unsigned = UnsignedTransaction(lane.chain.eip155_id, transaction.nonce, transaction.call, fees)
    signed = runtime.codec.sign(unsigned, runtime.signer)
    recorded = runtime.journal.lanes.record(lane.lease, transaction, signed, fees)
    await broadcast(lane, recorded)
    return recorded
