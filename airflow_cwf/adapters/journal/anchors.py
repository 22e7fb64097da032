"""Records on their way into a log, in SQL."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, and_, insert, select, update
from sqlalchemy.exc import IntegrityError

from airflow_cwf.adapters.journal import tables as t
from airflow_cwf.adapters.journal.database import Database
from airflow_cwf.core.anchor_log import BatchRow, RecordState, WaitingRecord
from airflow_cwf.core.errors import JournalError


class SqlAnchorBook:
    """`core.anchor_log.AnchorBook` over SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def publish(self, workflow_id: str, *, cid: str, log: str | None) -> None:
        """Store a proved record's CID, and queue it for its log, in one commit."""
        with self._database.writing() as connection:
            connection.execute(
                update(t.workflows)
                .where(
                    t.workflows.c.workflow_id == workflow_id,
                    t.workflows.c.state == RecordState.RECORDED,
                )
                .values(state=RecordState.PUBLISHED, cid=cid, log=log)
            )

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

    def compose(self, batch: BatchRow, records: Sequence[WaitingRecord]) -> None:
        """Store a batch and give its records the positions from `old_size` on, in one commit."""
        try:
            with self._database.writing() as connection:
                connection.execute(
                    insert(t.batches).values(
                        log=batch.log,
                        old_size=batch.old_size,
                        size=batch.size,
                        document=batch.document,
                    )
                )
                for position, record in enumerate(records, start=batch.old_size):
                    changed = connection.execute(
                        update(t.workflows)
                        .where(
                            t.workflows.c.workflow_id == record.workflow_id,
                            t.workflows.c.position.is_(None),
                        )
                        .values(position=position)
                    )
                    _require_one(changed.rowcount)
        except IntegrityError as error:
            message = "Another worker composed this batch at the same moment; go on with its."
            raise JournalError(message) from error

    def open_batch(self, log: str) -> BatchRow | None:
        """Return the composed batch that is not final yet."""
        query = select(t.batches).where(t.batches.c.log == log, t.batches.c.tx_hash.is_(None))
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


def _require_one(rows: int) -> None:
    if rows != 1:
        message = "A record of this batch was given a position by another worker."
        raise JournalError(message)


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
