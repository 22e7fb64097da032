"""Items inside a write transaction: looked at first, then changed in bulk."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, select, update

from airflow_cwf.adapters.journal import tables as t
from airflow_cwf.core.errors import JournalError
from airflow_cwf.core.intents import PlanItem
from airflow_cwf.core.journal_rows import TransactionItem
from airflow_cwf.core.states import ITEM_TRANSITIONS, ItemState

CHUNK: Final = 500
"""Keys per statement: below SQLite's limit on variables."""
ITEM_STATES: Final[Mapping[str, ItemState]] = {state.value: state for state in ItemState}
"""By their stored text; far faster than calling the enum for thousands of rows."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The current revision of one key, as this transaction sees it."""

    revision: int
    digest: str
    state: ItemState
    reason: str | None
    scope: str
    index: int
    resends: int
    sends: int
    """How many transactions ever held this revision."""


def standings(connection: Connection, of_keys: Sequence[str]) -> dict[str, Standing]:
    """Return how `of_keys` stand; PostgreSQL locks their rows until the commit, in order of keys.

    A key that no manifest holds is absent.
    """
    found: dict[str, Standing] = {}
    items, keys = t.items.c, t.keys.c
    for chunk in chunks(sorted(of_keys)):
        sends = _sends(connection, chunk)
        query = (
            select(items.key, items.revision, items.digest, items.state, items.reason)
            .add_columns(keys.scope, keys.position, items.resends)
            .join_from(t.items, t.keys, keys.key == items.key)
            .where(items.key.in_(chunk))
            .order_by(items.key, items.revision)  # the newest revision comes last
            .with_for_update(of=t.items)
        )
        for key, revision, digest, state, reason, *rest in connection.execute(query).all():
            scope, index, resends = rest
            sent = sends.get((key, revision), 0)
            found[key] = Standing(
                revision, digest, ITEM_STATES[state], reason, scope, index, resends, sent
            )
    return found


def check(
    standing: Standing | None, item: PlanItem | TransactionItem, *, scope: str | None
) -> ItemState:
    """Return the item's state, if it is still what the caller read.

    Raises:
        JournalError: it was corrected or revised meanwhile, or has another place.
    """
    wanted = (item.revision, item.digest, scope, item.index)
    if standing is None or wanted != (
        standing.revision,
        standing.digest,
        standing.scope,
        standing.index,
    ):
        message = (
            f"Item {item.key[:12]}.. at index {item.index} is not the payment that the journal "
            "holds there: it was corrected or revised meanwhile, or the plan file was changed. "
            "Nothing was changed or sent. Load and approve the payments again."
        )
        raise JournalError(message)
    return standing.state


def check_transition(
    key: str, state: ItemState, to: ItemState, *, among: Collection[ItemState]
) -> None:
    """Refuse what `ITEM_TRANSITIONS` does not allow, and what is not this caller's to change.

    Args:
        key: of the item.
        state: in which it stands.
        to: what it would become.
        among: states that the caller may change; only finality takes an item out of `SENT`.

    Raises:
        JournalError: names both states.
    """
    if state not in among or to not in ITEM_TRANSITIONS[state]:
        message = (
            f"Item {key[:12]}.. is {state} and cannot become {to}; nothing was changed or sent. "
            "Run the task again: it starts from what the journal holds now."
        )
        raise JournalError(message)


def change(connection: Connection, rows: Sequence[Mapping[str, Any]], *columns: str) -> None:
    """Set `columns` of items that were looked at in this transaction.

    Args:
        connection: inside a write transaction.
        rows: each with `of_key`, `of_revision` and `new_<column>` for each column.
        columns: which ones to set.
    """
    if rows:
        statement = (
            update(t.items)
            .where(
                t.items.c.key == bindparam("of_key"),
                t.items.c.revision == bindparam("of_revision"),
            )
            .values({name: bindparam(f"new_{name}") for name in columns})
        )
        connection.execute(statement, rows)


def chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield `values` in pieces that fit into one statement."""
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


def _sends(connection: Connection, keys: Sequence[str]) -> dict[tuple[str, int], int]:
    held = t.transaction_items.c
    query = (
        select(held.key, held.revision, func.count().label("sends"))
        .where(held.key.in_(keys))
        .group_by(held.key, held.revision)
    )
    return {(key, revision): sends for key, revision, sends in connection.execute(query).all()}
