"""Records on their way into a log, in SQL."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from airflow_cwf.adapters.journal import tables as t
from airflow_cwf.adapters.journal.database import Database
from airflow_cwf.core.anchor_log import BatchRow, RecordState, WaitingRecord
from airflow_cwf.core.errors import JournalError


class SqlAnchorBook:
    """`core.anchor_log.AnchorBook` over SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def publish(self, workflow_id: str, *, cid: str, log: str | None) -> str:
        """Store a proved record's CID, queue it for its log, in one commit; return what counts."""
        chosen = select(t.workflows.c.cid).where(t.workflows.c.workflow_id == workflow_id)
        with self._database.writing() as connection:
            connection.execute(
                update(t.workflows)
                .where(
                    t.workflows.c.workflow_id == workflow_id,
                    t.workflows.c.state == RecordState.RECORDED,
                )
                .values(state=RecordState.PUBLISHED, cid=cid, log=log)
            )
            found = connection.execute(chosen).scalar_one_or_none()
        if found is None:
            message = f"The journal has no record 0x{workflow_id}; nothing was published."
            raise JournalError(message)
        return str(found)

    def withdraw(self, workflow_id: str, *, core_digest: str) -> bool:
        """Take a record that has no position out of its queue: it is made anew, with this core."""
        with self._database.writing() as connection:
            changed = connection.execute(
                update(t.workflows)
                .where(t.workflows.c.workflow_id == workflow_id, t.workflows.c.position.is_(None))
                .values(state=RecordState.RECORDED, cid=None, log=None, core_digest=core_digest)
            )
        return changed.rowcount == 1

    def leaves(self, log: str) -> list[WaitingRecord]:
        """Return the records that have a position, in its order."""
        query = (
            select(t.workflows)
            .where(t.workflows.c.log == log, t.workflows.c.position.is_not(None))
            .order_by(t.workflows.c.position)
        )
        with self._database.reading() as connection:
            return [_record(row) for row in connection.execute(query)]

    def waiting(self, log: str, *, limit: int) -> list[WaitingRecord]:
        """Return published records without a position, oldest first."""
        query = (
            select(t.workflows)
            .where(
                t.workflows.c.log == log,
                t.workflows.c.state == RecordState.PUBLISHED,
                t.workflows.c.position.is_(None),
            )
            .order_by(t.workflows.c.created_at, t.workflows.c.workflow_id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [_record(row) for row in connection.execute(query)]

    def compose(self, batch: BatchRow, records: Sequence[WaitingRecord]) -> bool:
        """Store a batch and give its records the positions from `old_size` on, in one commit."""
        try:
            with self._database.writing() as connection:
                if not _still_fits(connection, batch, records):
                    return False
                connection.execute(
                    insert(t.batches).values(
                        log=batch.log,
                        old_size=batch.old_size,
                        size=batch.size,
                        document=batch.document,
                    )
                )
                for position, record in enumerate(records, start=batch.old_size):
                    connection.execute(
                        update(t.workflows)
                        .where(t.workflows.c.workflow_id == record.workflow_id)
                        .values(position=position)
                    )
        except JournalError as error:
            if isinstance(error.__cause__, IntegrityError):  # another worker's, committed first
                return False
            raise
        return True

    def open_batch(self, log: str) -> BatchRow | None:
        """Return the oldest composed batch that is not final yet."""
        query = (
            select(t.batches)
            .where(t.batches.c.log == log, t.batches.c.tx_hash.is_(None))
            .order_by(t.batches.c.old_size)
            .limit(1)
        )
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _batch(row)

    def close_batch(self, batch: BatchRow, *, tx_hash: str, block: int) -> None:
        """Note the final append of a batch; its records are anchored."""
        inside = and_(
            t.workflows.c.log == batch.log,
            t.workflows.c.position >= batch.old_size,
            t.workflows.c.position < batch.size,
        )
        with self._database.writing() as connection:
            connection.execute(
                update(t.batches)
                .where(t.batches.c.log == batch.log, t.batches.c.old_size == batch.old_size)
                .values(tx_hash=tx_hash, block=block)
            )
            connection.execute(update(t.workflows).where(inside).values(state=RecordState.ANCHORED))

    def batch_of(self, workflow_id: str) -> BatchRow | None:
        """Return the batch that holds a record."""
        query = (
            select(t.batches)
            .join(t.workflows, t.workflows.c.log == t.batches.c.log)
            .where(
                t.workflows.c.workflow_id == workflow_id,
                t.workflows.c.position >= t.batches.c.old_size,
                t.workflows.c.position < t.batches.c.size,
            )
        )
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _batch(row)


def _still_fits(connection: Connection, batch: BatchRow, records: Sequence[WaitingRecord]) -> bool:
    """Return whether these records still wait, and the log still ends where the batch begins.

    The rows stay locked, so that whoever composes some of them too comes after this commit.
    """
    waiting = select(t.workflows.c.workflow_id, t.workflows.c.cid).where(
        t.workflows.c.workflow_id.in_([record.workflow_id for record in records]),
        t.workflows.c.state == RecordState.PUBLISHED,
        t.workflows.c.position.is_(None),
    )
    found = {(row.workflow_id, row.cid) for row in connection.execute(waiting.with_for_update())}
    end = select(func.max(t.batches.c.size)).where(t.batches.c.log == batch.log)
    return (
        found == {(record.workflow_id, record.cid) for record in records}
        and (connection.execute(end).scalar_one() or 0) == batch.old_size
    )


def _record(row: Row[Any]) -> WaitingRecord:
    return WaitingRecord(row.workflow_id, row.run, row.cid, row.position)


def _batch(row: Row[Any]) -> BatchRow:
    return BatchRow(
        log=row.log,
        old_size=row.old_size,
        size=row.size,
        document=row.document,
        tx_hash=row.tx_hash,
        block=row.block,
    )
