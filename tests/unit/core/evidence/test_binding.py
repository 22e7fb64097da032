"""Binding and signature: judged by eth_abi and eth_account, which share no code with them."""

import pytest
from eth_abi import encode
from eth_account import Account
from eth_account.messages import encode_defunct
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_cwf.adapters.signers.private_key import PrivateKeySigner
from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.binding import (
    binding,
    encode_signature,
    recover_submitter,
    signing_digest,
    verify_signature,
)
from airflow_cwf.core.hashes import keccak256

DIGEST = bytes(range(32))
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
BN254_ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617
TO = {"chain": "eip155:1", "contract": "0x" + "c0" * 20, "submitter": "0x" + "5b" * 20}
SIGNER = PrivateKeySigner(b"\x01" * 32)
SIGNATURE = encode_signature(*SIGNER.sign_digest(signing_digest(DIGEST)))

digests = st.binary(min_size=32, max_size=32)
addresses = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())


def expected(chain, contract, submitter, digest):
    types = ["uint256", "address", "address", "bytes32"]
    return int.from_bytes(keccak256(encode(types, [chain, contract, submitter, digest]))) >> 8


@given(st.integers(1, 2**53 - 1), addresses, addresses, digests)
def test_a_binding_is_what_a_contract_computes(chain, contract, submitter, digest):
    to = {"chain": f"eip155:{chain}", "contract": contract, "submitter": submitter}
    assert binding(digest, anchor_to=to) == expected(chain, contract, submitter, digest)


@given(digests)
def test_without_a_destination_zeros_are_bound(digest):
    zero = "0x" + "00" * 20
    made = binding(digest, anchor_to=None)
    assert made == expected(0, zero, zero, digest)
    assert 0 < made < 2**248 < BN254_ORDER


def test_each_part_changes_the_binding():
    other = [
        binding(DIGEST, anchor_to=TO | {"chain": "eip155:2"}),
        binding(DIGEST, anchor_to=TO | {"contract": TO["submitter"]}),
        binding(DIGEST, anchor_to=TO | {"submitter": TO["contract"]}),
        binding(DIGEST[::-1], anchor_to=TO),
        binding(DIGEST, anchor_to=None),
    ]
    assert len({binding(DIGEST, anchor_to=TO), *other}) == 6


@pytest.mark.parametrize("chain", ["cosmos:cosmoshub-4", "eip155:", "eip155:x", "eip155:²", "1"])
def test_a_chain_that_is_not_eip155_fails_check_6(chain):
    with pytest.raises(VerificationError) as refused:
        binding(DIGEST, anchor_to=TO | {"chain": chain})
    assert refused.value.check == 6


def test_a_digest_has_32_bytes():
    for call in (lambda: binding(DIGEST[1:], anchor_to=None), lambda: signing_digest(DIGEST[1:])):
        with pytest.raises(ValueError, match="31 bytes"):
            call()


@settings(max_examples=25, deadline=None)
@given(st.integers(1, ORDER - 1), digests)
def test_a_signature_is_that_of_personal_sign(key, digest):
    account = Account.from_key(key.to_bytes(32))
    signed = account.sign_message(encode_defunct(primitive=digest))
    signer = PrivateKeySigner(key.to_bytes(32))
    made = encode_signature(*signer.sign_digest(signing_digest(digest)))
    assert made == "0x" + signed.signature.hex()
    assert recover_submitter(digest, signature=made) == account.address.lower()
    verify_signature(digest, signature=made, submitter=signer.address)


def test_a_signature_of_another_key_or_core_is_refused():
    verify_signature(DIGEST, signature=SIGNATURE, submitter=SIGNER.address)
    for digest, submitter in ((DIGEST[::-1], SIGNER.address), (DIGEST, "0x" + "5b" * 20)):
        with pytest.raises(VerificationError) as refused:
            verify_signature(digest, signature=SIGNATURE, submitter=submitter)
        assert refused.value.check == 9


def parts(r, s, v):
    return "0x" + (r.to_bytes(32) + s.to_bytes(32) + bytes([v])).hex()


R, S, V = int(SIGNATURE[2:66], 16), int(SIGNATURE[66:130], 16), int(SIGNATURE[130:], 16)


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "0x",
        SIGNATURE[:-2],
        SIGNATURE + "00",
        SIGNATURE[2:],
        SIGNATURE.upper().replace("0X", "0x"),
        SIGNATURE[:-1] + "g",
        SIGNATURE[:-1] + " ",
        parts(R, ORDER - S, 55 - V),  # the same signature with high s
        parts(R, S, V - 27),
        parts(R, S, V + 2),
        parts(R, S, 37),
        parts(0, S, V),
        parts(ORDER, S, V),
        parts(R, 0, V),
        parts(R, ORDER - 1, V),
        parts(5, S, V),  # no point of the curve has this x
    ],
)
def test_a_signature_in_any_other_form_fails_check_9(signature):
    with pytest.raises(VerificationError) as refused:
        recover_submitter(DIGEST, signature=signature)
    assert refused.value.check == 9


@given(st.integers(0, 64), st.integers(1, 255))
def test_a_changed_byte_is_not_the_submitters_signature(place, value):
    raw = bytearray.fromhex(SIGNATURE[2:])
    raw[place] ^= value
    with pytest.raises(VerificationError):
        verify_signature(DIGEST, signature=f"0x{raw.hex()}", submitter=SIGNER.address)


@pytest.mark.parametrize(
    "made", [(2, R, S), (-1, R, S), (0, 0, S), (0, ORDER, S), (0, R, 0), (0, R, ORDER // 2 + 1)]
)
def test_a_signature_out_of_range_is_not_written(made):
    with pytest.raises(ValueError, match="low s"):
        encode_signature(*made)
