"""Manifests, items and budgets in SQL."""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from airflow_cwf.adapters.journal import tables as t
from airflow_cwf.adapters.journal.database import Database
from airflow_cwf.core.errors import JournalError
from airflow_cwf.core.intents import PlanItem, Scope
from airflow_cwf.core.journal import ItemRow
from airflow_cwf.core.states import PAYABLE, ItemState, Reason

BUDGET_DECIMALS = 6
CHUNK = 500
"""Keys per statement: below SQLite's limit on variables."""


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
            for chunk in _chunks(keys):
                query = select(t.keys).where(t.keys.c.key.in_(chunk))
                for row in connection.execute(query):
                    found[row.key] = (row.scope, row.position)
        return found

    def freeze(self, scopes: Sequence[Scope], items: Sequence[PlanItem]) -> None:
        """Store new scopes with their manifests and items, in one commit."""
        if not scopes:
            return
        try:
            with self._database.writing() as connection:
                connection.execute(
                    insert(t.scopes),
                    [
                        {
                            "scope": s.id,
                            "payroll_id": s.payroll_id,
                            "chain": s.chain,
                            "payer": s.payer,
                            "contract": s.contract,
                            "token": s.token,
                            "part": s.part,
                            "digest": s.digest,
                        }
                        for s in scopes
                    ],
                )
                connection.execute(
                    insert(t.keys),
                    [{"key": i.key, "scope": i.scope, "position": i.index} for i in items],
                )
                connection.execute(insert(t.items), [_new_item(item) for item in items])
        except IntegrityError as error:
            message = (
                "Another load froze these payments at the same moment; nothing was changed. "
                "Load them again."
            )
            raise JournalError(message) from error

    def correct(self, corrected: Sequence[PlanItem], revised: Sequence[PlanItem]) -> None:
        """Change never-signed items, and add the next revision of failed ones."""
        if not corrected and not revised:
            return
        with self._database.writing() as connection:
            for item in corrected:
                changed = connection.execute(
                    update(t.items)
                    .where(_is(item), t.items.c.state.in_(PAYABLE), ~_signed(t.items))
                    .values(
                        digest=item.digest,
                        amount=str(item.amount),
                        state=ItemState.LOADED,
                        reason=None,
                    )
                )
                if changed.rowcount != 1:
                    message = (
                        f"Item {item.index} was signed while its correction was loaded; "
                        "nothing was changed. Load the file again."
                    )
                    raise JournalError(message)
            if revised:
                connection.execute(insert(t.items), [_new_item(item) for item in revised])

    def items(self, scope: str) -> list[ItemRow]:
        """Return the current revision of each of a scope's items, by index."""
        latest = (
            select(t.items.c.key, func.max(t.items.c.revision).label("revision"))
            .join(t.keys, t.keys.c.key == t.items.c.key)
            .where(t.keys.c.scope == scope)
            .group_by(t.items.c.key)
            .subquery()
        )
        query = (
            select(t.items, t.keys.c.scope, t.keys.c.position, _signed(t.items).label("signed"))
            .join(t.keys, t.keys.c.key == t.items.c.key)
            .join(
                latest,
                and_(latest.c.key == t.items.c.key, latest.c.revision == t.items.c.revision),
            )
            .order_by(t.keys.c.position)
        )
        with self._database.reading() as connection:
            return [_item(row) for row in connection.execute(query)]

    def reserve(
        self, items: Sequence[PlanItem], *, budget: str, cap: int | None, decimals: int
    ) -> list[PlanItem]:
        """Reserve the spend of `items`; return those for which `cap` left no room."""
        refused: list[PlanItem] = []
        with self._database.writing() as connection:
            used = _open_budget(connection, budget)
            room = None if cap is None else cap - used
            states = _current(connection, items)
            held = _held(connection, budget, items)
            rows: list[dict[str, Any]] = []
            for item in sorted(items, key=lambda item: item.key):
                send = states[item.key]
                if (item.key, item.revision, send) in held:
                    continue
                units = -(-item.amount * 10**BUDGET_DECIMALS // 10**decimals)
                if room is not None and units > room:
                    refused.append(item)
                    continue
                room = None if room is None else room - units
                rows.append(_reservation(budget, item, send=send, units=units))
            _take(connection, budget, rows, cap=cap)
            lost = {item.key for item in refused}
            kept = [item for item in items if item.key not in lost]
            _set_state(connection, kept, ItemState.RESERVED, None)
            _set_state(connection, refused, ItemState.REFUSED, Reason.OVER_CAP)
        return refused

    def refuse(self, items: Sequence[PlanItem], reason: str) -> None:
        """Mark never-signed items as refused."""
        with self._database.writing() as connection:
            _set_state(connection, items, ItemState.REFUSED, reason)


def _open_budget(connection: Connection, budget: str) -> int:
    """Return what is used, making the row at first use and locking it (the write does)."""
    changed = connection.execute(
        update(t.budgets).where(t.budgets.c.budget == budget).values(used=t.budgets.c.used)
    )
    if changed.rowcount == 0:
        connection.execute(insert(t.budgets).values(budget=budget, used=0))
    query = select(t.budgets.c.used).where(t.budgets.c.budget == budget)
    return int(connection.execute(query).scalar_one())


def _take(
    connection: Connection, budget: str, rows: list[dict[str, Any]], *, cap: int | None
) -> None:
    total = sum(row["units"] for row in rows)
    if not rows:
        return
    change = update(t.budgets).where(t.budgets.c.budget == budget)
    if cap is not None:
        change = change.where(t.budgets.c.used + total <= cap)
    if connection.execute(change.values(used=t.budgets.c.used + total)).rowcount != 1:
        message = f"The budget {budget} changed under a reservation; nothing was reserved."
        raise JournalError(message)
    connection.execute(insert(t.reservations), rows)


def _current(connection: Connection, items: Sequence[PlanItem]) -> dict[str, int]:
    """Return how often each item was re-sent: a re-send reserves anew."""
    resends: dict[tuple[str, int], int] = {}
    for chunk in _chunks([item.key for item in items]):
        query = select(t.items.c.key, t.items.c.revision, t.items.c.resends).where(
            t.items.c.key.in_(chunk)
        )
        for row in connection.execute(query):
            resends[row.key, row.revision] = row.resends
    return {item.key: resends[item.key, item.revision] for item in items}


def _held(
    connection: Connection, budget: str, items: Sequence[PlanItem]
) -> set[tuple[str, int, int]]:
    held: set[tuple[str, int, int]] = set()
    for chunk in _chunks([item.key for item in items]):
        query = select(
            t.reservations.c.key, t.reservations.c.revision, t.reservations.c.send
        ).where(t.reservations.c.budget == budget, t.reservations.c.key.in_(chunk))
        held.update((row.key, row.revision, row.send) for row in connection.execute(query))
    return held


def _reservation(budget: str, item: PlanItem, *, send: int, units: int) -> dict[str, Any]:
    return {
        "budget": budget,
        "key": item.key,
        "revision": item.revision,
        "send": send,
        "units": units,
        "released": False,
    }


def _set_state(
    connection: Connection, items: Iterable[PlanItem], state: ItemState, reason: str | None
) -> None:
    rows = [{"item_key": item.key, "item_revision": item.revision} for item in items]
    if rows:
        change = (
            update(t.items)
            .where(
                t.items.c.key == bindparam("item_key"),
                t.items.c.revision == bindparam("item_revision"),
                or_(*(t.items.c.state == payable for payable in sorted(PAYABLE))),
            )
            .values(state=state, reason=reason)
        )
        connection.execute(change, rows)


def _is(item: PlanItem) -> Any:  # noqa: ANN401 - an SQL expression
    return and_(t.items.c.key == item.key, t.items.c.revision == item.revision)


def _signed(table: Any) -> Any:  # noqa: ANN401 - an SQL expression
    held = t.transaction_items
    return exists().where(held.c.key == table.c.key, held.c.revision == table.c.revision)


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


def _item(row: Row[Any]) -> ItemRow:
    return ItemRow(
        key=row.key,
        revision=row.revision,
        scope=row.scope,
        index=row.position,
        digest=row.digest,
        amount=int(row.amount),
        state=ItemState(row.state),
        reason=row.reason,
        salt=row.salt,
        resends=row.resends,
        signed=bool(row.signed),
        tx_hash=row.tx_hash,
        log=row.log,
    )


def _chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]
