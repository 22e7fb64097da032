"""kill -9 at every call from the aggregate to the anchor: one position each, and no gap.

The prover of these tests makes proofs in form only, another one at each call: two proofs of one
run have two CIDs, so a record that is anchored under the wrong one shows.
"""

import asyncio

import pytest

from airflow_cwf.actions.advance import anchor_all, prove_and_publish
from tests.fakes.anchoring import Archive
from tests.fakes.crashing import Killed, Mortality, MortalRuntime

RUNS = ("r1", "r2", "r3")
REACHES = 140
"""More calls than are made; `test_nobody_dies` says when this is too small."""
TWO_KILLS = ((12, 10), (30, 25), (52, 30), (75, 60), (90, 40), (110, 20), (122, 70))


@pytest.fixture
def archive(tmp_path):
    made = Archive(tmp_path)
    made.end_agents(*RUNS)
    return made


def advance(archive, **mortality):
    """Bring all runs as far as they go in a process that may die; return its calls."""
    deadly = Mortality(**mortality)
    runtime = MortalRuntime(archive.world, deadly)

    async def work():
        for run in RUNS:
            row = archive.record(run, runtime=runtime).row
            await prove_and_publish(row, runtime)
        await anchor_all(runtime)

    try:
        asyncio.run(work())
    except Killed:
        assert deadly.is_dead
    finally:
        runtime.close()
    return deadly


def files(archive):
    folder = archive.world.folder / "artifacts"
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pass_time(archive, number):
    """Let nobody work for a while; in every third case the node is restarted meanwhile."""
    if number % 3 == 0:
        archive.node.pool.clear()
    archive.world.clock.advance((0, 30)[number % 2])


def test_nobody_dies_and_all_records_are_anchored_in_one_batch(archive):
    calls = advance(archive).calls
    archive.check_log(records=3)
    assert archive.node.appends() == [(0, 3)]
    assert REACHES - 30 < len(calls) < REACHES, len(calls)


@pytest.mark.parametrize("at", range(1, REACHES))
def test_a_process_killed_at_any_call_anchors_everything_once(archive, at):
    if advance(archive, at=at).is_dead:
        pass_time(archive, at)
        advance(archive)
    archive.check_log(records=3)
    assert archive.node.appends() == [(0, 3)]


@pytest.mark.parametrize(("first", "second"), TWO_KILLS)
def test_a_process_killed_while_it_mends_a_kill_anchors_everything_once(archive, first, second):
    assert advance(archive, at=first).is_dead
    pass_time(archive, first)
    advance(archive, at=second)
    pass_time(archive, second)
    advance(archive)
    archive.check_log(records=3)
    assert archive.node.appends() == [(0, 3)]


def test_doing_it_all_again_changes_no_byte_and_sends_nothing(archive):
    advance(archive)
    before, sent = files(archive), list(archive.node.seen)
    advance(archive)
    assert files(archive) == before
    assert archive.node.seen == sent
    assert len(archive.world.prover.proved) == 3
