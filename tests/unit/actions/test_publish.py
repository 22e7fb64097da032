"""A record and its batch on a Kubo node, and in CAR files where there is none."""

import asyncio
import json

import httpx
import pytest
from typer.testing import CliRunner

from airflow_cwf.actions.advance import anchor_all, prove_and_publish
from airflow_cwf.actions.publish import publish_record, read_record
from airflow_cwf.adapters.storage.kubo import KuboStore
from airflow_cwf.cli import app
from airflow_cwf.core.errors import StorageError, VerificationError
from airflow_cwf.core.evidence.record import parse_document
from tests.fakes.anchoring import Archive
from tests.fakes.kubo_node import KuboNode, saying


@pytest.fixture
def archive(tmp_path):
    made = Archive(tmp_path)
    made.end_agents("r1")
    return made


async def with_node(archive, node, work):
    async with node, httpx.AsyncClient() as http:
        runtime = archive.world.process()
        vars(runtime)["storage"] = KuboStore(node.url, http=http, authorization=None)
        try:
            return await work(runtime)
        finally:
            runtime.close()


def test_record_and_batch_are_pinned_on_the_node(archive):
    node = KuboNode()

    async def work(runtime):
        row = archive.record("r1", runtime=runtime).row
        await prove_and_publish(row, runtime)
        await anchor_all(runtime)

    asyncio.run(with_node(archive, node, work))
    archive.check_log(records=1)
    document = parse_document(archive.metadata_file(archive.rows()[0][0]).read_bytes())
    assert node.pins == {document["cid"], document["anchor"]["batch"]}
    assert json.loads(node.blocks[document["cid"]])["workflow_id"] == document["workflow_id"]


def test_a_node_that_fails_at_the_batch_holds_the_append_back_until_it_is_up(archive):
    """What is on the chain can be fetched: the batch is pinned before its append is sent."""
    sick = saying(b'{"Message":"disk full","Code":0,"Type":"error"}', status=500)
    node = KuboNode({"pin/add": [saying(b'{"Pins":[]}')], "dag/import": [sick] * 20})

    async def work(runtime):
        row = archive.record("r1", runtime=runtime).row
        failures = 0
        for act in (lambda: prove_and_publish(row, runtime), lambda: anchor_all(runtime)):
            while True:
                try:
                    await act()
                    break
                except StorageError:
                    failures += 1
                    assert archive.node.seen == []
        return failures

    assert asyncio.run(with_node(archive, node, work)) > 1
    archive.check_log(records=1)
    assert len(archive.world.prover.proved) == 1


def test_without_a_node_the_car_file_is_the_storage_and_verify_reads_it(archive, tmp_path):
    cid = archive.prove("r1")
    archive.anchor()
    trust = tmp_path / "trust.json"
    trust.write_text('{"contracts":[],"format":"cwf-trust/1","keys":{},"submitters":[]}')
    car = archive.metadata_file(archive.rows()[0][0]).with_name("record.car")
    for place in (car, archive.world.folder / f"artifacts/records/{cid}.car"):
        said = CliRunner().invoke(app, ["verify", "--offline", "--trust", str(trust), str(place)])
        assert said.exit_code == 2, said.output  # the trust file knows no key
        assert cid in said.output
        assert "Traceback" not in said.output


def test_other_bytes_under_a_records_cid_are_refused(archive):
    runtime = archive.world.process()
    cid = asyncio.run(publish_record(b'{"one":1}', runtime=runtime))
    other = asyncio.run(publish_record(b'{"two":2}', runtime=runtime))
    assert read_record(str(cid), runtime) == b'{"one":1}'
    folder = archive.world.folder / "artifacts/records"
    (folder / f"{cid}.car").write_bytes((folder / f"{other}.car").read_bytes())
    with pytest.raises(VerificationError, match="another record"):
        read_record(str(cid), runtime)
    runtime.close()
