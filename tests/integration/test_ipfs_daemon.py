"""A real IPFS daemon takes our CARs and gives the same bytes back by its own means.

Skipped unless CWF_TEST_IPFS_API names a node's RPC API, e.g. http://127.0.0.1:5001. js-ipfs is 246
MB of npm packages, so it is no part of `make setup`; `tests/fakes/ipfs_daemon.mjs` starts it.
"""

import asyncio
import os

import httpx
import pytest

from airflow_cwf.adapters.storage.kubo import KuboStore
from airflow_cwf.core.evidence.batch_car import batch_blocks, record_file
from airflow_cwf.core.evidence.batch_document import LogId, compose_batch
from airflow_cwf.core.evidence.car import car_pieces, record_car
from airflow_cwf.core.evidence.cid import raw_cid

API = os.environ.get("CWF_TEST_IPFS_API", "")

pytestmark = pytest.mark.skipif(not API, reason="CWF_TEST_IPFS_API names no IPFS node")

LOG = LogId("eip155:1", "0x" + "c0" * 20, "0x" + "5b" * 20)
RECORDS = {f"0x{number:064x}": b'{"n":%d}' % number for number in range(40)}
BATCH = compose_batch(LOG, leaves=[], records=[raw_cid(data) for data in RECORDS.values()])


def on_node(action):
    async def run():
        async with httpx.AsyncClient() as http:
            return await action(KuboStore(API, http=http))

    return asyncio.run(run())


def ask(command, **options):
    reply = httpx.post(f"{API}/api/v0/{command}", params=options, timeout=30)
    assert reply.status_code == 200, reply.text
    return reply


def test_a_record_is_pinned_and_read():
    record = b'{"format":"cwf/1"}'
    cid = raw_cid(record)

    async def store_and_read(store):
        await store.pin(cid, record_car(record))
        return await store.read(cid, max_bytes=len(record))

    assert on_node(store_and_read) == record
    assert ask("cat", arg=str(cid)).content == record


def test_one_pin_of_a_batch_holds_every_file_under_its_name():
    blocks = batch_blocks(BATCH, RECORDS)
    root = blocks[0].cid
    car = b"".join(car_pieces(root, blocks))
    on_node(lambda store: store.pin(root, car))
    assert ask("dag/export", arg=str(root)).content == car
    assert ask("cat", arg=f"/ipfs/{root}/batch.json").content == BATCH.data
    for workflow_id, data in list(RECORDS.items())[::13]:
        assert ask("cat", arg=f"/ipfs/{root}/{record_file(workflow_id)}").content == data
    ask("repo/gc")
    assert ask("dag/export", arg=str(root)).content == car
    pins = ask("pin/ls", arg=str(root), **{"cid-base": "base32"}).json()
    assert pins["Keys"][str(root)]["Type"] == "recursive"
