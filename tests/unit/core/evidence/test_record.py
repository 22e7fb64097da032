"""Core, record, metadata: nesting, states, the chain's number."""

from hashlib import sha3_256

import pytest

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.canonical import canonical_bytes
from airflow_cwf.core.evidence.outputs import VIEW_FLOATS
from airflow_cwf.core.evidence.record import (
    chain_number,
    core_digest,
    core_of,
    parse_document,
    record_of,
)
from tests.fakes.evidence import metadata

CORE = {
    "format", "workflow_id", "chain_id", "chains", "steps", "totals", "circuits",
    "verification_keys", "screening", "supersedes", "anchor_to", "created_at",
}  # fmt: skip


def encode(document):
    return canonical_bytes(document, float_members=VIEW_FLOATS)


def refused(document):
    with pytest.raises(VerificationError) as caught:
        parse_document(encode(document))
    assert caught.value.check == 1
    return str(caught.value)


def test_core_record_and_metadata_are_nested():
    document = metadata().document
    assert set(core_of(document)) == CORE
    assert set(record_of(document)) == CORE | {"zk_proof", "public_signals", "signature"}
    assert set(document) == set(record_of(document)) | {"agent_outputs", "cid", "anchor"}


def test_the_core_digest_is_over_the_canonical_core():
    made = metadata()
    core = {name: made.document[name] for name in CORE}
    assert made.core_digest == "0x" + sha3_256(canonical_bytes(core)).hexdigest()
    assert core_digest(core).hex() == made.core_digest[2:]


def test_a_bare_record_is_read_too():
    record = record_of(metadata().document)
    assert parse_document(encode(record)) == record


@pytest.mark.parametrize(
    ("caip2", "number"),
    [
        ("eip155:1", 1),
        ("eip155:42161", 42161),
        ("eip155:9007199254740991", 2**53 - 1),
        (
            "cosmos:cosmoshub-4",
            int(bin(int(sha3_256(b"cosmos:cosmoshub-4").hexdigest(), 16) | 1 << 256)[3:56], 2),
        ),
    ],
)
def test_a_chain_number_is_eip155s_or_the_top_53_bits_of_the_hash(caip2, number):
    assert chain_number(caip2) == number


@pytest.mark.parametrize("caip2", ["eip155:0", "eip155:01", "eip155:9007199254740992", "ethereum"])
def test_a_chain_without_number_is_refused(caip2):
    with pytest.raises(VerificationError):
        chain_number(caip2)


@pytest.mark.parametrize(
    "change",
    [
        {"chains": []},
        {"chains": ["eip155:137", "eip155:1"]},
        {"chains": ["eip155:1", "eip155:1"]},
        {"steps": []},
        {"public_signals": ["1"]},
        {"cid": "bafkrei"},
        {"anchor": {"chain": "eip155:1"}},
        {"signature": "0x" + "0" * 130},
        {"extra": 1},
        {"format": "cwf/2"},
        {"totals": {}},
        {"created_at": "now"},
        {"supersedes": "0x00"},
        {"screening": [{"list": "OFAC SDN"}]},
    ],
    ids=str,
)
def test_a_document_out_of_form_is_refused(change):
    refused(dict(metadata().document) | change)


@pytest.mark.parametrize("name", sorted(metadata().document))
def test_a_missing_member_is_refused(name):
    document = dict(metadata().document)
    del document[name]
    refused(document)


def test_a_record_above_one_mebibyte_is_refused():
    entry = metadata().document["screening"][0]
    document = dict(metadata().document) | {"screening": [entry | {"list": "x" * 2**20}]}
    assert "1048576" in refused(document)
