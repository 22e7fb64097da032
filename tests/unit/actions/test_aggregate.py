"""Aggregating again: the stored record, a superseding one, or the same one made anew."""

from dataclasses import replace

import pytest

from airflow_cwf.core.evidence.record import parse_document
from airflow_cwf.core.journal_rows import Approval
from airflow_cwf.wiring import private_key_signer
from tests.fakes.anchoring import Archive, IdleAgent

ADA, BOB = IdleAgent(agent_name="Ada"), IdleAgent(agent_name="Bob")
TEAM = [ADA, BOB]
OTHER_KEY = "09" * 32


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path)


def document_of(archive, workflow_id):
    return parse_document(archive.metadata_file(workflow_id.removeprefix("0x")).read_bytes())


def test_a_missing_agent_is_recorded_proved_and_anchored(archive):
    archive.end_agents("r1", agents=[ADA])
    done = archive.record("r1", agents=TEAM)
    assert done.missing == ("Bob",)
    archive.prove("r1", agents=TEAM)
    archive.anchor()
    archive.check_log(records=1)


def test_a_rejected_plan_is_recorded_proved_and_anchored(archive):
    runtime = archive.world.process()
    runtime.journal.runs.start_run("r1", task="t", plan_digest="ab" * 32, now=0)
    runtime.journal.runs.save_approval(Approval("ab" * 32, approved=False, approver="Eve", at=0))
    done = archive.record("r1", runtime=runtime, agents=TEAM)
    runtime.close()
    assert (done.rejected_by, done.missing) == ("Eve", ())
    archive.prove("r1", agents=TEAM)
    archive.anchor()
    archive.check_log(records=1)


def test_a_rerun_with_other_outputs_supersedes_and_both_are_in_the_log(archive):
    archive.end_agents("r1", agents=[ADA])
    archive.prove("r1", agents=TEAM)
    archive.anchor()
    first = archive.rows()[0][0]
    before = archive.metadata_file(first).read_bytes()
    archive.world.clock.advance(60)
    archive.end_agents("r1", agents=[BOB])
    done = archive.record("r1", agents=TEAM)
    assert done.metadata.workflow_id != f"0x{first}"
    assert done.metadata.supersedes == f"0x{first}"
    archive.prove("r1", agents=TEAM)
    archive.anchor()
    archive.check_log(records=2)
    assert archive.metadata_file(first).read_bytes() == before
    assert archive.record("r1", agents=TEAM).row == replace(done.row, state="anchored")


def test_a_record_superseded_before_it_was_anchored_is_anchored_too(archive):
    archive.end_agents("r1", agents=[ADA])
    archive.prove("r1", agents=TEAM)
    archive.world.clock.advance(60)
    archive.end_agents("r1", agents=[BOB])
    archive.prove("r1", agents=TEAM)
    archive.anchor()
    archive.check_log(records=2)
    assert archive.node.appends() == [(0, 2)]


def change_signer(archive):
    signer = replace(archive.world.settings.signer, secret=OTHER_KEY)
    archive.world.settings = replace(archive.world.settings, signer=signer)
    archive.world.payer = private_key_signer(OTHER_KEY).address
    runtime = archive.world.process()
    runtime.journal.lanes.adopt("eip155:1", archive.world.payer, first_nonce=0)
    runtime.close()
    for ledger in (archive.node.ledger, *(block.after for block in archive.node.blocks)):
        ledger.coins[archive.world.payer] = 10**20


@pytest.mark.parametrize("is_published", [False, True])
def test_another_submitter_before_the_anchor_makes_the_record_anew_under_its_id(
    archive, is_published
):
    archive.end_agents("r1")
    first = archive.record("r1")
    if is_published:
        archive.prove("r1")
    change_signer(archive)
    second = archive.record("r1")
    assert second.metadata.workflow_id == first.metadata.workflow_id
    assert second.row.core_digest != first.row.core_digest
    assert second.metadata.supersedes is None
    archive.prove("r1")
    archive.anchor()
    archive.check_log(records=1)
    anchor = document_of(archive, first.metadata.workflow_id)["anchor"]
    assert anchor["submitter"] == archive.world.payer


def test_another_submitter_after_the_anchor_changes_nothing(archive):
    archive.publish("r1")
    archive.anchor()
    before = archive.metadata_file(archive.rows()[0][0]).read_bytes()
    change_signer(archive)
    archive.record("r1")
    assert archive.metadata_file(archive.rows()[0][0]).read_bytes() == before


def test_a_run_recorded_without_an_anchor_chain_is_anchored_when_it_is_cleared_later(tmp_path):
    archive = Archive(tmp_path, anchor_chain=None)
    archive.publish("r1")
    archive.world.settings = replace(archive.world.settings, anchor_chain="ethereum")
    archive.prove("r1")
    archive.anchor()
    archive.check_log(records=1)


def test_a_process_without_an_anchor_chain_takes_no_record_out_of_its_queue(archive):
    (cid,) = archive.publish("r1")
    archive.world.settings = replace(archive.world.settings, anchor_chain=None)
    assert archive.prove("r1") == cid
    archive.world.settings = replace(archive.world.settings, anchor_chain="ethereum")
    archive.anchor()
    archive.check_log(records=1)


def test_a_kill_between_the_queue_and_the_file_is_made_good(archive):
    """The record has left the queue, its file is the old one: aggregating again makes it anew."""
    archive.publish("r1")
    change_signer(archive)
    runtime = archive.world.process()
    runtime.journal.anchors.withdraw(archive.rows()[0][0], core_digest="c" * 64)
    runtime.close()
    archive.prove("r1")
    archive.anchor()
    archive.check_log(records=1)


def test_a_record_that_has_its_position_is_not_made_anew(archive):
    archive.publish("r1")
    archive.compose()
    change_signer(archive)
    before = archive.metadata_file(archive.rows()[0][0]).read_bytes()
    archive.record("r1")
    assert archive.metadata_file(archive.rows()[0][0]).read_bytes() == before


def test_aggregating_again_keeps_the_stored_bytes_though_time_has_passed(archive):
    archive.end_agents("r1")
    first = archive.record("r1")
    archive.world.clock.advance(1_000)
    assert archive.record("r1").metadata == first.metadata
