"""From recorded to anchored: what fails on the way costs no payment and is made good later."""

import asyncio
import sqlite3

import pytest

from airflow_cwf import wiring
from airflow_cwf.actions.advance import anchor_all, note_anchor, prove_and_publish
from airflow_cwf.core.errors import ConfigError, JournalError, ProverError, StorageError
from airflow_cwf.core.evidence.canonical import canonical_bytes
from airflow_cwf.core.evidence.outputs import VIEW_FLOATS
from airflow_cwf.core.evidence.record import parse_document
from airflow_cwf.wiring import private_key_signer
from airflow_cwf.wiring.prover import open_prover
from tests.fakes.anchoring import Archive, IdleAgent
from tests.fakes.runtime import entered, payee


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path)


class KilledProver:
    def prove(self, statement):
        raise ProverError("The prover was ended by signal 9.")


class BrokenStore:
    def __init__(self, *, failures):
        self.failures = failures
        self.pinned = []

    async def pin(self, root, car):
        if self.failures:
            self.failures -= 1
            raise StorageError("The IPFS node did not answer dag/import in time.")
        self.pinned.append(str(root))


def test_money_moves_though_the_prover_dies_and_the_proof_comes_later(archive, monkeypatch, caplog):
    world, good = archive.world, archive.world.prover
    monkeypatch.setattr(wiring, "runtime", entered)
    world.pay_to(("ada", payee(1), "5"))
    world.prover = KilledProver()
    metadata = world.run(run_id="r1")
    assert archive.node.transfers() == [(payee(1), 5_000_000)]
    assert (metadata.zk_proof, metadata.cid, metadata.anchor) == ("", None, None)
    assert "not proved or anchored: The prover was ended by signal 9" in caplog.text
    world.prover = good
    again = world.run(run_id="r1")
    assert again.workflow_id == metadata.workflow_id
    assert again.anchor["position"] == 0
    assert archive.node.transfers() == [(payee(1), 5_000_000)]
    archive.check_log(records=1)


@pytest.mark.parametrize(
    ("environment", "said"),
    [("production", "development key"), ("development", "cwf prover install")],
)
def test_without_an_accepted_key_or_a_prover_the_run_is_recorded_and_says_what_to_do(
    archive, tmp_path, environment, said
):
    good = archive.world.prover
    archive.world.prover = open_prover(tmp_path / "nothing", environment=environment)
    archive.end_agents("r1")
    with pytest.raises(ConfigError, match=said):
        archive.prove("r1")
    ((_, state, cid, _),) = archive.rows()
    assert (state, cid) == ("recorded", None)
    archive.world.prover = good
    archive.prove("r1")
    archive.anchor()
    archive.check_log(records=1)


def test_more_agents_than_any_circuit_holds_are_recorded_and_the_message_says_so(archive):
    agents = [IdleAgent(agent_name=f"Idle{n}") for n in range(9)]
    with pytest.raises(ConfigError, match=r"9 agents needs the circuits cwf-64.*money has moved"):
        archive.publish("r1", agents=agents)
    assert archive.rows()[0][1] == "recorded"


def test_a_record_made_before_its_circuit_existed_is_proved_once_there_is_one(archive):
    archive.end_agents("r1")
    older = archive.world.process()
    vars(older)["circuits"] = {}
    row = archive.record("r1", runtime=older).row
    with pytest.raises(ConfigError, match="no key for"):
        asyncio.run(prove_and_publish(row, older))
    older.close()
    archive.prove("r1")
    archive.anchor()
    archive.check_log(records=1)


def test_a_node_that_is_down_leaves_the_proof_stored_and_is_tried_again(archive):
    store = BrokenStore(failures=2)
    archive.end_agents("r1")

    async def work():
        runtime = archive.world.process()
        vars(runtime)["storage"] = store
        row = archive.record("r1", runtime=runtime).row
        for _ in range(2):
            with pytest.raises(StorageError):
                await prove_and_publish(row, runtime)
        cid = await prove_and_publish(row, runtime)
        store.failures = 1
        with pytest.raises(StorageError):
            await anchor_all(runtime)
        await anchor_all(runtime)
        runtime.close()
        return cid

    cid = asyncio.run(work())
    assert len(archive.world.prover.proved) == 1
    archive.check_log(records=1)
    document = parse_document(archive.metadata_file(archive.rows()[0][0]).read_bytes())
    assert store.pinned == [cid, document["anchor"]["batch"]]


def test_two_workers_that_prove_one_run_publish_one_record(archive):
    """Airflow can run one task twice at once; each proof is another one, hence another CID."""
    archive.end_agents("r1")

    async def both():
        runtimes = [archive.world.process(), archive.world.process()]
        row = archive.record("r1", runtime=runtimes[0]).row
        cids = await asyncio.gather(*(prove_and_publish(row, runtime) for runtime in runtimes))
        for runtime in runtimes:
            runtime.close()
        return cids

    assert len(set(asyncio.run(both()))) == 1
    assert len(archive.world.prover.proved) == 2
    archive.anchor()
    archive.check_log(records=1)


def test_a_worker_that_proves_after_its_run_was_anchored_spoils_nothing(archive):
    archive.publish("r1")
    workflow_id = archive.rows()[0][0]
    place = archive.metadata_file(workflow_id)
    recorded = parse_document(place.read_bytes())
    archive.anchor()
    before = place.read_bytes()

    # What a worker that had read the recorded metadata before all this writes at last:
    async def late():
        runtime = archive.world.process()
        row = runtime.journal.runs.workflow("r1")
        unproved = recorded | {
            "zk_proof": "",
            "public_signals": [],
            "signature": None,
            "cid": None,
        }
        place.write_bytes(canonical_bytes(unproved, float_members=VIEW_FLOATS))
        await prove_and_publish(row, runtime)
        runtime.close()

    asyncio.run(late())
    assert place.read_bytes() == before
    archive.check_log(records=1)


def test_noting_an_anchor_again_changes_no_byte(archive):
    archive.publish("r1")
    archive.anchor()
    runtime = archive.world.process()
    workflow_id = archive.rows()[0][0]
    place = archive.metadata_file(workflow_id)
    before = place.read_bytes(), place.stat().st_mtime_ns
    note_anchor(runtime.journal.anchors.batch_of(workflow_id), runtime)
    runtime.close()
    assert (place.read_bytes(), place.stat().st_mtime_ns) == before


def test_without_an_anchor_chain_records_are_proved_and_wait_for_nobody(tmp_path):
    archive = Archive(tmp_path, anchor_chain=None)
    (cid,) = archive.publish("r1")
    assert archive.anchor() == []
    ((_, state, published, position),) = archive.rows()
    assert (state, published, position) == ("published", cid, None)


def test_another_key_than_the_submitters_signs_nothing(archive):
    """The record names its submitter before it is signed; the signer may have changed since."""
    archive.end_agents("r1")
    row = archive.record("r1").row
    runtime = archive.world.process()
    vars(runtime)["signer"] = private_key_signer("08" * 32)
    with pytest.raises(ConfigError, match="as its submitter, and the signer is"):
        asyncio.run(prove_and_publish(row, runtime))
    runtime.close()
    assert archive.rows()[0][1] == "recorded"


def test_a_record_whose_row_is_gone_is_told(archive):
    archive.end_agents("r1")
    row = archive.record("r1").row
    with sqlite3.connect(archive.world.folder / "home/journal.db") as database:
        database.execute("DELETE FROM workflows")
    database.close()
    runtime = archive.world.process()
    with pytest.raises(JournalError, match="nothing was published"):
        asyncio.run(prove_and_publish(row, runtime))
    runtime.close()
