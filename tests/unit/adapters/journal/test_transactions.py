"""What is recorded: once for each key and nonce, and for good, whatever is killed."""

import os
import signal
from dataclasses import replace

import pytest
from sqlalchemy import event

from airflow_cwf.core.errors import JournalError, LaneStoppedError, StaleLeaseError
from airflow_cwf.core.states import ItemState, TransactionState
from tests.fakes.desk import CHAIN, PAYER, receipt_of, signed

S = ItemState


def test_what_was_recorded_is_read_back_byte_for_byte(desk):
    items = desk.freeze(3)
    lease = desk.lease()
    desk.reserve(items)
    recorded = [
        desk.record(lease, items[:2]),
        desk.record(lease, items[2:]),
        desk.record(lease, []),
    ]
    assert desk.journal.lanes.unfinal(CHAIN, PAYER) == recorded
    assert [transaction.nonce for transaction in recorded] == [0, 1, 2]
    assert desk.journal.lanes.next_nonce(CHAIN, PAYER) == 3


@pytest.mark.parametrize("nonce", [0, 2])
def test_only_the_next_nonce_can_be_recorded(desk, nonce):
    items = desk.freeze(2)
    lease = desk.lease()
    desk.reserve(items)
    first = desk.record(lease, items[:1])
    desk.journal.lanes.next_nonce = lambda *_: nonce
    before = desk.dump()
    with pytest.raises(JournalError, match=f"Nonce {nonce} is not the lane's next"):
        desk.record(lease, items[1:])
    assert desk.dump() == before
    assert first.nonce == 0


def test_a_key_is_in_one_live_transaction_even_if_its_state_were_wrong(desk):
    (item,) = desk.freeze(1)
    lease = desk.lease()
    desk.reserve([item])
    desk.record(lease, [item])
    with desk.journal._database.writing() as connection:
        connection.exec_driver_sql("UPDATE items SET state = 'reserved'")
    before = desk.dump()
    with pytest.raises(JournalError, match="in another live transaction"):
        desk.record(lease, [item])
    assert desk.dump() == before


def test_a_scope_of_another_lane_cannot_be_signed_for(desk):
    (item,) = desk.freeze(1)
    desk.reserve([item])
    other = "0x" + "9" * 40
    desk.journal.lanes.adopt(CHAIN, other, first_nonce=0)
    lease = desk.journal.lanes.acquire(CHAIN, other, owner="worker", ttl_s=9)
    before = desk.dump()
    with pytest.raises(JournalError, match=f"not one that {other} pays"):
        desk.record(lease, [item])
    assert desk.dump() == before


def test_two_processes_that_want_one_item_sign_for_it_once(desk, processes, tmp_path):
    items = desk.freeze(40)
    desk.reserve(items)
    desk.lease().epoch  # noqa: B018 - adopts the lane

    def work(name):
        worker = desk.another()
        for item in items:
            try:
                worker.record(worker.lease(owner=name, ttl_s=0.0), [item])
            except (JournalError, StaleLeaseError):
                continue
            with (tmp_path / name).open("a") as file:
                file.write(f"{item.key}\n")

    desk.journal.lanes.release(desk.lease())
    workers = [processes(lambda name=name: work(name)) for name in ("one", "two")]
    for process in workers:
        process.join()
        assert process.exitcode == 0
    written = [
        key
        for name in ("one", "two")
        if (tmp_path / name).exists()
        for key in (tmp_path / name).read_text().split()
    ]
    unfinal = desk.journal.lanes.unfinal(CHAIN, PAYER)
    recorded = [item.key for transaction in unfinal for item in transaction.items]
    assert sorted(written) == sorted(recorded)
    assert len(set(recorded)) == len(recorded)
    assert [transaction.nonce for transaction in unfinal] == list(range(len(unfinal)))


@pytest.mark.parametrize("round_number", range(3))
def test_what_record_returned_survives_a_kill(desk, processes, round_number):
    items = desk.freeze(400)
    desk.reserve(items)
    lease = desk.lease()
    reading, writing = os.pipe()

    def sign():
        worker = desk.another()
        for item in items:
            recorded = worker.record(lease, [item])
            os.write(writing, f"{recorded.attempts[0].signed.hash}\n".encode())

    process = processes(sign)
    with os.fdopen(reading, "rb") as said:
        os.close(writing)
        acknowledged = [said.readline() for _ in range(3 + 5 * round_number)]
        os.kill(process.pid, signal.SIGKILL)
        acknowledged += said.readlines()
    process.join()
    hashes = [line.decode().strip() for line in acknowledged if line.endswith(b"\n")]
    unfinal = desk.another().journal.lanes.unfinal(CHAIN, PAYER)
    found = [transaction.attempts[0].signed.hash for transaction in unfinal]
    assert found[: len(hashes)] == hashes
    assert len(found) - len(hashes) in {0, 1}  # the last may not have been said any more
    assert sum(row.state is S.SENT for row in desk.rows()) == len(found)


@pytest.mark.parametrize("moment", ["before_cursor_execute", "commit"])
def test_a_kill_before_the_commit_leaves_nothing_and_no_lock(desk, processes, moment):
    items = desk.freeze(2)
    desk.reserve(items)
    lease = desk.lease()
    before = desk.dump()

    def die(_connection, _cursor=None, statement="UPDATE items", *_rest):
        if statement.startswith("UPDATE items"):
            os.kill(os.getpid(), signal.SIGKILL)

    def sign():
        worker = desk.another()
        event.listen(worker.journal._database.engine, moment, die)
        worker.record(lease, items)

    process = processes(sign)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert desk.dump() == before
    assert desk.record(lease, items).nonce == 0


def test_a_zombie_neither_records_nor_finalises(desk):
    items = desk.freeze(3)
    desk.reserve(items)
    zombie = desk.lease("zombie", ttl_s=0.0)
    transaction = desk.record(zombie, items[:1])
    heir = desk.lease("heir")
    before = desk.dump()
    with pytest.raises(StaleLeaseError, match="recorded nothing further"):
        desk.record(zombie, items[1:2])
    with pytest.raises(StaleLeaseError):
        desk.finalise(zombie, transaction, S.SETTLED)
    assert desk.dump() == before
    desk.record(heir, items[1:2])
    desk.finalise(heir, transaction, S.SETTLED)


def test_a_stopped_lane_signs_nothing_even_for_the_worker_that_holds_it(desk):
    items = desk.freeze(2)
    desk.reserve(items)
    lease = desk.lease()
    transaction = desk.record(lease, items[:1])
    desk.journal.lanes.stop(CHAIN, PAYER, "a person has to look")
    with pytest.raises(LaneStoppedError, match="a person has to look"):
        desk.record(lease, items[1:])
    desk.finalise(lease, transaction, S.SETTLED)  # what the chain says may be written down
    assert [row.state for row in desk.rows()] == [S.SETTLED, S.RESERVED]


def test_a_receipt_that_is_not_this_transaction_s_is_refused(desk):
    items = desk.freeze(2)
    desk.reserve(items)
    lease = desk.lease()
    one, two = desk.record(lease, items[:1]), desk.record(lease, items[1:])
    before = desk.dump()
    swapped = replace(one, attempts=two.attempts)
    unknown = replace(one, attempts=(replace(one.attempts[0], signed=signed("unknown")),))
    for wrong in (swapped, unknown, replace(one, id=99)):
        with pytest.raises(JournalError, match="not that of an unfinal transaction"):
            desk.finalise(lease, wrong, S.SETTLED)
    assert desk.dump() == before


def test_another_lane_s_lease_cannot_finalise(desk):
    items = desk.freeze(1)
    desk.reserve(items)
    transaction = desk.record(desk.lease(), items)
    other = "0x" + "9" * 40
    desk.journal.lanes.adopt(CHAIN, other, first_nonce=0)
    lease = desk.journal.lanes.acquire(CHAIN, other, owner="worker", ttl_s=9)
    with pytest.raises(JournalError, match="of this lane"):
        desk.finalise(lease, transaction, S.SETTLED)
    assert desk.states() == {S.SENT}


def test_a_final_receipt_is_stored_once_and_is_not_unwritten_by_a_late_poll(desk):
    items = desk.freeze(1)
    desk.reserve(items)
    lease = desk.lease()
    transaction = desk.record(lease, items)
    desk.finalise(lease, transaction, S.SETTLED)
    before = desk.dump()
    desk.finalise(lease, transaction, S.FAILED)
    desk.journal.lanes.mark_included(transaction.id, None)
    desk.journal.lanes.mark_included(transaction.id, receipt_of(transaction))
    assert desk.dump() == before
    assert desk.journal.lanes.unfinal(CHAIN, PAYER) == []


def test_a_block_may_be_noted_and_unnoted_until_it_is_final(desk):
    items = desk.freeze(1)
    desk.reserve(items)
    transaction = desk.record(desk.lease(), items)
    lanes = desk.journal.lanes
    lanes.mark_broadcast(transaction.attempts[0].signed.hash)
    lanes.mark_included(transaction.id, receipt_of(transaction))
    (included,) = lanes.unfinal(CHAIN, PAYER)
    assert (included.state, included.attempts[0].broadcast) == (TransactionState.INCLUDED, True)
    lanes.mark_included(transaction.id, None)
    assert lanes.unfinal(CHAIN, PAYER)[0].state is TransactionState.RECORDED


def test_fees_are_summed_exactly_and_reverted_ones_count(desk):
    items = desk.freeze(2)
    desk.reserve(items)
    lease = desk.lease()
    one, two = desk.record(lease, items[:1]), desk.record(lease, items[1:])
    desk.finalise(lease, one, S.SETTLED)
    assert desk.journal.runs.spent("r", "a").transactions == 1
    reverted = receipt_of(two, succeeded=False)
    huge = replace(reverted, effective_gas_price=10**30)
    desk.journal.lanes.finalise(lease, two.id, huge, [_reserved(items[1])])
    spent = desk.journal.runs.spent("r", "a")
    assert spent.fee == receipt_of(one).fee + 21_000 * 10**30 + 5
    assert (spent.hashes, spent.transactions) == ((receipt_of(one).hash,), 2)
    assert desk.journal.runs.spent("r", "another").fee == 0


def _reserved(item):
    from airflow_cwf.core.journal_rows import ItemOutcome

    return ItemOutcome(item.key, item.revision, S.RESERVED)
