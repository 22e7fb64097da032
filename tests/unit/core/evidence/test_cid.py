"""CIDs: the texts that multiformats writes, and nothing else."""

import base64
import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.cid import (
    DAG_CBOR,
    DAG_PB,
    RAW,
    Block,
    Cid,
    cid_from_binary,
    cid_of,
    is_cid,
    parse_cid,
    raw_cid,
    require_named,
)

VECTORS = json.loads((Path(__file__).parents[3] / "vectors/cid/multiformats.json").read_bytes())
HELLO = next(case["text"] for case in VECTORS["cids"] if case["content"] == "hello world")

cids = st.builds(Cid, st.sampled_from([RAW, DAG_PB, DAG_CBOR]), st.binary(min_size=32, max_size=32))


@pytest.mark.parametrize("case", VECTORS["cids"])
def test_cids_are_those_of_multiformats(case):
    cid = cid_of(case["content"].encode(), codec=case["codec"])
    assert str(cid) == case["text"]
    assert cid.binary.hex() == case["binary"]
    assert parse_cid(case["text"]) == cid
    assert cid_from_binary(bytes.fromhex(case["binary"])) == cid
    assert is_cid(case["text"]) == (case["codec"] == RAW)


def test_a_raw_cid_is_the_name_of_the_bytes():
    assert str(raw_cid(b"hello world")) == HELLO
    require_named(Block(raw_cid(b"hello world"), b"hello world"))
    with pytest.raises(VerificationError) as refused:
        require_named(Block(raw_cid(b"hello world"), b"hello world!"))
    assert refused.value.check == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        HELLO[:-1],
        HELLO + "a",
        HELLO + "\n",
        HELLO.upper(),
        HELLO[:-1] + "f",  # bits behind the last byte
        HELLO[:-1] + "8",  # not a letter of base32
        HELLO[:20] + "\u0131" + HELLO[21:],
        "z" + HELLO[1:],
        "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn",  # CIDv0
        "zb2rhe5P4gXftAwvA4eXQ5HJwsER2owDyS9sKaQRRVQPn93bA",  # base58
        None,
        7,
        HELLO.encode(),
    ],
)
def test_any_other_text_is_refused(text):
    assert not is_cid(text)
    with pytest.raises(VerificationError) as refused:
        parse_cid(text, check=2)
    assert refused.value.check == 2


@pytest.mark.parametrize(
    ("place", "value"), [(0, 0), (0, 2), (1, 0x51), (1, 0x71 | 0x80), (2, 0x13), (3, 31)]
)
def test_another_version_codec_or_hash_is_refused(place, value):
    binary = bytearray(raw_cid(b"").binary)
    binary[place] = value
    text = "b" + base64.b32encode(binary).decode().lower().rstrip("=")
    with pytest.raises(VerificationError):
        cid_from_binary(bytes(binary))
    with pytest.raises(VerificationError):
        parse_cid(text)


@pytest.mark.parametrize(
    "data", [b"", b"\x01", raw_cid(b"").binary[:-1], raw_cid(b"").binary + b"\0"]
)
def test_another_length_is_refused(data):
    with pytest.raises(VerificationError):
        cid_from_binary(data)


def test_a_cid_that_is_none_cannot_be_made():
    for codec, digest in [(0x51, bytes(32)), (RAW, bytes(31))]:
        with pytest.raises(ValueError, match="three codecs"):
            Cid(codec, digest)


@given(cids)
def test_text_and_bytes_come_back_the_same(cid):
    assert parse_cid(str(cid)) == cid
    assert cid_from_binary(cid.binary) == cid


@given(cids, st.data())
def test_a_changed_letter_names_something_else_or_nothing(cid, data):
    text = str(cid)
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(
        st.sampled_from("abcdefghijklmnopqrstuvwxyz234567").filter(lambda x: x != text[place])
    )
    try:
        other = parse_cid(text[:place] + letter + text[place + 1 :])
    except VerificationError:
        return
    assert other != cid


@given(
    st.text(max_size=70)
    | st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=58, max_size=58).map("b".__add__)
)
def test_no_text_makes_the_reader_fail_otherwise(text):
    with suppress(VerificationError):
        assert str(parse_cid(text)) == text


@given(st.binary(max_size=40))
def test_no_bytes_make_the_reader_fail_otherwise(data):
    with suppress(VerificationError):
        assert cid_from_binary(data).binary == data
