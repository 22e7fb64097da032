import copy
import json
import pickle
import traceback

import pytest

from airflow_cwf.adapters.signers.private_key import PrivateKeySigner
from airflow_cwf.core.errors import SignerError

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KEY = b"\x46" * 32
ADDRESS = "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"
"""EIP-155's example account."""


def test_the_address_is_the_one_of_eip_155s_example():
    assert PrivateKeySigner(KEY).address == ADDRESS


@pytest.mark.parametrize("text", ["46" * 32, "0x" + "46" * 32, f" 0x{'46' * 32}\n"])
def test_a_key_may_be_written_in_hex(text):
    assert PrivateKeySigner.from_hex(text).address == ADDRESS


@pytest.mark.parametrize(
    "key", [b"", b"\1" * 31, b"\1" * 33, bytes(32), ORDER.to_bytes(32), b"\xff" * 32]
)
def test_a_number_that_is_no_key_is_refused(key):
    with pytest.raises(SignerError):
        PrivateKeySigner(key)


def test_the_ends_of_the_range_are_keys():
    lowest, highest = PrivateKeySigner((1).to_bytes(32)), PrivateKeySigner((ORDER - 1).to_bytes(32))
    assert lowest.address != highest.address


@pytest.mark.parametrize("text", ["", "not-a-s3cret", "zz" * 32, "0x0x" + "46" * 31])
def test_a_text_that_is_no_key_is_not_repeated(text):
    with pytest.raises(SignerError) as caught:
        PrivateKeySigner.from_hex(text)
    shown = "".join(traceback.format_exception(caught.value))
    assert "s3cret" not in shown
    assert caught.value.__cause__ is None


def test_the_key_is_in_no_text_of_the_signer():
    signer = PrivateKeySigner(KEY)
    assert repr(signer) == str(signer) == f"PrivateKeySigner({ADDRESS})"
    assert "4646" not in f"{signer!r}{signer}{json.dumps({'signer': str(signer)})}"


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy])
def test_the_key_is_neither_copied_nor_serialised(leak):
    with pytest.raises(SignerError, match="not copied"):
        leak(PrivateKeySigner(KEY))
