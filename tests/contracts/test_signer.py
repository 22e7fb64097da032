"""The contract of `Signer`, against every way to get one."""

import pytest
from coincurve import PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_cwf.adapters.signers.keystore import open_keystore, write_keystore
from airflow_cwf.adapters.signers.private_key import PrivateKeySigner
from airflow_cwf.core.errors import SignerError
from airflow_cwf.core.hashes import keccak256
from airflow_cwf.core.ports import Signer

KEY = b"\x46" * 32
HALF_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 // 2

SIGNERS = {
    "a private key": PrivateKeySigner(KEY),
    "a keystore": open_keystore(write_keystore(KEY, "pass", scrypt_n=2), "pass"),
}


@pytest.fixture(params=SIGNERS.values(), ids=SIGNERS, scope="module")
def signer(request):
    return request.param


def recovered(digest, signature):
    y_parity, r, s = signature
    compact = r.to_bytes(32) + s.to_bytes(32) + bytes([y_parity])
    key = PublicKey.from_signature_and_message(compact, digest, hasher=None)
    return "0x" + keccak256(key.format(compressed=False)[1:])[12:].hex()


def test_it_fills_the_role(signer):
    assert isinstance(signer, Signer)


def test_its_address_is_lower_case_and_the_one_eth_account_derives(signer):
    from eth_account import Account

    assert signer.address == Account.from_key(KEY).address.lower()


@settings(max_examples=50)
@given(digest=st.binary(min_size=32, max_size=32))
def test_a_signature_is_low_and_leads_back_to_the_address(signer, digest):
    y_parity, r, s = signer.sign_digest(digest)
    assert y_parity in {0, 1}
    assert r > 0
    assert 0 < s <= HALF_ORDER
    assert recovered(digest, (y_parity, r, s)) == signer.address


def test_the_same_digest_has_the_same_signature(signer):
    digest = keccak256(b"twice")
    assert signer.sign_digest(digest) == signer.sign_digest(digest)


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_what_is_no_digest_is_not_signed(signer, size):
    with pytest.raises(SignerError, match="32 bytes"):
        signer.sign_digest(bytes(size))
