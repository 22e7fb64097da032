"""Manifests, items and budgets in SQL."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, exists, insert, select

from airflow_cwf.adapters.journal import tables as t
from airflow_cwf.adapters.journal.budgets import forget, release, reserve
from airflow_cwf.adapters.journal.database import Database
from airflow_cwf.adapters.journal.items import (
    ITEM_STATES,
    Standing,
    change,
    check,
    check_transition,
    chunks,
    standings,
)
from airflow_cwf.core.errors import JournalError
from airflow_cwf.core.intents import PlanItem, Scope
from airflow_cwf.core.journal_rows import ItemRow
from airflow_cwf.core.states import PAYABLE, ItemState, Reason

REVISABLE: Final = frozenset({ItemState.FAILED, ItemState.RESERVED, ItemState.REFUSED})
"""States of a revision that was sent, failed at finality, and may be followed by another."""


class SqlPaymentBook:
    """`core.journal.PaymentBook` over SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def scopes(self, payroll_id: str) -> list[Scope]:
        """Return a payroll's scopes, by chain and part."""
        query = (
            select(t.scopes)
            .where(t.scopes.c.payroll_id == payroll_id)
            .order_by(t.scopes.c.chain, t.scopes.c.part, t.scopes.c.scope)
        )
        with self._database.reading() as connection:
            return [_scope(row) for row in connection.execute(query)]

    def places(self, keys: Sequence[str]) -> dict[str, tuple[str, int]]:
        """Return `(scope, index)` for those of `keys` that a manifest holds."""
        found: dict[str, tuple[str, int]] = {}
        with self._database.reading() as connection:
            for chunk in chunks(keys):
                query = select(t.keys.c.key, t.keys.c.scope, t.keys.c.position).where(
                    t.keys.c.key.in_(chunk)
                )
                found.update(
                    {key: (scope, index) for key, scope, index in connection.execute(query).all()}
                )
        return found

    def freeze(self, scopes: Sequence[Scope], items: Sequence[PlanItem]) -> None:
        """Store new scopes with their manifests and items, in one commit."""
        if not scopes:
            return
        message = (
            "Another load froze these payments at the same moment; nothing was changed. Load them "
            "again."
        )
        with self._database.writing(conflict=message) as connection:
            connection.execute(insert(t.scopes), [_scope_values(scope) for scope in scopes])
            connection.execute(
                insert(t.keys),
                [{"key": i.key, "scope": i.scope, "position": i.index} for i in items],
            )
            connection.execute(insert(t.items), [_new_item(item) for item in items])

    def correct(self, corrected: Sequence[PlanItem], revised: Sequence[PlanItem]) -> None:
        """Change never-signed items, and add the next revision of failed ones."""
        if not corrected and not revised:
            return
        with self._database.writing() as connection:
            found = standings(connection, [item.key for item in (*corrected, *revised)])
            for item in corrected:
                _check_correctable(item, found.get(item.key))
            for item in revised:
                _check_revisable(item, found.get(item.key))
            # Nothing signed holds these reservations, and the new amounts reserve their own.
            forget(connection, {(item.key, item.revision) for item in corrected})
            release(connection, {(item.key, item.revision - 1) for item in revised})
            change(
                connection,
                [_correction(item) for item in corrected],
                "digest",
                "amount",
                "state",
                "reason",
            )
            if revised:
                connection.execute(insert(t.items), [_new_item(item) for item in revised])

    def items(self, scope: str) -> list[ItemRow]:
        """Return the current revision of each of a scope's items, by index.

        Asked at every poll: 20,000 items take about 0.2 s, most of it in making the rows.
        """
        items, keys, held = t.items.c, t.keys.c, t.transaction_items.c
        signed = exists().where(held.key == items.key, held.revision == items.revision)
        place = (items.key, items.revision, keys.scope, keys.position, items.digest)
        stand = (items.amount, items.state, items.reason, items.salt, items.resends)
        query = (
            select(*place, *stand, signed, items.tx_hash, items.log)
            .join_from(t.keys, t.items, keys.key == items.key)
            .where(keys.scope == scope)
            .order_by(keys.position, items.revision)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        newest = {row[3]: row for row in rows}  # by index; a later revision replaces an earlier
        return [_item(row) for row in newest.values()]

    def reserve(
        self, items: Sequence[PlanItem], *, budget: str, cap: int | None, decimals: int
    ) -> list[PlanItem]:
        """Reserve the spend of `items`; return those for which `cap` left no room."""
        with self._database.writing() as connection:
            found = standings(connection, [item.key for item in items])
            for item in items:
                state = check(found.get(item.key), item, scope=item.scope)
                check_transition(item.key, state, ItemState.RESERVED, among=PAYABLE)
            split = reserve(connection, items, found, budget=budget, cap=cap, decimals=decimals)
            _decide(connection, split.kept, found, ItemState.RESERVED, None)
            _decide(connection, split.refused, found, ItemState.REFUSED, Reason.OVER_CAP)
        return list(split.refused)

    def refuse(self, items: Sequence[PlanItem], reason: str) -> None:
        """Mark items as refused, except those that are in a transaction or at their end."""
        with self._database.writing() as connection:
            found = standings(connection, [item.key for item in items])
            payable = [item for item in items if _is_payable(item, found.get(item.key))]
            _decide(connection, payable, found, ItemState.REFUSED, reason)


def _is_payable(item: PlanItem, standing: Standing | None) -> bool:
    return standing is not None and standing.revision == item.revision and standing.state in PAYABLE


def _check_correctable(item: PlanItem, standing: Standing | None) -> None:
    if not _is_payable(item, standing) or standing is None or standing.sends:
        message = (
            f"Item {item.index} was signed while its correction was loaded; nothing was changed. "
            "Load the file again."
        )
        raise JournalError(message)


def _check_revisable(item: PlanItem, standing: Standing | None) -> None:
    """A revision follows only what has failed at finality: it would pay a second time else."""
    if (
        standing is None
        or standing.revision != item.revision - 1
        or standing.state not in REVISABLE
        or not standing.sends
    ):
        message = (
            f"Item {item.index} was sent, settled or revised while its correction was loaded; "
            "nothing was changed. Load the file again."
        )
        raise JournalError(message)


def _decide(
    connection: Connection,
    items: Iterable[PlanItem],
    found: Mapping[str, Standing],
    state: ItemState,
    reason: str | None,
) -> None:
    """Give payable items another payable state; those that have it cost no write."""
    change(
        connection,
        [
            {
                "of_key": item.key,
                "of_revision": item.revision,
                "new_state": state,
                "new_reason": reason,
            }
            for item in items
            if (found[item.key].state, found[item.key].reason) != (state, reason)
        ],
        "state",
        "reason",
    )


def _correction(item: PlanItem) -> dict[str, Any]:
    return {
        "of_key": item.key,
        "of_revision": item.revision,
        "new_digest": item.digest,
        "new_amount": str(item.amount),
        "new_state": ItemState.LOADED,
        "new_reason": None,
    }


def _scope_values(scope: Scope) -> dict[str, Any]:
    return {
        "scope": scope.id,
        "payroll_id": scope.payroll_id,
        "chain": scope.chain,
        "payer": scope.payer,
        "contract": scope.contract,
        "token": scope.token,
        "part": scope.part,
        "digest": scope.digest,
    }


def _new_item(item: PlanItem) -> dict[str, Any]:
    return {
        "key": item.key,
        "revision": item.revision,
        "digest": item.digest,
        "amount": str(item.amount),
        "state": ItemState.LOADED,
        "reason": None,
        "salt": secrets.token_hex(16),
        "resends": 0,
    }


def _scope(row: Row[Any]) -> Scope:
    return Scope(
        id=row.scope,
        payroll_id=row.payroll_id,
        chain=row.chain,
        payer=row.payer,
        contract=row.contract,
        token=row.token,
        part=row.part,
        digest=row.digest,
    )


def _item(row: Sequence[Any]) -> ItemRow:
    key, revision, scope, index, digest, amount, state, reason, salt, *rest = row
    resends, signed, tx_hash, log = rest
    return ItemRow(
        key=key,
        revision=revision,
        scope=scope,
        index=index,
        digest=digest,
        amount=int(amount),
        state=ITEM_STATES[state],
        reason=reason,
        salt=salt,
        resends=resends,
        signed=bool(signed),
        tx_hash=tx_hash,
        log=log,
    )
