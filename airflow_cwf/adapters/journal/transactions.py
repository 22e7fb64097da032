"""Transactions, attempts and outcomes in SQL: recorded before anybody sees them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from airflow_cwf.adapters.journal import tables as t
from airflow_cwf.adapters.journal.database import Database
from airflow_cwf.adapters.journal.leases import SqlLeases, fence
from airflow_cwf.core.errors import JournalError
from airflow_cwf.core.journal import (
    Attempt,
    Inclusion,
    ItemOutcome,
    Lease,
    NewTransaction,
    RecordedTransaction,
    TransactionItem,
)
from airflow_cwf.core.states import ITEM_TRANSITIONS, ItemState, TransactionState
from airflow_cwf.core.transactions import Call, FeeQuote, SignedTransaction, TransactionReceipt

RELEASES = frozenset({ItemState.FAILED, ItemState.RESERVED})
"""Outcomes at finality that give the spend of this send back."""


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
        try:
            with self._database.writing() as connection:
                fence(connection, lease)
                if _next_nonce(connection, lease.chain, lease.sender) != transaction.nonce:
                    message = f"Nonce {transaction.nonce} is not the lane's next; nothing was sent."
                    raise JournalError(message)
                number = _insert_transaction(connection, lease, transaction)
                _insert_attempt(connection, number, signed, fees)
                for item in transaction.items:
                    _move(connection, item.key, item.revision, ItemState.SENT)
        except IntegrityError as error:
            message = (
                "An item of this transaction is in another live transaction, or its nonce is "
                "taken; nothing was sent."
            )
            raise JournalError(message) from error
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
        open_states = (TransactionState.RECORDED, TransactionState.INCLUDED)
        query = (
            select(t.transactions)
            .where(
                t.transactions.c.chain == chain,
                t.transactions.c.sender == sender,
                t.transactions.c.state.in_(open_states),
            )
            .order_by(t.transactions.c.nonce, t.transactions.c.id)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
            return [_transaction(connection, row) for row in rows]

    def of_intent(self, chain: str, intent: str) -> list[RecordedTransaction]:
        """Return all transactions recorded for an intent (a scope or a call's), by nonce."""
        query = (
            select(t.transactions)
            .where(t.transactions.c.chain == chain, t.transactions.c.scope == intent)
            .order_by(t.transactions.c.nonce, t.transactions.c.id)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
            return [_transaction(connection, row) for row in rows]

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
        open_states = (TransactionState.RECORDED, TransactionState.INCLUDED)
        with self._database.writing() as connection:
            connection.execute(
                update(t.transactions)
                .where(t.transactions.c.id == transaction, t.transactions.c.state.in_(open_states))
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
            changed = connection.execute(
                update(t.transactions)
                .where(
                    t.transactions.c.id == transaction,
                    t.transactions.c.state != TransactionState.FINAL,
                )
                .values(
                    state=TransactionState.FINAL,
                    tx_hash=receipt.hash,
                    block_number=receipt.block_number,
                    block_hash=receipt.block_hash,
                    succeeded=receipt.succeeded,
                    fee=str(receipt.fee),
                )
            )
            if changed.rowcount != 1:
                return  # it is final already
            for outcome in outcomes:
                _settle_item(connection, transaction, receipt.hash, outcome)


def _next_nonce(connection: Connection, chain: str, sender: str) -> int:
    lane = and_(t.transactions.c.chain == chain, t.transactions.c.sender == sender)
    highest = connection.execute(select(func.max(t.transactions.c.nonce)).where(lane)).scalar()
    if highest is not None:
        return int(highest) + 1
    first = select(t.lanes.c.first_nonce).where(
        t.lanes.c.chain == chain, t.lanes.c.sender == sender
    )
    return int(connection.execute(first).scalar_one())


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
    if transaction.items:
        connection.execute(
            insert(t.transaction_items),
            [
                {
                    "transaction_id": number,
                    "key": item.key,
                    "revision": item.revision,
                    "position": item.index,
                    "digest": item.digest,
                    "live": True,
                }
                for item in transaction.items
            ],
        )
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


def _settle_item(
    connection: Connection, transaction: int, tx_hash: str, outcome: ItemOutcome
) -> None:
    back = outcome.state is ItemState.RESERVED
    _move(
        connection,
        outcome.key,
        outcome.revision,
        outcome.state,
        reason=outcome.reason,
        tx_hash=None if back else tx_hash,
        log=outcome.log,
        resends=t.items.c.resends + int(outcome.counts_as_resend),
    )
    connection.execute(
        update(t.transaction_items)
        .where(
            t.transaction_items.c.transaction_id == transaction,
            t.transaction_items.c.key == outcome.key,
        )
        .values(live=False, outcome=outcome.state)
    )
    if outcome.state in RELEASES:
        _release(connection, outcome)


def _release(connection: Connection, outcome: ItemOutcome) -> None:
    """Give back the spend of a send that failed at finality; a re-send reserves again."""
    held = and_(
        t.reservations.c.key == outcome.key,
        t.reservations.c.revision == outcome.revision,
        ~t.reservations.c.released,
    )
    for row in connection.execute(select(t.reservations).where(held)).all():
        connection.execute(
            update(t.budgets)
            .where(t.budgets.c.budget == row.budget)
            .values(used=t.budgets.c.used - row.units)
        )
    connection.execute(update(t.reservations).where(held).values(released=True))


def _move(connection: Connection, key: str, revision: int, to: ItemState, **values: Any) -> None:  # noqa: ANN401
    allowed = [state for state, nexts in ITEM_TRANSITIONS.items() if to in nexts]
    changed = connection.execute(
        update(t.items)
        .where(
            t.items.c.key == key,
            t.items.c.revision == revision,
            t.items.c.state.in_(allowed),
        )
        .values(state=to, **values)
    )
    if changed.rowcount != 1:
        message = f"Item {key[:12]}.. cannot become {to} from where it stands; nothing was changed."
        raise JournalError(message)


def _transaction(connection: Connection, row: Row[Any]) -> RecordedTransaction:
    held = t.transaction_items
    items = connection.execute(
        select(held).where(held.c.transaction_id == row.id).order_by(held.c.position)
    )
    attempts = connection.execute(select(t.attempts).where(t.attempts.c.transaction_id == row.id))
    return RecordedTransaction(
        id=row.id,
        chain=row.chain,
        sender=row.sender,
        nonce=row.nonce,
        kind=row.kind,
        call=Call(row.recipient, row.data, row.gas_limit, int(row.value)),
        run=row.run,
        agent=row.agent,
        scope=row.scope,
        state=TransactionState(row.state),
        items=tuple(
            TransactionItem(item.key, item.revision, item.position, item.digest) for item in items
        ),
        attempts=tuple(
            Attempt(
                SignedTransaction(attempt.tx_hash, attempt.raw),
                FeeQuote(
                    int(attempt.max_fee_per_gas),
                    int(attempt.max_priority_fee_per_gas),
                    attempt.quoted_at_block,
                ),
                broadcast=attempt.broadcast,
            )
            for attempt in attempts
        ),
        included=None
        if row.tx_hash is None
        else Inclusion(row.tx_hash, row.block_number, row.succeeded),
    )
