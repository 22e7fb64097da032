"""Batches: composed and read as one text, and their CAR holds exactly their files."""

import json
from dataclasses import replace

import pytest

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.batch_car import (
    BatchFile,
    batch_blocks,
    read_batch_car,
    record_file,
    require_files,
)
from airflow_cwf.core.evidence.batch_document import (
    MAX_BATCH_RECORDS,
    LogId,
    compose_batch,
    parse_batch,
)
from airflow_cwf.core.evidence.canonical import canonical_bytes
from airflow_cwf.core.evidence.car import car_pieces
from airflow_cwf.core.evidence.cid import DAG_PB, Block, cid_of, raw_cid
from airflow_cwf.core.evidence.log import log_leaves
from airflow_cwf.core.evidence.unixfs import DirectoryEntry

LOG = LogId("eip155:1", "0x" + "c0" * 20, "0x" + "5b" * 20)
EARLIER = log_leaves(raw_cid(b"old %d" % number) for number in range(5))
FILES = {f"0x{number:064x}": b'{"n":%d}' % number for number in (7, 3, 5)}
BATCH = compose_batch(LOG, leaves=EARLIER, records=[raw_cid(data) for data in FILES.values()])
DOCUMENT = json.loads(BATCH.data)
DIGEST = "0x" + "11" * 32
DIRECTORY_CID = str(cid_of(b"", codec=DAG_PB))


def changed(**members):
    return canonical_bytes(DOCUMENT | members)


def car_of(blocks):
    return b"".join(car_pieces(blocks[0].cid, blocks))


def refusal(data):
    with pytest.raises(VerificationError) as refused:
        parse_batch(data)
    return refused.value.check


def test_a_composed_batch_is_read_back_the_same():
    assert parse_batch(BATCH.data) == BATCH
    assert list(DOCUMENT) == sorted(DOCUMENT)
    assert (DOCUMENT["format"], DOCUMENT["old_size"], DOCUMENT["size"]) == ("cwf-batch/1", 5, 8)
    assert BATCH.intent_key == f"anchor/eip155:1/{LOG.contract}/{LOG.submitter}/5"


def test_the_first_batch_has_no_consistency_proof():
    first = compose_batch(LOG, leaves=[], records=BATCH.records)
    document = json.loads(first.data)
    assert document["consistency"] == []
    assert document["old_root"] == (
        "0xa7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"
    )


@pytest.mark.parametrize(
    "members",
    [
        {"format": "cwf-batch/2"},
        {"chain": "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"},
        {"chain": "eip155:01"},
        {"contract": LOG.contract.upper()},
        {"submitter": None},
        {"old_size": "5"},
        {"size": True},
        {"root": DIGEST[:-1]},
        {"consistency": DIGEST},
        {"consistency": [DIGEST[2:]]},
        {"records": []},
        {"records": [DOCUMENT["records"][0]] * 3},
        {"records": [*DOCUMENT["records"][:2], DIRECTORY_CID]},
        {"records": [*DOCUMENT["records"][:2], "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"]},
        {"further": 1},
    ],
)
def test_a_batch_out_of_form_fails_check_1(members):
    assert refusal(changed(**members)) == 1


def test_a_batch_whose_bytes_are_not_canonical_fails_check_1():
    assert refusal(BATCH.data + b"\n") == 1
    assert refusal(json.dumps(DOCUMENT).encode()) == 1
    assert refusal(BATCH.data[:-1]) == 1
    assert refusal(b" " * (2**20 + 1)) == 1


@pytest.mark.parametrize(
    "members",
    [
        {"old_size": 4},
        {"size": 9},
        {"old_size": 6, "size": 9},
        {"old_root": DIGEST},
        {"root": DIGEST},
        {"consistency": DOCUMENT["consistency"][:-1]},
        {"consistency": [*DOCUMENT["consistency"], DIGEST]},
        {"consistency": [DIGEST, *DOCUMENT["consistency"][1:]]},
        {"records": DOCUMENT["records"][::-1]},
        {"records": DOCUMENT["records"][:2]},
        {"records": [*DOCUMENT["records"][:2], str(raw_cid(b"another"))]},
    ],
)
def test_a_batch_that_does_not_add_its_records_fails_check_11(members):
    assert refusal(changed(**members)) == 11


@pytest.mark.parametrize("count", [0, MAX_BATCH_RECORDS + 1])
def test_a_batch_of_no_or_too_many_records_cannot_be_composed(count):
    records = [raw_cid(b"%d" % number) for number in range(count)]
    with pytest.raises(VerificationError, match="1 to 1000"):
        compose_batch(LOG, leaves=[], records=records)


def test_a_full_batch_stays_within_its_bounds():
    records = {f"0x{number:064x}": b"%d" % number for number in range(MAX_BATCH_RECORDS)}
    batch = compose_batch(LOG, leaves=EARLIER, records=[raw_cid(x) for x in records.values()])
    blocks = batch_blocks(batch, records)
    assert len(blocks[0].data) < 2**20
    _, entries, files = read_batch_car(car_pieces(blocks[0].cid, blocks))
    assert len(entries) == len(list(files)) == MAX_BATCH_RECORDS + 1


def test_a_batch_car_holds_the_directory_and_then_every_file():
    blocks = batch_blocks(BATCH, FILES)
    root, entries, files = read_batch_car([car_of(blocks)])
    assert root == blocks[0].cid == cid_of(blocks[0].data, codec=DAG_PB)
    names = [*(record_file(name) for name in sorted(FILES)), "batch.json"]
    assert [entry.name for entry in entries] == names
    require_files(entries, batch=BATCH)
    contents = [*(FILES[name] for name in sorted(FILES)), BATCH.data]
    assert list(files) == [BatchFile(*pair) for pair in zip(names, contents, strict=True)]


def test_files_may_stand_in_another_order_behind_the_root():
    root, *files = batch_blocks(BATCH, FILES)
    _, _, found = read_batch_car([car_of([root, *files[::-1]])])
    assert len(list(found)) == 4


def rest_of(blocks):
    _, _, files = read_batch_car([car_of(blocks)])
    return list(files)


@pytest.mark.parametrize(
    "change",
    [
        lambda blocks: blocks[:-1],
        lambda blocks: blocks[:1],
        lambda blocks: [*blocks, blocks[-1]],
        lambda blocks: [*blocks, blocks[0]],  # the directory as a file of its own
        lambda blocks: [*blocks, Block(raw_cid(b"more"), b"more")],
        lambda blocks: blocks[1:],
    ],
)
def test_a_batch_car_with_other_blocks_fails_check_1(change):
    with pytest.raises(VerificationError) as refused:
        rest_of(change(batch_blocks(BATCH, FILES)))
    assert refused.value.check == 1


def test_a_batch_car_that_begins_with_another_block_than_its_root_fails_check_2():
    blocks = batch_blocks(BATCH, FILES)
    other = batch_blocks(compose_batch(LOG, leaves=[], records=BATCH.records), FILES)
    with pytest.raises(VerificationError) as refused:
        read_batch_car(car_pieces(blocks[0].cid, other))
    assert refused.value.check == 2


def test_a_link_that_tells_another_size_is_refused():
    blocks = batch_blocks(BATCH, FILES)
    data = blocks[0].data.replace(b"\x18\x07\x12", b"\x18\x08\x12", 1)
    assert data != blocks[0].data
    lying = Block(cid_of(data, codec=DAG_PB), data)
    with pytest.raises(VerificationError, match="does not link"):
        rest_of([lying, *blocks[1:]])


def test_other_records_than_the_batch_names_are_refused():
    name = next(iter(FILES))
    for files in (
        FILES | {name: b"other"},
        {key: data for key, data in FILES.items() if key != name},
        FILES | {"0x" + "ff" * 32: b"one more"},
    ):
        with pytest.raises(VerificationError) as refused:
            batch_blocks(BATCH, files)
        assert refused.value.check == 2


def test_a_directory_without_its_batch_is_refused():
    entries = [DirectoryEntry(record_file(name), raw_cid(x), len(x)) for name, x in FILES.items()]
    own = DirectoryEntry("batch.json", raw_cid(BATCH.data), len(BATCH.data))
    require_files([*entries, own], batch=BATCH)
    for wrong in (entries, [*entries, replace(own, cid=raw_cid(b"{}"))]):
        with pytest.raises(VerificationError) as refused:
            require_files(wrong, batch=BATCH)
        assert refused.value.check == 2


@pytest.mark.parametrize("name", ["", "ab" * 32, "0x" + "AB" * 32, "0x" + "ab" * 31, "../0x"])
def test_a_file_is_named_by_a_whole_workflow_id(name):
    with pytest.raises(ValueError, match="64 hex digits"):
        record_file(name)
