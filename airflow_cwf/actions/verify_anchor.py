"""Check 12: a final block holds this very append, and the contract's head agrees with it.

Only the chain contradicts: a transaction that a node does not know, or that is not final yet, is
unknown, not false.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from airflow_cwf.actions.verify_report import UnknownError
from airflow_cwf.core.anchors import (
    AppendCall,
    AppendedEvent,
    Head,
    appended_events,
    decode_head,
    encode_head,
)
from airflow_cwf.core.errors import ChainError, VerificationError
from airflow_cwf.core.evidence.batch_document import LogId
from airflow_cwf.core.evidence.record import chain_number
from airflow_cwf.core.ports import ChainClient
from airflow_cwf.core.transactions import TransactionReceipt

_LAST_SECOND: Final = 253_402_300_799
"""Of the year 9999."""


@dataclass(frozen=True, slots=True)
class Append:
    """An append as evidence tells of it."""

    log: LogId
    tx_hash: str
    old: Head
    new: Head
    batch: bytes | None = None
    """sha2-256 of the batch's directory; None where the evidence does not tell it."""
    block: int | None = None
    """The height that the evidence claims; None where it does not."""


async def check_anchor(append: Append, chains: Mapping[str, ChainClient]) -> str:
    """Open the append's transaction and compare.

    Args:
        append: what should stand on the chain.
        chains: CAIP-2 to client, the verifier's own.

    Raises:
        VerificationError: check 12; the chain contradicts.
        UnknownError: no node, no usable answer, or not final.
    """
    chain = append.log.chain
    if chain not in chains:
        raise UnknownError(f"No node for {chain}; name one: --rpc {chain}=URL.")
    client = chains[chain]
    try:
        transaction = await final_transaction(append.tx_hash, chain=chain, client=client)
        answer = await client.call(append.log.contract, encode_head(append.log.submitter))
        time = (await client.block(transaction.block_number)).timestamp
    except ChainError as error:
        raise UnknownError(f"The node for {chain} gave no usable answer.") from error
    event = _event_of(append, transaction)
    _check_head(append, answer)
    added = event.call.new.size - event.call.old.size
    number = transaction.block_number
    return f"final block {number} of {_utc(time)} holds this append of {added} record(s)"


async def final_transaction(tx_hash: str, *, chain: str, client: ChainClient) -> TransactionReceipt:
    """Return a transaction that is final on the canonical chain.

    The final height is read before the receipt: a block that is final once stays so.

    Raises:
        UnknownError: absent, not final, not canonical, or the node serves another chain.
        ChainError: no usable answer.
    """
    if await client.chain_id() != chain_number(chain):
        raise UnknownError(f"The node for {chain} serves another chain.")
    final = (await client.block("finalized")).number
    found = (await client.receipts([tx_hash])).get(tx_hash)
    if found is None or found.hash != tx_hash or found.block_number > final:
        raise UnknownError(f"{chain}: the transaction is not final or not known to this node.")
    if (await client.block(found.block_number)).hash != found.block_hash:
        raise UnknownError(f"{chain}: the transaction's block is not on the canonical chain.")
    return found


def _utc(seconds: int) -> str:
    if seconds > _LAST_SECOND:  # a node may say anything
        return f"Unix time {seconds}"
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _event_of(append: Append, transaction: TransactionReceipt) -> AppendedEvent:
    if append.block is not None and transaction.block_number != append.block:
        raise VerificationError("The append stands in another block than claimed.", check=12)
    if not transaction.succeeded:
        raise VerificationError("The append's transaction was reverted.", check=12)
    events = appended_events(transaction.logs, contract=append.log.contract)
    for event in events:
        if event.submitter == append.log.submitter and _is_call(event.call, append):
            return event
    message = "The transaction holds no such append by this contract and this submitter."
    raise VerificationError(message, check=12)


def _is_call(call: AppendCall, append: Append) -> bool:
    batch = call.batch if append.batch is None else append.batch
    return call == AppendCall(old=append.old, new=append.new, batch=batch)


def _check_head(append: Append, answer: bytes) -> None:
    try:
        head = decode_head(answer)
    except ValueError as error:
        raise VerificationError("The contract answers with no head.", check=12) from error
    contradicts = head.size < append.new.size
    if contradicts or (head.size == append.new.size and head != append.new):
        raise VerificationError("The contract's head does not continue this append.", check=12)
