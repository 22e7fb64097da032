"""Two workers, lost replies, reorgs, other journals: what an append may meet on its way."""

import asyncio

import pytest

from airflow_cwf.actions import anchor as anchoring
from airflow_cwf.actions.advance import anchor_waiting
from airflow_cwf.actions.aggregate import anchor_destination
from airflow_cwf.core.anchors import Head
from airflow_cwf.core.errors import (
    ConfigError,
    LaneBusyError,
    PreparationError,
    UnresolvedError,
)
from airflow_cwf.core.evidence.batch_document import LogId
from airflow_cwf.core.fees import parse_strategy
from airflow_cwf.core.hashes import sha3_256
from tests.fakes.anchoring import Archive


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path)


def test_three_waiting_records_go_into_one_batch(archive):
    archive.publish("r1", "r2", "r3")
    (batch,) = archive.anchor()
    assert batch["records"] == 3
    archive.check_log(records=3)


def test_batches_follow_one_another_and_each_leads_from_the_last_head(archive):
    for number, runs in enumerate((["r1"], ["r2", "r3"], ["r4"])):
        archive.publish(*runs)
        assert len(archive.anchor()) == 1, number
    archive.check_log(records=4)
    assert archive.node.appends() == [(0, 1), (1, 3), (3, 4)]


def test_more_records_than_a_batch_holds_take_several_batches(archive, monkeypatch):
    monkeypatch.setattr(anchoring, "MAX_BATCH_RECORDS", 2)
    archive.publish(*(f"r{n}" for n in range(5)))
    assert [batch["records"] for batch in archive.anchor()] == [2, 2, 1]
    archive.check_log(records=5)


def test_nothing_waits_and_nothing_is_sent(archive):
    assert archive.anchor() == []
    assert archive.node.seen == []


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_that_anchor_at_once_append_once(archive, workers):
    archive.publish("r1", "r2")
    archive.node.yields = True

    async def all_at_once():
        await asyncio.gather(*(archive.anchored() for _ in range(workers)))

    asyncio.run(all_at_once())
    archive.check_log(records=2)
    assert archive.node.appends() == [(0, 2)]


def test_a_worker_that_composes_second_goes_on_with_the_first_ones_batch(archive, monkeypatch):
    archive.publish("r1")
    other = archive.world.process()
    real = anchoring.compose_batch

    def compose_when_another_has(*args, **options):
        monkeypatch.setattr(anchoring, "compose_batch", real)
        anchoring._open_batch(work_of(other), other)
        return real(*args, **options)

    monkeypatch.setattr(anchoring, "compose_batch", compose_when_another_has)
    archive.anchor()
    other.close()
    archive.check_log(records=1)


def work_of(runtime, **limits):
    log = LogId(**anchor_destination(runtime))
    return anchoring.Anchoring("ethereum", log, parse_strategy("optimal"), **limits)


def anchor_within(archive, seconds):
    """Anchor with little patience."""
    runtime = archive.world.process()
    try:
        asyncio.run(anchor_waiting(work_of(runtime, timeout_s=seconds), runtime))
    finally:
        runtime.close()


def test_a_worker_waits_for_a_lane_that_is_held_until_finality(archive):
    """Finality takes a quarter of an hour on mainnet: far longer than a lane is waited for."""
    archive.publish("r1")
    archive.node.finality = 100
    archive.node.yields = True

    async def both():
        return await asyncio.gather(archive.anchored(), archive.anchored())

    asyncio.run(both())
    archive.check_log(records=1)
    assert archive.node.appends() == [(0, 1)]


def test_a_lane_that_another_keeps_for_ever_is_told(archive):
    archive.publish("r1")
    held = archive.world.process()
    held.journal.lanes.acquire("eip155:1", archive.world.payer, owner="x", ttl_s=10**6)
    with pytest.raises(LaneBusyError):
        anchor_within(archive, 100)
    held.close()


def test_a_lost_reply_is_no_second_append(archive):
    archive.publish("r1")
    archive.node.lost_replies = 1
    archive.anchor()
    archive.check_log(records=1)
    assert len(archive.node.seen) == 1


def test_an_append_that_a_reorg_takes_back_is_given_to_the_node_again(archive):
    archive.publish("r1")
    archive.node.finality = 6
    reorganised = []

    def reorg(method):
        if method == "receipts" and archive.node.appends() and not reorganised:
            reorganised.append(archive.node.reorg(1, forget=True))

    archive.node.on_call = reorg
    archive.anchor()
    assert reorganised
    archive.check_log(records=1)
    assert len(archive.node.seen) == 2
    assert len(set(archive.node.seen)) == 1


def test_a_head_that_another_journal_moved_is_told_and_nothing_is_sent(archive):
    archive.publish("r1")
    archive.node.ledger.heads[archive.world.payer] = Head(7, sha3_256(b"another"))
    archive.node.mine()
    with pytest.raises(PreparationError, match=r"has 7 records.*another journal appends"):
        archive.anchor()
    assert archive.node.seen == []


def test_an_append_that_reverts_because_the_head_moved_loses_nothing(archive):
    archive.publish("r1")
    before = archive.rows()

    def move_head(method):
        if method == "broadcast":
            archive.node.ledger.heads[archive.world.payer] = Head(7, sha3_256(b"another"))

    archive.node.on_call = move_head
    with pytest.raises(PreparationError, match="another journal appends"):
        archive.anchor()
    assert archive.node.appends() == []
    ((_, state, cid, position),) = archive.rows()
    assert (state, cid, position) == ("published", before[0][2], 0)
    del archive.node.ledger.heads[archive.world.payer]  # the other one's append is reorganised away
    archive.node.on_call = lambda _method: None
    archive.node.mine()
    archive.anchor()
    archive.check_log(records=1)


def test_appends_that_revert_for_no_reason_are_not_paid_for_without_end(archive):
    archive.publish("r1")
    archive.node.refuses_appends = True
    for _ in range(2):
        with pytest.raises(PreparationError, match="reverted 3 times although"):
            archive.anchor()
    assert len(archive.node.seen) == 3


def test_a_chain_without_the_contract_is_told_and_nothing_is_sent(archive):
    archive.publish("r1")
    del archive.node.codes[archive.node.anchor]
    with pytest.raises(PreparationError, match="cwf contracts deploy --chain ethereum"):
        archive.anchor()
    assert archive.node.seen == []


def test_other_code_at_the_contracts_address_is_told(archive):
    archive.publish("r1")
    archive.node.codes[archive.node.anchor] = b"\x00"
    with pytest.raises(PreparationError, match="no WorkflowAnchor of this version"):
        archive.anchor()


def test_a_chain_that_stands_still_is_told_and_running_again_goes_on(archive):
    archive.publish("r1")
    archive.node.is_mining = False
    with pytest.raises(UnresolvedError, match=r"not final yet\. Nothing is lost"):
        anchor_within(archive, 100)
    archive.node.is_mining = True
    archive.anchor()
    archive.check_log(records=1)
    assert len(set(archive.node.seen)) == 1


def test_an_anchor_chain_that_is_in_no_table_is_told(tmp_path):
    archive = Archive(tmp_path, anchor_chain="atlantis")
    with pytest.raises(ConfigError, match=r"'atlantis' is no EVM chain.*\(ethereum\)"):
        archive.anchor()
