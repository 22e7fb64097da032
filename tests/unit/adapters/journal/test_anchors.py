"""Positions in a log: each record one, no gap, whoever composes at the same moment."""

from dataclasses import dataclass

import pytest
from sqlalchemy import event, text

from airflow_cwf.adapters.journal import SqlJournal
from airflow_cwf.core.anchor_log import BatchRow, RecordState
from airflow_cwf.core.errors import JournalError
from airflow_cwf.core.journal_rows import WorkflowRow

LOG, OTHER_LOG = "eip155:1/0xc0/0xaa", "eip155:1/0xc0/0xbb"


def ident(number):
    return f"{number:064x}"


@dataclass
class Shelf:
    journal: SqlJournal

    @property
    def anchors(self):
        return self.journal.anchors

    def add(self, *numbers, log=LOG):
        for number in numbers:
            self.save(number)
            self.anchors.publish(ident(number), cid=f"cid{number}", log=log)

    def save(self, number):
        row = WorkflowRow(
            workflow_id=ident(number),
            run=f"r{number}",
            state=RecordState.RECORDED,
            core_digest="0" * 64,
            artifact="",
            supersedes=None,
            created_at=float(number),
        )
        self.journal.runs.save_workflow(row)

    def waiting(self, log=LOG):
        return self.anchors.waiting(log, limit=1_000)

    def compose(self, records=None, *, old_size=None, log=LOG):
        records = self.waiting(log) if records is None else records
        old = len(self.anchors.leaves(log)) if old_size is None else old_size
        row = BatchRow(log, old, old + len(records), b"batch", None, None)
        return self.anchors.compose(row, records)

    def positions(self, log=LOG):
        return [(r.cid, r.position) for r in self.anchors.leaves(log)]


@pytest.fixture
def shelf(desk):
    return Shelf(desk.journal)


def test_positions_go_on_where_the_last_batch_ended(shelf):
    shelf.add(1, 2)
    assert shelf.compose()
    shelf.add(3)
    assert shelf.compose()
    assert shelf.positions() == [("cid1", 0), ("cid2", 1), ("cid3", 2)]
    assert shelf.waiting() == []


def test_each_log_has_positions_of_its_own(shelf):
    shelf.add(1, 2)
    shelf.add(3, log=OTHER_LOG)
    assert shelf.compose()
    assert shelf.compose(log=OTHER_LOG)
    assert shelf.positions(OTHER_LOG) == [("cid3", 0)]


def test_the_first_cid_of_a_record_counts(shelf):
    shelf.save(1)
    assert shelf.anchors.publish(ident(1), cid="first", log=LOG) == "first"
    assert shelf.anchors.publish(ident(1), cid="second", log=OTHER_LOG) == "first"
    assert [r.cid for r in shelf.waiting()] == ["first"]
    assert shelf.waiting(OTHER_LOG) == []


def test_publishing_what_was_never_recorded_is_refused(shelf):
    with pytest.raises(JournalError, match="has no record 0x0"):
        shelf.anchors.publish(ident(1), cid="cid", log=LOG)


def test_records_that_another_worker_has_taken_are_not_taken_twice(shelf):
    shelf.add(1, 2)
    seen = shelf.waiting()
    assert shelf.compose(seen)
    assert not shelf.compose(seen)
    assert not shelf.compose(seen, old_size=0)
    assert shelf.positions() == [("cid1", 0), ("cid2", 1)]


def test_a_batch_that_begins_where_the_log_no_longer_ends_is_not_stored(shelf):
    shelf.add(1)
    shelf.compose()
    shelf.add(2)
    for old_size in (0, 2):
        assert not shelf.compose(old_size=old_size)
    assert [r.cid for r in shelf.waiting()] == ["cid2"]


def test_a_composer_of_half_of_the_others_records_takes_none(shelf):
    shelf.add(1, 2)
    seen = shelf.waiting()
    shelf.compose(seen[:1])
    assert not shelf.compose(seen, old_size=1)
    assert shelf.positions() == [("cid1", 0)]


def test_two_open_batches_are_worked_off_oldest_first(shelf):
    """Composed behind each other's back; each is appended in its turn."""
    shelf.add(1)
    shelf.compose()
    shelf.add(2)
    shelf.compose()
    first = shelf.anchors.open_batch(LOG)
    assert first.old_size == 0
    shelf.anchors.close_batch(first, tx_hash="0x1", block=5)
    second = shelf.anchors.open_batch(LOG)
    assert second.old_size == 1
    assert shelf.anchors.batch_of(ident(1)).tx_hash == "0x1"
    assert shelf.anchors.batch_of(ident(2)) == second
    shelf.anchors.close_batch(second, tx_hash="0x2", block=6)
    assert shelf.anchors.open_batch(LOG) is None


def test_closing_a_batch_twice_changes_nothing(shelf):
    shelf.add(1)
    shelf.compose()
    batch = shelf.anchors.open_batch(LOG)
    for _ in range(2):
        shelf.anchors.close_batch(batch, tx_hash="0x1", block=5)
    assert shelf.anchors.batch_of(ident(1)).block == 5


def test_a_record_is_withdrawn_only_before_it_has_a_position(shelf):
    shelf.add(1, 2)
    assert shelf.anchors.withdraw(ident(1), core_digest="c" * 64)
    assert [r.cid for r in shelf.waiting()] == ["cid2"]
    assert shelf.journal.runs.workflow("r1").core_digest == "c" * 64
    shelf.compose()
    assert not shelf.anchors.withdraw(ident(2), core_digest="c" * 64)
    assert shelf.anchors.publish(ident(1), cid="anew", log=OTHER_LOG) == "anew"


def test_a_withdrawn_record_is_not_composed_by_who_saw_it_waiting(shelf):
    shelf.add(1)
    seen = shelf.waiting()
    shelf.anchors.withdraw(ident(1), core_digest="c" * 64)
    shelf.anchors.publish(ident(1), cid="anew", log=LOG)
    assert not shelf.compose(seen)
    assert shelf.positions() == []


def test_waiting_records_come_oldest_first_and_no_more_than_asked_for(shelf):
    shelf.add(3, 1, 2)
    assert [r.cid for r in shelf.anchors.waiting(LOG, limit=2)] == ["cid1", "cid2"]


def test_a_batch_row_that_another_process_committed_in_between_is_no_error(shelf):
    """PostgreSQL lets two composers look before either has committed; the key then decides."""
    shelf.add(1)

    inserted = []

    def row_of_another(connection, _cursor, statement, *_):
        if statement.startswith("INSERT INTO batches") and not inserted:
            inserted.append(statement)
            connection.execute(
                text("INSERT INTO batches (log, old_size, size, document) VALUES (:l, 0, 1, :d)"),
                {"l": LOG, "d": b"other"},
            )

    engine = shelf.journal._database.engine
    event.listen(engine, "before_cursor_execute", row_of_another)
    assert not shelf.compose()
    assert [r.cid for r in shelf.waiting()] == ["cid1"]
