"""Transactions, attempts and outcomes in SQL: recorded before anybody sees them."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, and_, func, insert, select, update

from airflow_cwf.adapters.journal import tables as t
from airflow_cwf.adapters.journal.contents import insert_items, read_transactions, settle_items
from airflow_cwf.adapters.journal.database import Database
from airflow_cwf.adapters.journal.leases import SqlLeases, check_open, fence
from airflow_cwf.core.errors import JournalError
from airflow_cwf.core.journal_rows import (
    Attempt,
    ItemOutcome,
    Lease,
    NewTransaction,
    RecordedTransaction,
)
from airflow_cwf.core.states import TransactionState
from airflow_cwf.core.transactions import FeeQuote, SignedTransaction, TransactionReceipt

UNFINAL: Final = (TransactionState.RECORDED, TransactionState.INCLUDED)
"""States of a transaction whose block is not final yet."""


class SqlLaneBook(SqlLeases):
    """`core.journal.LaneBook` over SQL."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)

    def next_nonce(self, chain: str, sender: str) -> int:
        """Return the lowest nonce for which no signature is recorded."""
        with self._database.reading() as connection:
            return _next_nonce(connection, chain, sender)

    def record(
        self, lease: Lease, transaction: NewTransaction, signed: SignedTransaction, fees: FeeQuote
    ) -> RecordedTransaction:
        """Store transaction, attempt and the items' new state in one durable commit."""
        message = (
            "An item of this transaction is in another live transaction, or its nonce is taken; "
            "nothing was sent."
        )
        with self._database.writing(conflict=message) as connection:
            fence(connection, lease)
            check_open(connection, lease)
            _check_place(connection, lease, transaction)
            number = _insert_transaction(connection, lease, transaction)
            _insert_attempt(connection, number, signed, fees)
        return RecordedTransaction(
            id=number,
            chain=lease.chain,
            sender=lease.sender,
            nonce=transaction.nonce,
            kind=transaction.kind,
            call=transaction.call,
            run=transaction.run,
            agent=transaction.agent,
            scope=transaction.scope,
            state=TransactionState.RECORDED,
            items=transaction.items,
            attempts=(Attempt(signed, fees, broadcast=False),),
        )

    def unfinal(self, chain: str, sender: str) -> list[RecordedTransaction]:
        """Return the lane's transactions that are neither final nor dead, by nonce."""
        query = (
            select(t.transactions)
            .where(
                t.transactions.c.chain == chain,
                t.transactions.c.sender == sender,
                t.transactions.c.state.in_(UNFINAL),
            )
            .order_by(t.transactions.c.nonce, t.transactions.c.id)
        )
        with self._database.reading() as connection:
            return read_transactions(connection, connection.execute(query).all())

    def of_intent(self, chain: str, intent: str) -> list[RecordedTransaction]:
        """Return all transactions recorded for an intent (a scope or a call's), by nonce."""
        query = (
            select(t.transactions)
            .where(t.transactions.c.chain == chain, t.transactions.c.scope == intent)
            .order_by(t.transactions.c.nonce, t.transactions.c.id)
        )
        with self._database.reading() as connection:
            return read_transactions(connection, connection.execute(query).all())

    def mark_broadcast(self, tx_hash: str) -> None:
        """Note that a node has had these bytes."""
        with self._database.writing() as connection:
            connection.execute(
                update(t.attempts).where(t.attempts.c.tx_hash == tx_hash).values(broadcast=True)
            )

    def mark_included(self, transaction: int, receipt: TransactionReceipt | None) -> None:
        """Note the block a transaction stands in, or (None) that it stands in none any more."""
        values: dict[str, Any] = (
            {
                "state": TransactionState.RECORDED,
                "tx_hash": None,
                "block_number": None,
                "block_hash": None,
            }
            if receipt is None
            else {
                "state": TransactionState.INCLUDED,
                "tx_hash": receipt.hash,
                "block_number": receipt.block_number,
                "block_hash": receipt.block_hash,
            }
        )
        with self._database.writing() as connection:
            connection.execute(
                update(t.transactions)
                .where(t.transactions.c.id == transaction, t.transactions.c.state.in_(UNFINAL))
                .values(**values)
            )

    def finalise(
        self,
        lease: Lease,
        transaction: int,
        receipt: TransactionReceipt,
        outcomes: Sequence[ItemOutcome],
    ) -> None:
        """Store a final receipt and its items' outcomes in one commit; frees failed spends."""
        with self._database.writing() as connection:
            fence(connection, lease)
            if _is_final(connection, lease, transaction, receipt):
                return
            connection.execute(
                update(t.transactions)
                .where(t.transactions.c.id == transaction)
                .values(
                    state=TransactionState.FINAL,
                    tx_hash=receipt.hash,
                    block_number=receipt.block_number,
                    block_hash=receipt.block_hash,
                    succeeded=receipt.succeeded,
                    fee=str(receipt.fee),
                )
            )
            settle_items(connection, transaction, outcomes, tx_hash=receipt.hash)


def _check_place(connection: Connection, lease: Lease, transaction: NewTransaction) -> None:
    """Refuse another nonce than the next, and another scope than one of this lane."""
    if _next_nonce(connection, lease.chain, lease.sender) != transaction.nonce:
        message = f"Nonce {transaction.nonce} is not the lane's next; nothing was sent."
        raise JournalError(message)
    is_call = transaction.scope is None or transaction.kind != "batch"
    if is_call and not transaction.items:
        return  # its scope, if it has one, is the name of its intent
    query = select(t.scopes).where(
        t.scopes.c.scope == transaction.scope,
        t.scopes.c.chain == lease.chain,
        t.scopes.c.payer == lease.sender,
        t.scopes.c.contract == transaction.call.to,
    )
    if connection.execute(query).one_or_none() is None:
        message = (
            f"The scope {str(transaction.scope)[:12]}.. is not one that {lease.sender} pays "
            f"through {transaction.call.to} on {lease.chain}; nothing was sent."
        )
        raise JournalError(message)


def _is_final(
    connection: Connection, lease: Lease, transaction: int, receipt: TransactionReceipt
) -> bool:
    """Return whether this receipt is stored already; refuse one that is not this transaction's."""
    query = (
        select(t.transactions.c.state, t.transactions.c.tx_hash)
        .join(t.attempts, t.attempts.c.transaction_id == t.transactions.c.id)
        .where(
            t.transactions.c.id == transaction,
            t.transactions.c.chain == lease.chain,
            t.transactions.c.sender == lease.sender,
            t.attempts.c.tx_hash == receipt.hash,
        )
    )
    row = connection.execute(query).one_or_none()
    if row is not None and row.state == TransactionState.FINAL and row.tx_hash == receipt.hash:
        return True
    if row is None or row.state not in UNFINAL:
        message = (
            f"The receipt of {receipt.hash[:12]}.. is not that of an unfinal transaction "
            f"{transaction} of this lane; nothing was changed."
        )
        raise JournalError(message)
    return False


def _next_nonce(connection: Connection, chain: str, sender: str) -> int:
    lane = and_(t.transactions.c.chain == chain, t.transactions.c.sender == sender)
    highest = connection.execute(select(func.max(t.transactions.c.nonce)).where(lane)).scalar()
    if highest is not None:
        return int(highest) + 1
    first = select(t.lanes.c.first_nonce).where(
        t.lanes.c.chain == chain, t.lanes.c.sender == sender
    )
    adopted = connection.execute(first).scalar_one_or_none()
    if adopted is None:
        message = f"The journal has never seen {sender} on {chain}; adopt the account first."
        raise JournalError(message)
    return int(adopted)


def _insert_transaction(connection: Connection, lease: Lease, transaction: NewTransaction) -> int:
    result = connection.execute(
        insert(t.transactions).values(
            chain=lease.chain,
            sender=lease.sender,
            nonce=transaction.nonce,
            kind=transaction.kind,
            recipient=transaction.call.to,
            value=str(transaction.call.value),
            data=transaction.call.data,
            gas_limit=transaction.call.gas_limit,
            run=transaction.run,
            agent=transaction.agent,
            scope=transaction.scope,
            epoch=lease.epoch,
            state=TransactionState.RECORDED,
        )
    )
    key = result.inserted_primary_key
    if key is None:  # pragma: no cover - both databases return it
        message = "The database returned no id for a new transaction."
        raise JournalError(message)
    number = int(key[0])
    insert_items(connection, number, transaction)
    return number


def _insert_attempt(
    connection: Connection, number: int, signed: SignedTransaction, fees: FeeQuote
) -> None:
    connection.execute(
        insert(t.attempts).values(
            tx_hash=signed.hash,
            transaction_id=number,
            raw=signed.raw,
            max_fee_per_gas=str(fees.max_fee_per_gas),
            max_priority_fee_per_gas=str(fees.max_priority_fee_per_gas),
            quoted_at_block=fees.block,
            broadcast=False,
        )
    )
