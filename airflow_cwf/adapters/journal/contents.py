"""What a transaction carries: its items and attempts, written, read and settled in bulk."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from airflow_cwf.adapters.journal import tables as t
from airflow_cwf.adapters.journal.budgets import release
from airflow_cwf.adapters.journal.items import CHUNK, change, check, check_transition, standings
from airflow_cwf.core.errors import JournalError
from airflow_cwf.core.journal_rows import (
    Attempt,
    Inclusion,
    ItemOutcome,
    NewTransaction,
    RecordedTransaction,
    TransactionItem,
)
from airflow_cwf.core.states import ItemState, TransactionState
from airflow_cwf.core.transactions import Call, FeeQuote, SignedTransaction

RELEASES: Final = frozenset({ItemState.FAILED, ItemState.RESERVED})
"""Outcomes at finality that give the spend of this send back."""


def insert_items(connection: Connection, number: int, transaction: NewTransaction) -> None:
    """Put items into transaction `number`, if each is still what its plan says.

    Raises:
        JournalError: one is not reserved, or is another payment now.
    """
    found = standings(connection, [item.key for item in transaction.items])
    for item in transaction.items:
        state = check(found.get(item.key), item, scope=transaction.scope)
        check_transition(item.key, state, ItemState.SENT, among={ItemState.RESERVED})
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
    rows = [
        {"of_key": i.key, "of_revision": i.revision, "new_state": ItemState.SENT}
        for i in transaction.items
    ]
    change(connection, rows, "state")


def settle_items(
    connection: Connection, number: int, outcomes: Sequence[ItemOutcome], *, tx_hash: str
) -> None:
    """Write down what final transaction `number` did to each of its items; free failed spends.

    Raises:
        JournalError: the outcomes are not those of its items, one for each.
    """
    held = t.transaction_items
    live = select(held.c.key, held.c.revision).where(held.c.transaction_id == number, held.c.live)
    carried = sorted((row.key, row.revision) for row in connection.execute(live))
    if carried != sorted((outcome.key, outcome.revision) for outcome in outcomes):
        message = (
            f"Transaction {number} carries {len(carried)} items, and the {len(outcomes)} outcomes "
            "are not one for each of them; nothing was changed."
        )
        raise JournalError(message)
    states = _resends(connection, outcomes)
    rows = [_settled(outcome, states[outcome.key], tx_hash) for outcome in outcomes]
    change(connection, rows, "state", "reason", "tx_hash", "log", "resends")
    if outcomes:
        connection.execute(
            update(held)
            .where(held.c.transaction_id == number, held.c.key == bindparam("of_key"))
            .values(live=False, outcome=bindparam("new_state")),
            [{"of_key": o.key, "new_state": o.state} for o in outcomes],
        )
    release(connection, {(o.key, o.revision) for o in outcomes if o.state in RELEASES})


def read_transactions(
    connection: Connection, rows: Sequence[Row[Any]]
) -> list[RecordedTransaction]:
    """Return transactions with their items and attempts."""
    items: dict[int, list[TransactionItem]] = defaultdict(list)
    attempts: dict[int, list[Attempt]] = defaultdict(list)
    for start in range(0, len(rows), CHUNK):
        numbers = [row.id for row in rows[start : start + CHUNK]]
        held = t.transaction_items
        for row in connection.execute(
            select(held).where(held.c.transaction_id.in_(numbers)).order_by(held.c.position)
        ):
            item = TransactionItem(row.key, row.revision, row.position, row.digest)
            items[row.transaction_id].append(item)
        for row in connection.execute(
            select(t.attempts).where(t.attempts.c.transaction_id.in_(numbers))
        ):
            attempts[row.transaction_id].append(_attempt(row))
    return [_transaction(row, items[row.id], attempts[row.id]) for row in rows]


def _resends(connection: Connection, outcomes: Sequence[ItemOutcome]) -> Mapping[str, int]:
    found = standings(connection, [outcome.key for outcome in outcomes])
    for outcome in outcomes:
        state = found[outcome.key].state
        check_transition(outcome.key, state, outcome.state, among={ItemState.SENT})
    return {key: standing.resends for key, standing in found.items()}


def _settled(outcome: ItemOutcome, resends: int, tx_hash: str) -> dict[str, Any]:
    back = outcome.state is ItemState.RESERVED
    return {
        "of_key": outcome.key,
        "of_revision": outcome.revision,
        "new_state": outcome.state,
        "new_reason": outcome.reason,
        "new_tx_hash": None if back else tx_hash,
        "new_log": outcome.log,
        "new_resends": resends + int(outcome.counts_as_resend),
    }


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(
        SignedTransaction(row.tx_hash, row.raw),
        FeeQuote(int(row.max_fee_per_gas), int(row.max_priority_fee_per_gas), row.quoted_at_block),
        broadcast=row.broadcast,
    )


def _transaction(
    row: Row[Any], items: Sequence[TransactionItem], attempts: Sequence[Attempt]
) -> RecordedTransaction:
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
        items=tuple(items),
        attempts=tuple(attempts),
        included=None
        if row.tx_hash is None
        else Inclusion(row.tx_hash, row.block_number, row.succeeded),
    )
