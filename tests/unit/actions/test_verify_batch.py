"""Files, CARs, batches, CIDs and transactions: every byte region, and who has to fetch what."""

import asyncio
from dataclasses import replace

import pytest

from airflow_cwf.actions.verify import State
from airflow_cwf.actions.verify_fetch import batch_json, verify_append, verify_cid, verify_file
from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.batch_car import BATCH_FILE, record_file
from airflow_cwf.core.evidence.batch_document import compose_batch
from airflow_cwf.core.evidence.canonical import canonical_bytes
from airflow_cwf.core.evidence.car import car_pieces, record_car
from airflow_cwf.core.evidence.cid import DAG_CBOR, DAG_PB, Block, Cid, cid_of, raw_cid
from airflow_cwf.core.evidence.receipt_file import receipt_file
from airflow_cwf.core.evidence.record import record_of
from airflow_cwf.core.evidence.unixfs import DirectoryEntry, encode_directory
from tests.fakes import evidence
from tests.fakes.evidence import hash_of
from tests.fakes.proved import (
    APPEND_TX,
    LOG,
    NO_KEYS,
    OTHER_SUBMITTER_KEY,
    TERMS,
    BlockStore,
    anchored,
    appended,
    chains,
    planned,
    proved,
    whole,
    with_chains,
)

MADE = whole()
RECORD = canonical_bytes(record_of(MADE.metadata))
RECORD_CID = raw_cid(RECORD)
CAR = record_car(RECORD)
FAST = replace(TERMS, trust=NO_KEYS)
CHAINED = with_chains(trust=NO_KEYS)
TX = hash_of(APPEND_TX)


def report(data, terms=FAST, **options):
    pieces = [data] if isinstance(data, bytes) else data
    return asyncio.run(verify_file(pieces, terms, **options))


def states(result):
    return {line.number: line.state for line in result.lines}


def false_line(result):
    numbers = [line.number for line in result.lines if line.state is State.FALSE]
    assert len(numbers) == 1, result.lines
    assert result.exit_code == 1
    return numbers[0]


def spoilt(data, place, mask=1):
    changed = bytearray(data)
    changed[place] ^= mask
    return bytes(changed)


# The CAR of a record


def test_the_car_of_a_record_holds_and_names_its_cid():
    result = report(CAR, TERMS)
    assert states(result)[2] is State.HELD
    assert str(RECORD_CID) in result.lines[1].text
    assert result.exit_code == 0


HEADER = 59
BLOCK = HEADER + 2 + 36


@pytest.mark.parametrize(
    ("data", "number"),
    [
        (spoilt(CAR, 0), 1),
        (spoilt(CAR, 3), 1),
        (spoilt(CAR, HEADER - 1), 1),
        (spoilt(CAR, HEADER - 12), 2),
        (spoilt(CAR, HEADER), 1),
        (spoilt(CAR, HEADER + 1), 1),
        (spoilt(CAR, HEADER + 2), 2),
        (spoilt(CAR, HEADER + 3), 2),
        (spoilt(CAR, HEADER + 5), 2),
        (spoilt(CAR, HEADER + 20), 2),
        (spoilt(CAR, BLOCK), 2),
        (spoilt(CAR, len(CAR) - 1), 2),
        (CAR + b"\0", 1),
        (CAR + CAR, 1),
        (CAR[:-1], 1),
        (CAR[:HEADER], 1),
        (CAR[:30], 1),
        (CAR + CAR[HEADER:], 1),
        (b"".join(car_pieces(RECORD_CID, [Block(raw_cid(b"{}"), b"{}")])), 2),
        (record_car(b"{}"), 1),
        (record_car(RECORD[:-1]), 1),
        (record_car(canonical_bytes({"format": "cwf/1"})), 1),
        (record_car(evidence.metadata().data), 1),
    ],
)
def test_every_region_of_a_car_falls_at_its_line(data, number):
    assert false_line(report(data)) == number


def test_a_file_is_read_the_same_in_whatever_pieces():
    assert report([bytes([byte]) for byte in CAR]).lines == report(CAR).lines
    cut = [MADE.batch_car[at : at + 100] for at in range(0, len(MADE.batch_car), 100)]
    assert report(cut).lines == report(MADE.batch_car).lines


# Receipt files


def payees_file(number=1, document=MADE.metadata):
    receipts = evidence.agents()[1].receipts
    return receipt_file(receipts, index=number, step=1, document=document)


def test_a_receipt_file_holds_alone_and_opens_its_payment():
    result = report(payees_file(), CHAINED)
    held = {number for number, state in states(result).items() if state is State.HELD}
    assert held == {1, 3, 4, 6, 7, 9, 10, 11, 12, 13}


def test_a_receipt_file_of_a_recorded_run_holds():
    made = evidence.metadata()
    result = report(payees_file(document=made.document), replace(CHAINED))
    assert states(result)[10] is State.HELD
    assert states(result)[13] is State.HELD
    assert not result.proved


@pytest.mark.parametrize(
    ("old", "new", "number"),
    [
        (b'"index":1', b'"index":0', 10),
        (b'"index":1', b'"index":3', 10),
        (b'"size":3', b'"size":4', 10),
        (b'"size":3', b'"size":2', 10),
        (b'"step":1', b'"step":2', 10),
        (b'"step":1', b'"step":9', 10),
        (b'"amount":"2500000001"', b'"amount":"2500000002"', 10),
        (b'"path":["0x', b'"path":["0y', 1),
        (b"cwf-receipt-file/1", b"cwf-receipt-file/2", 1),
        (b'"created_at":1764000000', b'"created_at":1764000001', 6),
        (b'"block":50', b'"block":51', 12),
        (b'"position":5', b'"position":6', 11),
    ],
)
def test_every_region_of_a_receipt_file_falls_at_its_line(old, new, number):
    data = payees_file()
    assert old in data
    assert false_line(report(data.replace(old, new), CHAINED)) == number


def test_a_metadata_inside_a_receipt_file_is_refused():
    made = evidence.metadata().document
    data = canonical_bytes(
        {
            "format": "cwf-receipt-file/1",
            "receipt": evidence.agents()[1].receipts[0],
            "step": 1,
            "index": 0,
            "size": 3,
            "path": [],
            "record": record_of(made) | {"agent_outputs": [], "cid": None, "anchor": None},
            "anchor": None,
        }
    )
    assert false_line(report(data)) == 1


def test_a_format_named_inside_an_output_is_no_format():
    output = evidence.output("A", number=1, chain=None, further={"format": "cwf-batch/1"})
    made = evidence.metadata([evidence.AgentEvidence(output)])
    assert report(made.data).exit_code == 0


# Batches


def test_a_batch_car_with_its_transaction_holds_for_every_record():
    result = report(MADE.batch_car, with_chains(), tx_hash=TX)
    held = {number for number, state in states(result).items() if state is State.HELD}
    assert held == {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12}
    assert {name.workflow_id for name in result.records} == set(MADE.records)
    assert result.exit_code == 0


def test_a_batch_without_its_transaction_is_not_looked_up():
    result = report(MADE.batch_car, CHAINED)
    assert states(result)[12] is State.NOT_CHECKED


def test_a_batch_that_another_transaction_appended_is_false_at_12():
    clients = chains(logs=[appended(MADE, batch=bytes(32))])
    assert false_line(report(MADE.batch_car, replace(FAST, chains=clients), tx_hash=TX)) == 12


def test_batch_json_alone_leaves_its_records_unknown():
    result = report(MADE.batch.data, CHAINED, tx_hash=TX)
    assert {states(result)[number] for number in range(2, 10)} == {State.UNKNOWN}
    assert states(result)[11] is states(result)[12] is State.HELD
    assert result.exit_code == 2


def directory(files, root=None):
    entries = [DirectoryEntry(name, raw_cid(data), len(data)) for name, data in files.items()]
    block = encode_directory(entries)
    root = root or cid_of(block, codec=DAG_PB)
    blocks = [Block(raw_cid(data), data) for data in files.values()]
    return b"".join(car_pieces(root, [Block(root, block), *blocks]))


def files_of(*documents, log=LOG, names=None):
    records = [canonical_bytes(record_of(document)) for document in documents]
    batch = compose_batch(log, leaves=[], records=[raw_cid(data) for data in records])
    names = names or [record_file(document["workflow_id"]) for document in documents]
    return dict(zip(names, records, strict=True)) | {BATCH_FILE: batch.data}


GOOD = proved(planned())


@pytest.mark.parametrize(
    ("data", "number"),
    [
        (directory(files_of(GOOD) | {"more.json": b"{}"}), 1),
        (directory({BATCH_FILE: MADE.batch.data}), 2),
        (directory({record_file(GOOD["workflow_id"]): RECORD}), 1),
        (directory({"x": b"{}", BATCH_FILE: b"{}"}), 1),
        (directory(files_of(GOOD, names=["0x" + "00" * 32 + ".json"])), 2),
        (directory(files_of(proved(planned(), signer=OTHER_SUBMITTER_KEY))), 9),
        (directory(files_of(proved(planned()) | {"created_at": 1})), 6),
        (directory(files_of(proved(planned(anchor_to=None)))), 11),
        (directory(files_of(evidence.metadata().document)), 1),
        (directory(files_of(GOOD, log=replace(LOG, contract="0x" + "11" * 20))), 11),
        (directory(files_of(GOOD), root=cid_of(b"", codec=DAG_PB)), 2),
        (directory({}), 1),
        (MADE.batch_car + b"\0", 1),
        (MADE.batch_car[:-1], 1),
        (MADE.batch_car[:3000], 1),
        (spoilt(MADE.batch_car, len(MADE.batch_car) - 1), 2),
        (spoilt(MADE.batch_car, 200), 2),
        (MADE.batch.data.replace(b'"size":8', b'"size":9'), 11),
        (MADE.batch.data.replace(b'"old_size":5', b'"old_size":4'), 11),
        (MADE.batch.data[:-1], 1),
    ],
)
def test_every_region_of_a_batch_falls_at_its_line(data, number):
    assert false_line(report(data)) == number


def test_a_false_record_is_named():
    bad = proved(planned(), signer=OTHER_SUBMITTER_KEY)
    result = report(anchored(bad).batch_car)
    assert false_line(result) == 9
    assert bad["workflow_id"] in result.lines[8].text


def test_since_reaches_over_a_batch():
    older = MADE.before.growth
    from airflow_cwf.core.anchors import Head

    terms = replace(FAST, since=Head(older.old_size, older.old_root))
    assert states(report(MADE.batch_car, terms))[11] is State.UNKNOWN
    terms = replace(terms, batches=[MADE.before.data])
    assert states(report(MADE.batch_car, terms))[11] is State.HELD
    wrong = replace(FAST, since=Head(5, bytes(32)))
    assert false_line(report(MADE.batch_car, wrong)) == 11


def test_batch_json_is_found_in_its_car():
    assert batch_json([MADE.batch_car]) == batch_json([MADE.batch.data]) == MADE.batch.data
    with pytest.raises(VerificationError):
        batch_json([directory({"x": b"{}"})])


# CIDs and transactions


def blocks_of(made):
    directory_block = next(iter_blocks(made.batch_car))
    found = {str(made.root): directory_block.data, str(raw_cid(made.batch.data)): made.batch.data}
    return found | {str(raw_cid(data)): data for data in made.records.values()}


def iter_blocks(car):
    from airflow_cwf.core.evidence.car import read_car

    return read_car([car], max_blocks=10)[1]


STORE = BlockStore(blocks_of(MADE))


def by_cid(cid, *, store=STORE, terms=FAST):
    return asyncio.run(verify_cid(cid, terms, store=store))


def by_tx(*, store=STORE, terms=CHAINED, tx_hash=TX):
    return asyncio.run(verify_append(tx_hash, terms, store=store))


def test_a_record_is_verified_by_its_cid():
    result = by_cid(RECORD_CID)
    assert states(result)[2] is State.HELD
    assert [name.cid for name in result.records] == [str(RECORD_CID)]


@pytest.mark.parametrize("cid", [MADE.root, raw_cid(MADE.batch.data)])
def test_a_batch_is_verified_by_the_cid_of_its_directory_or_its_document(cid):
    result = by_cid(cid)
    assert {states(result)[number] for number in (1, 2, 3, 4, 6, 7, 9, 11)} == {State.HELD}
    assert len(result.records) == 3


def test_without_a_store_or_an_answer_a_cid_is_unknown():
    for store in (None, BlockStore({})):
        result = by_cid(RECORD_CID, store=store)
        assert result.exit_code == 2
        assert states(result)[2] is State.UNKNOWN
    partial = BlockStore({str(MADE.root): STORE.blocks[str(MADE.root)]})
    assert by_cid(MADE.root, store=partial).exit_code == 2


@pytest.mark.parametrize(
    ("cid", "data", "number"),
    [
        (RECORD_CID, b"other", 2),
        (MADE.root, b"other", 2),
        (cid_of(b"other", codec=DAG_PB), b"other", 1),
        (raw_cid(b"other"), b"other", 1),
        (cid_of(b"other", codec=DAG_CBOR), b"other", 2),
    ],
)
def test_other_bytes_under_a_cid_are_false(cid, data, number):
    assert false_line(by_cid(cid, store=BlockStore({str(cid): data}))) == number


def test_a_directory_that_links_to_itself_is_no_loop():
    entry = DirectoryEntry("x", raw_cid(b"x"), 1)
    block = encode_directory([entry]).replace(entry.cid.binary, cid_of(b"x", codec=DAG_PB).binary)
    cid = cid_of(block, codec=DAG_PB)
    assert false_line(by_cid(cid, store=BlockStore({str(cid): block}))) == 1


def test_a_transaction_leads_to_every_record_of_its_batch():
    result = by_tx()
    assert states(result)[12] is State.HELD
    assert len(result.records) == 3


@pytest.mark.parametrize(
    "options",
    [
        {"store": None},
        {"terms": FAST},
        {"terms": replace(CHAINED, offline=True)},
        {"tx_hash": hash_of(1234)},
        {"terms": replace(CHAINED, trust=replace(NO_KEYS, contracts=frozenset()))},
        {"terms": replace(FAST, chains=chains(logs=[appended(MADE), appended(MADE)]))},
    ],
)
def test_a_transaction_that_leads_nowhere_is_unknown(options):
    result = by_tx(**options)
    assert result.exit_code == 2
    assert states(result)[12] is State.UNKNOWN


def test_a_transaction_without_an_append_is_false():
    assert false_line(by_tx(terms=replace(FAST, chains=chains(logs=[])))) == 12


def test_a_record_given_as_the_batch_of_a_transaction_is_refused():
    assert false_line(report(RECORD, CHAINED, tx_hash=TX)) == 1


def test_a_cid_has_one_codec_of_three():
    with pytest.raises(ValueError, match="codec"):
        Cid(0, bytes(32))
