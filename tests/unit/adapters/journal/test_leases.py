"""One owner for a lane, by the database's clock and an epoch."""

import pytest

from airflow_cwf.core.errors import (
    JournalError,
    LaneBusyError,
    LaneStoppedError,
    StaleLeaseError,
    WrongChainError,
)
from airflow_cwf.core.states import LaneState
from tests.fakes.desk import CHAIN, PAYER


@pytest.fixture
def clock(desk):
    """The database's clock, in the test's hands."""
    time = [1_000.0]
    desk.journal._database.now = lambda _connection: time[0]
    return time


def test_a_lane_has_one_owner_until_its_lease_is_over(desk, clock):
    first = desk.lease("one", ttl_s=10)
    clock[0] += 9.5
    with pytest.raises(LaneBusyError, match=r"its lease ends in 0 s .* Trying again is safe"):
        desk.lease("two")
    clock[0] += 0.5
    second = desk.lease("two")
    assert second.epoch == first.epoch + 1
    with pytest.raises(LaneBusyError):
        desk.lease("one")


def test_a_renewed_lease_lasts_from_now_on(desk, clock):
    lease = desk.lease("one", ttl_s=10)
    clock[0] += 9
    desk.journal.lanes.renew(lease, ttl_s=10)
    clock[0] += 9
    with pytest.raises(LaneBusyError):
        desk.lease("two")


def test_a_released_lane_is_free_at_once(desk, clock):
    desk.journal.lanes.release(desk.lease("one"))
    assert desk.lease("two").epoch == 2
    assert clock == [1_000.0]


def test_a_lost_lease_can_neither_be_renewed_nor_release_its_successor_s(desk, clock):
    lost = desk.lease("one", ttl_s=0)
    heir = desk.lease("two", ttl_s=10)
    before = desk.dump()
    with pytest.raises(StaleLeaseError):
        desk.journal.lanes.renew(lost, ttl_s=99)
    desk.journal.lanes.release(lost)
    assert desk.dump() == before
    desk.journal.lanes.renew(heir, ttl_s=10)
    assert clock == [1_000.0]


def test_the_same_owner_takes_its_lane_again_and_its_older_lease_is_stale(desk):
    older = desk.lease("one")
    assert desk.lease("one").epoch == older.epoch + 1
    with pytest.raises(StaleLeaseError):
        desk.journal.lanes.renew(older, ttl_s=1)


def test_processes_that_want_one_lane_get_it_one_at_a_time(desk, processes, tmp_path):
    desk.journal.lanes.release(desk.lease("nobody"))

    def work(name):
        lanes = desk.another().journal.lanes
        for _ in range(20):
            try:
                lease = lanes.acquire(CHAIN, PAYER, owner=name, ttl_s=60)
            except LaneBusyError:
                continue
            (tmp_path / "held").touch(exist_ok=False)  # another holder would have made it
            (tmp_path / "held").unlink()
            lanes.release(lease)

    for process in [processes(lambda name=name: work(name)) for name in ("one", "two", "three")]:
        process.join()
        assert process.exitcode == 0


def test_the_database_s_own_clock_is_the_real_time(desk):
    import time

    with desk.journal._database.reading() as connection:
        assert abs(desk.journal._database.now(connection) - time.time()) < 5


def test_a_stopped_or_unknown_lane_is_leased_to_nobody(desk):
    with pytest.raises(LaneStoppedError, match="never seen it"):
        desk.journal.lanes.acquire(CHAIN, PAYER, owner="one", ttl_s=1)
    desk.journal.lanes.release(desk.lease("one"))
    desk.journal.lanes.stop(CHAIN, PAYER, "nonce 7 is unexplained")
    with pytest.raises(LaneStoppedError, match="nonce 7 is unexplained"):
        desk.lease("two")
    lane = desk.journal.lanes.lane(CHAIN, PAYER)
    assert (lane.state, lane.reason) == (LaneState.STOPPED, "nonce 7 is unexplained")


def test_adopting_twice_is_refused_and_keeps_the_lane(desk):
    desk.journal.lanes.adopt(CHAIN, PAYER, first_nonce=4)
    with pytest.raises(JournalError, match=r"has .* already"):
        desk.journal.lanes.adopt(CHAIN, PAYER, first_nonce=0)
    assert desk.journal.lanes.next_nonce(CHAIN, PAYER) == 4


def test_a_lane_nobody_has_adopted_has_no_next_nonce(desk):
    assert desk.journal.lanes.lane(CHAIN, PAYER) is None
    with pytest.raises(JournalError, match="never seen"):
        desk.journal.lanes.next_nonce(CHAIN, PAYER)


def test_a_chain_id_with_another_genesis_is_another_chain(desk):
    desk.journal.lanes.pin_genesis(CHAIN, "0x" + "a" * 64)
    desk.journal.lanes.pin_genesis(CHAIN, "0x" + "a" * 64)
    with pytest.raises(WrongChainError, match="Nothing was signed"):
        desk.journal.lanes.pin_genesis(CHAIN, "0x" + "b" * 64)
