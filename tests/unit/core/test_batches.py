from dataclasses import replace

import pytest
from eth_abi import encode
from hypothesis import given
from hypothesis import strategies as st

from airflow_cwf.core.abi import selector
from airflow_cwf.core.batches import (
    GAS_CAP,
    MAX_AMOUNT,
    MAX_INDEX,
    MAX_ITEMS,
    BatchItem,
    CloseCall,
    PayCall,
    batches,
    close_gas_limit,
    decode_close,
    decode_paid_words,
    decode_pay,
    encode_close,
    encode_paid_words,
    encode_pay,
    encode_scope_digest,
    gas_limit,
    pack_items,
    paid_indexes,
    unpack_items,
)

TOKEN = "0x" + "aa" * 20
PAYEE = "0x" + "bb" * 20
SCOPE = b"\x51" * 32
DIGEST = b"\xd1" * 32
CALL = PayCall(TOKEN, SCOPE, DIGEST, atomic=False, items=(BatchItem(7, PAYEE, 1_000_000),))
PAY = selector("pay(address,bytes32,bytes32,bool,bytes)")

addresses = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
digests = st.binary(min_size=32, max_size=32).filter(any)
batch_items = st.builds(
    BatchItem,
    index=st.integers(0, MAX_INDEX),
    payee=addresses,
    amount=st.integers(1, MAX_AMOUNT),
)
pay_calls = st.builds(
    PayCall,
    token=addresses,
    scope=st.binary(min_size=32, max_size=32),
    digest=digests,
    atomic=st.booleans(),
    items=st.lists(batch_items, min_size=1, max_size=9, unique_by=lambda item: item.index).map(
        tuple
    ),
)


@given(pay_calls)
def test_a_payment_call_is_plain_abi_and_comes_back_the_same(call):
    args = [call.token, call.scope, call.digest, call.atomic, pack_items(call.items)]
    data = encode_pay(call)
    assert data == PAY + encode(["address", "bytes32", "bytes32", "bool", "bytes"], args)
    assert decode_pay(data) == call


@given(pay_calls, st.data())
def test_a_changed_byte_gives_another_call_or_none(call, data):
    raw = bytearray(encode_pay(call))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    try:
        other = decode_pay(bytes(raw))
    except ValueError:
        return
    assert other != call
    assert encode_pay(other) == raw


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw + b"\0",
        lambda raw: raw[:-1],
        lambda raw: raw[:100],
        lambda raw: raw[:4],
        lambda raw: b"",
        lambda raw: b"\0" * 4 + raw[4:],
        lambda raw: raw[:4] + b"\1" + raw[5:],  # dirty bits above the token
        lambda raw: raw[: 4 + 127] + b"\2" + raw[4 + 128 :],  # a bool that is 2
        lambda raw: raw[: 4 + 159] + b"\xc0" + raw[4 + 160 :],  # another offset
        lambda raw: raw[:-1] + b"\1",  # padding that is not zero
        lambda raw: raw[: 4 + 160] + b"\xff" * 32 + raw[4 + 192 :],  # an absurd length
    ],
)
def test_calldata_in_any_other_form_is_refused(change):
    with pytest.raises(ValueError, match=r"calldata|bytes|at least one"):
        decode_pay(change(encode_pay(CALL)))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"items": ()}, "at least one item"),
        ({"items": (CALL.items[0], replace(CALL.items[0], payee=TOKEN))}, "Index 7 stands twice"),
        ({"items": (replace(CALL.items[0], index=-1),)}, "32 bits"),
        ({"items": (replace(CALL.items[0], index=2**32),)}, "32 bits"),
        ({"items": (replace(CALL.items[0], amount=0),)}, "pays 0 units"),
        ({"items": (replace(CALL.items[0], amount=2**96),)}, "Item 7 pays"),
        ({"items": (replace(CALL.items[0], payee="0x" + "BB" * 20),)}, "lower-case"),
        ({"items": (replace(CALL.items[0], payee="0x" + "bb" * 20 + "\n"),)}, "lower-case"),
        ({"token": "0xaa"}, "lower-case"),
        ({"scope": SCOPE[1:]}, "31 bytes"),
        ({"digest": DIGEST + b"\1"}, "33 bytes"),
        ({"digest": bytes(32)}, "zero"),
    ],
)
def test_a_call_that_cannot_be_meant_is_refused(change, text):
    with pytest.raises(ValueError, match=text):
        encode_pay(replace(CALL, **change))


def test_items_take_36_bytes_each():
    packed = pack_items(CALL.items)
    assert packed.hex() == "00000007" + "bb" * 20 + "0000000000000000000f4240"
    assert unpack_items(packed) == CALL.items
    with pytest.raises(ValueError, match="36"):
        unpack_items(packed[:-1])


@given(digests, st.lists(st.integers(0, MAX_INDEX), min_size=1, max_size=9, unique=True))
def test_a_close_call_is_plain_abi_and_comes_back_the_same(digest, indexes):
    call = CloseCall(SCOPE, digest, tuple(indexes))
    packed = b"".join(index.to_bytes(4) for index in indexes)
    data = encode_close(call)
    expected = encode(["bytes32", "bytes32", "bytes"], [SCOPE, digest, packed])
    assert data == selector("close(bytes32,bytes32,bytes)") + expected
    assert decode_close(data) == call


def test_close_calldata_in_any_other_form_is_refused():
    data = encode_close(CloseCall(SCOPE, DIGEST, (1, 2)))
    for other in (data + b"\0", data[:-1], data[:4], encode_pay(CALL), data[:-1] + b"\1"):
        with pytest.raises(ValueError, match=r"calldata|item|zero|bytes"):
            decode_close(other)
    with pytest.raises(ValueError, match="stands twice"):
        encode_close(CloseCall(SCOPE, DIGEST, (1, 1)))
    with pytest.raises(ValueError, match="at least one"):
        encode_close(CloseCall(SCOPE, DIGEST, ()))


def test_bitmap_words_are_asked_for_and_read():
    expected = encode(["address", "bytes32", "uint256", "uint256"], [PAYEE, SCOPE, 3, 2])
    asked = encode_paid_words(PAYEE, SCOPE, first=3, count=2)
    assert asked == selector("paidWords(address,bytes32,uint256,uint256)") + expected
    words = decode_paid_words(encode(["uint256[]"], [[1 << 255, 0b101]]))
    assert paid_indexes(words, first=3) == {3 * 256 + 255, 4 * 256, 4 * 256 + 2}
    assert decode_paid_words(encode(["uint256[]"], [[]])) == ()


@pytest.mark.parametrize("answer", [b"", bytes(32), bytes(64), encode(["uint256[]"], [[1]])[:-1]])
def test_an_answer_that_is_no_bitmap_is_refused(answer):
    with pytest.raises(ValueError, match="paidWords"):
        decode_paid_words(answer)


def test_the_bound_digest_is_asked_for():
    expected = encode(["address", "bytes32"], [PAYEE, SCOPE])
    asked = encode_scope_digest(PAYEE, SCOPE)
    assert asked == selector("scopeDigest(address,bytes32)") + expected


def items_of(count, *, stride=1):
    return tuple(BatchItem(stride * i, "0x" + "ff" * 20, MAX_AMOUNT) for i in range(count))


def test_the_dearest_full_batch_stays_below_the_cap():
    items = items_of(MAX_ITEMS, stride=2**32 // MAX_ITEMS)
    data = encode_pay(replace(CALL, items=items))
    assert gas_limit(items, calldata=data) < GAS_CAP


def test_scattered_indexes_and_calldata_raise_the_limit():
    near, far = items_of(10), items_of(10, stride=256)
    data = encode_pay(replace(CALL, items=near))
    assert gas_limit(far, calldata=data) - gas_limit(near, calldata=data) == 9 * 22_200
    assert gas_limit(near, calldata=data + b"\1") - gas_limit(near, calldata=data) == 16
    assert gas_limit(near, calldata=data + b"\0") - gas_limit(near, calldata=data) == 4
    posted = gas_limit(near, calldata=data, posting_gas=5_000)
    assert posted - gas_limit(near, calldata=data) == 5_000


def test_the_calldata_floor_counts_where_it_is_higher():
    data = b"\1" * 30_000
    assert gas_limit(items_of(1), calldata=data) == 21_000 + 40 * len(data)


def test_a_limit_above_the_cap_is_refused():
    with pytest.raises(ValueError, match="EIP-7825"):
        gas_limit(items_of(200), calldata=b"", posting_gas=GAS_CAP)


@pytest.mark.parametrize("count", [0, MAX_ITEMS + 1])
def test_a_batch_of_no_or_too_many_items_is_refused(count):
    with pytest.raises(ValueError, match="1 to 200"):
        gas_limit(items_of(count), calldata=b"")


def test_closing_needs_less_gas_than_paying():
    call = CloseCall(SCOPE, DIGEST, tuple(range(200)))
    items = items_of(200)
    paying = gas_limit(items, calldata=encode_pay(replace(CALL, items=items)))
    assert close_gas_limit(call) < paying // 5


def test_batches_are_neighbours_and_hold_every_item_once():
    items = items_of(450)
    cut = list(batches(items[::-1], 200))
    assert [len(batch) for batch in cut] == [200, 200, 50]
    assert [item for batch in cut for item in batch] == list(items)
    assert list(batches([])) == []
