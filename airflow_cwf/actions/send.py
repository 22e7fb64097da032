"""Send one batch: sign, record, and only then show it to a node.

    quote -> sign -> RECORD -> broadcast

Dies before RECORD: nothing exists, the nonce is free. Dies after: the next reconcile finds the
bytes in the journal and hands them to the node again. There is no moment in between.
"""

from airflow_cwf.actions.lease import OpenLane
from airflow_cwf.actions.limit_gas import limit_batch_gas
from airflow_cwf.actions.reconcile import broadcast
from airflow_cwf.core.batches import PayCall, encode_pay
from airflow_cwf.core.journal import NewTransaction, RecordedTransaction, TransactionItem
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
    """Sign, record and broadcast one batch at the lane's next nonce.

    Raises:
        StaleLeaseError: another worker has the lane; nothing was recorded.
        JournalError: the journal could not be written; nothing was sent.
        SignerError: the key cannot be used; nothing was recorded.
    """
    runtime = lane.runtime
    data = encode_pay(pay)
    gas = await limit_batch_gas(lane, pay.items, data)
    call = Call(to=lane.contract, data=data, gas_limit=gas)
    nonce = runtime.journal.lanes.next_nonce(lane.chain.caip2, lane.lease.sender)
    unsigned = UnsignedTransaction(lane.chain.eip155_id, nonce, call, fees)
    signed = runtime.codec.sign(unsigned, runtime.signer)
    transaction = NewTransaction(
        nonce=nonce,
        call=call,
        kind="batch",
        run=run,
        agent=agent,
        scope=pay.scope.hex(),
        items=items,
    )
    recorded = runtime.journal.lanes.record(lane.lease, transaction, signed, fees)
    await broadcast(lane, recorded)
    return recorded
