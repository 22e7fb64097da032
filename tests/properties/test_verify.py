"""Any bytes give a report, and no changed byte of proved evidence is left unnoticed."""

import asyncio
import json
from contextlib import suppress
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_cwf.actions.verify import State, verify
from airflow_cwf.actions.verify_fetch import verify_file
from airflow_cwf.core.errors import ConfigError
from airflow_cwf.core.evidence.canonical import canonical_bytes
from airflow_cwf.core.evidence.car import record_car
from airflow_cwf.core.evidence.receipt_file import receipt_file
from airflow_cwf.core.evidence.record import record_of
from airflow_cwf.core.evidence.trust import parse_trust
from tests.fakes import evidence
from tests.fakes.evidence import hash_of
from tests.fakes.proved import APPEND_TX, NO_KEYS, TERMS, TRUST_FILE, as_bytes, whole, with_chains

MADE = whole()
METADATA = as_bytes(MADE.metadata)
RECORD = canonical_bytes(record_of(MADE.metadata))
CAR = record_car(RECORD)
RECEIPT = receipt_file(evidence.agents()[1].receipts, index=1, step=1, document=MADE.metadata)
FAST = replace(TERMS, trust=NO_KEYS)
CHAINED = with_chains(trust=NO_KEYS)
TX = hash_of(APPEND_TX)
SAMPLES = [METADATA, RECORD, CAR, RECEIPT, MADE.batch.data, MADE.batch_car]
FEW = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


def flipped(data: bytes, place: int, mask: int) -> bytes:
    changed = bytearray(data)
    changed[place % len(data)] ^= mask
    return bytes(changed)


def report(data: bytes, terms=FAST, **options):
    result = asyncio.run(verify_file([data], terms, **options))
    assert len(result.lines) == 13
    assert all("\n" not in line.text for line in result.lines)
    json.dumps(result.to_json())
    return result


@FEW
@given(st.integers(0), st.integers(1, 255))
def test_a_changed_byte_of_metadata_is_never_held(place, mask):
    """The proof too: the CID in the metadata covers it. The anchor is compared with the chain."""
    result = report(flipped(METADATA, place, mask), CHAINED)
    states = {line.number: line.state for line in result.lines}
    assert result.exit_code == 1 or states[12] is State.UNKNOWN  # another tx_hash


@FEW
@given(st.integers(0), st.integers(1, 255))
def test_a_changed_byte_of_a_record_is_false(place, mask):
    """Without a CID nothing covers the proof but the pairing."""
    assert report(flipped(RECORD, place, mask), TERMS).exit_code == 1


@settings(FEW, max_examples=8)
@given(st.integers(0), st.integers(1, 15))
def test_a_changed_digit_of_the_proof_falls_at_8(place, change):
    digits = MADE.metadata["zk_proof"][2:]
    place %= len(digits)
    digit = f"{(int(digits[place], 16) + change) % 16:x}"
    changed = digits[:place] + digit + digits[place + 1 :]
    document = record_of(MADE.metadata) | {"zk_proof": "0x" + changed}
    result = asyncio.run(verify(as_bytes(document), TERMS))
    assert [line.number for line in result.lines if line.state is State.FALSE] == [8]


@FEW
@given(st.integers(0), st.integers(1, 255))
def test_a_changed_byte_of_a_car_is_false_at_1_or_2(place, mask):
    for car in (CAR, MADE.batch_car):
        result = report(flipped(car, place, mask))
        assert result.exit_code == 1
        assert {n.number for n in result.lines if n.state is State.FALSE} <= {1, 2}


@FEW
@given(st.integers(0), st.integers(1, 255))
def test_a_changed_byte_of_a_receipt_file_or_a_batch_is_never_held(place, mask):
    assert report(flipped(RECEIPT, place, mask), CHAINED).exit_code != 0
    result = report(flipped(MADE.batch.data, place, mask), CHAINED, tx_hash=TX)
    assert result.exit_code == 1 or result.lines[11].state is State.UNKNOWN  # another chain


@FEW
@given(st.sampled_from(SAMPLES), st.integers(0), st.integers(0, 40), st.binary(max_size=40))
def test_spliced_bytes_give_a_report(sample, place, length, new):
    place %= len(sample)
    changed = sample[:place] + new + sample[place + length :]
    result = report(changed)
    assert changed == sample or result.exit_code != 0


@FEW
@given(st.sampled_from([b"", CAR[:59], CAR[:97], b"{", b'{"format":"cwf-batch/1"']), st.binary())
def test_any_bytes_give_a_report(head, tail):
    assert report(head + tail).exit_code == 1
    assert report(head + tail, tx_hash=TX).exit_code == 1


@FEW
@given(st.integers(0), st.integers(1, 255))
def test_any_trust_file_is_read_or_refused(place, mask):
    with suppress(ConfigError):
        parse_trust(flipped(TRUST_FILE, place, mask))
