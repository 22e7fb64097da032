"""Budgets in SQL: what is reserved, for which send of which item, and what is given back."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from airflow_cwf.adapters.journal import tables as t
from airflow_cwf.adapters.journal.items import Standing, chunks
from airflow_cwf.core.errors import JournalError
from airflow_cwf.core.intents import PlanItem

BUDGET_DECIMALS = 6
MAX_USED = 2**63 - 1
"""What the column holds. SQLite would go on in floating point, so no budget passes it."""


@dataclass(frozen=True, slots=True)
class Split:
    """Items that a budget has room for, and those that it has none for."""

    kept: tuple[PlanItem, ...]
    refused: tuple[PlanItem, ...]


def reserve(
    connection: Connection,
    items: Sequence[PlanItem],
    found: Mapping[str, Standing],
    *,
    budget: str,
    cap: int | None,
    decimals: int,
) -> Split:
    """Reserve the spend of `items` in `budget`, in order of keys, as far as `cap` allows.

    Every send of an item reserves once, however often this is called before it is recorded.
    """
    room = min(MAX_USED if cap is None else cap, MAX_USED) - _open(connection, budget)
    held = _held(connection, budget, [item.key for item in items])
    kept: list[PlanItem] = []
    refused: list[PlanItem] = []
    rows: list[dict[str, Any]] = []
    for item in sorted(items, key=lambda item: item.key):
        send = (item.key, item.revision, found[item.key].sends)
        units = -(-item.amount * 10**BUDGET_DECIMALS // 10**decimals)
        if send not in held and units > room:
            refused.append(item)
            continue
        kept.append(item)
        if send not in held:
            room -= units
            rows.append(_row(budget, send, units))
    _take(connection, budget, rows, cap=cap)
    return Split(tuple(kept), tuple(refused))


def release(connection: Connection, sends: Collection[tuple[str, int]]) -> None:
    """Give back, on all budgets, what (key, revision) holds; a re-send reserves again."""
    rows = _unreleased(connection, sends)
    _give_back(connection, rows)
    _of_row(connection, update(t.reservations).values(released=True), rows)


def forget(connection: Connection, sends: Collection[tuple[str, int]]) -> None:
    """Drop the reservations of (key, revision) that was never signed and now moves otherwise."""
    rows = _unreleased(connection, sends)
    _give_back(connection, rows)
    _of_row(connection, delete(t.reservations), rows)


def _open(connection: Connection, budget: str) -> int:
    """Return what is used, making the row at first use; PostgreSQL locks it."""
    query = select(t.budgets.c.used).where(t.budgets.c.budget == budget).with_for_update()
    used = connection.execute(query).scalar_one_or_none()
    if used is None:
        connection.execute(insert(t.budgets).values(budget=budget, used=0))
        return 0
    return int(used)


def _take(
    connection: Connection, budget: str, rows: list[dict[str, Any]], *, cap: int | None
) -> None:
    if not rows:
        return
    total = sum(row["units"] for row in rows)
    limit = min(MAX_USED if cap is None else cap, MAX_USED)
    statement = (
        update(t.budgets)
        .where(t.budgets.c.budget == budget, t.budgets.c.used <= limit - total)
        .values(used=t.budgets.c.used + total)
    )
    if connection.execute(statement).rowcount != 1:
        message = f"The budget {budget} changed under a reservation; nothing was reserved."
        raise JournalError(message)
    connection.execute(insert(t.reservations), rows)


def _held(connection: Connection, budget: str, keys: Sequence[str]) -> set[tuple[str, int, int]]:
    held: set[tuple[str, int, int]] = set()
    table = t.reservations.c
    for chunk in chunks(keys):
        query = select(table.key, table.revision, table.send).where(
            table.budget == budget, table.key.in_(chunk), ~table.released
        )
        held.update(tuple(row) for row in connection.execute(query).all())
    return held


def _unreleased(connection: Connection, sends: Collection[tuple[str, int]]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for chunk in chunks(sorted({key for key, _ in sends})):
        query = (
            select(t.reservations)
            .where(t.reservations.c.key.in_(chunk), ~t.reservations.c.released)
            .order_by(t.reservations.c.budget, t.reservations.c.key)
        )
        for row in connection.execute(query):
            if (row.key, row.revision) in sends:
                send = (row.key, row.revision, row.send)
                rows.append(_row(row.budget, send, row.units))
    return rows


def _give_back(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    sums: dict[str, int] = {}
    for row in rows:
        sums[row["budget"]] = sums.get(row["budget"], 0) + row["units"]
    for budget, units in sorted(sums.items()):
        connection.execute(
            update(t.budgets)
            .where(t.budgets.c.budget == budget)
            .values(used=t.budgets.c.used - units)
        )


def _of_row(connection: Connection, statement: Any, rows: Sequence[Mapping[str, Any]]) -> None:  # noqa: ANN401 - an SQL statement
    names = ("budget", "key", "revision", "send")
    if rows:
        same = (t.reservations.c[name] == bindparam(f"of_{name}") for name in names)
        values = [{f"of_{name}": row[name] for name in names} for row in rows]
        connection.execute(statement.where(*same), values)


def _row(budget: str, send: tuple[str, int, int], units: int) -> dict[str, Any]:
    key, revision, number = send
    return {
        "budget": budget,
        "key": key,
        "revision": revision,
        "send": number,
        "units": units,
        "released": False,
    }
