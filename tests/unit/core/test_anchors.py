"""Calls and events of WorkflowAnchor: plain ABI, in one form."""

from dataclasses import replace

import pytest
from eth_abi import encode
from hypothesis import given
from hypothesis import strategies as st

from airflow_cwf.core.abi import event_topic, selector
from airflow_cwf.core.anchors import (
    APPENDED_TOPIC,
    NO_HEAD,
    AppendCall,
    AppendedEvent,
    Head,
    append_gas_limit,
    appended_events,
    decode_append,
    decode_head,
    decode_refusal,
    encode_append,
    encode_head,
)
from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.transactions import Log

CONTRACT, SUBMITTER, STRANGER = ("0x" + pair * 20 for pair in ("c0", "5b", "99"))
CALL = AppendCall(Head(3, b"\xa1" * 32), Head(7, b"\xa2" * 32), b"\xb2" * 32)
TYPES = ["uint256", "bytes32", "uint256", "bytes32", "bytes32"]
APPEND = selector("append(uint256,bytes32,uint256,bytes32,bytes32)")

words = st.binary(min_size=32, max_size=32)


@st.composite
def append_calls(draw):
    old_size, size = sorted(draw(st.sets(st.integers(0, 2**256 - 1), min_size=2, max_size=2)))
    old = Head(old_size, draw(words)) if old_size else NO_HEAD
    return AppendCall(old, Head(size, draw(words)), draw(words))


def plain(call):
    return [call.old.size, call.old.root, call.new.size, call.new.root, call.batch]


def log_of(call, position=0, submitter=SUBMITTER):
    topics = (APPENDED_TOPIC, "0x" + submitter[2:].rjust(64, "0"))
    return Log(CONTRACT, topics, encode(TYPES, plain(call)), position)


@given(append_calls())
def test_an_append_is_plain_abi_and_comes_back_the_same(call):
    data = encode_append(call)
    assert data == APPEND + encode(TYPES, plain(call))
    assert decode_append(data) == call


@given(append_calls(), st.data())
def test_a_changed_byte_gives_another_call_or_none(call, data):
    raw = bytearray(encode_append(call))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        other = decode_append(bytes(raw))
    except ValueError:
        return
    assert other != call
    assert encode_append(other) == raw


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: b"",
        lambda raw: raw[:4],
        lambda raw: raw[:-1],
        lambda raw: raw + b"\0",
        lambda raw: b"\0" * 4 + raw[4:],
        lambda raw: raw[:4] + bytes(32) + raw[36:],  # an empty log with a root
        lambda raw: raw[:4] + raw[68:100] + raw[36:],  # no growth
    ],
)
def test_calldata_in_any_other_form_is_refused(change):
    with pytest.raises(ValueError, match=r"calldata|larger|empty log"):
        decode_append(change(encode_append(CALL)))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"new": Head(3, b"\xa2" * 32)}, "larger"),
        ({"new": Head(2**256, b"\xa2" * 32)}, "larger"),
        ({"old": Head(-1, b"\xa1" * 32)}, "larger"),
        ({"old": Head(0, b"\xa1" * 32)}, "empty log"),
        ({"old": Head(3, b"\xa1" * 31)}, "31 bytes"),
        ({"new": Head(7, b"")}, "0 bytes"),
        ({"batch": b"\xb2" * 33}, "33 bytes"),
    ],
)
def test_an_append_that_cannot_be_meant_is_refused(change, text):
    with pytest.raises(ValueError, match=text):
        encode_append(replace(CALL, **change))


def test_a_head_is_asked_for_and_read():
    asked = encode_head(SUBMITTER)
    assert asked == selector("head(address)") + encode(["address"], [SUBMITTER])
    assert decode_head(encode(["uint256", "bytes32"], [7, b"\xa2" * 32])) == CALL.new
    assert decode_head(encode(["uint256", "bytes32"], [0, NO_HEAD.root])) == NO_HEAD


@pytest.mark.parametrize("answer", [b"", bytes(63), bytes(65), bytes(64)])
def test_an_answer_that_is_no_head_is_refused(answer):
    with pytest.raises(ValueError, match="answer to head"):
        decode_head(answer)


def test_events_are_read_in_order_and_those_of_others_skipped():
    first, second = log_of(CALL, 2), log_of(CALL, 4, STRANGER)
    foreign = replace(first, address=STRANGER)
    other = replace(first, topics=(event_topic("Other()"), first.topics[1]), data=b"")
    silent = replace(first, topics=(), data=b"")
    events = appended_events([foreign, other, first, silent, second], contract=CONTRACT)
    assert events == (AppendedEvent(SUBMITTER, CALL, 2), AppendedEvent(STRANGER, CALL, 4))


@pytest.mark.parametrize(
    "change",
    [
        {"data": b""},
        {"data": bytes(159)},
        {"data": bytes(161)},
        {"topics": (APPENDED_TOPIC,)},
        {"topics": (APPENDED_TOPIC, "0x" + "01" + "00" * 11 + "5b" * 20)},  # dirty bits
        {"topics": (APPENDED_TOPIC, "5b" * 20)},
        {"topics": (APPENDED_TOPIC, "")},
        {"topics": (APPENDED_TOPIC, "0x" + "0" * 24 + "5B" * 20)},
        {"topics": (*log_of(CALL).topics, "0x" + "00" * 32)},
    ],
)
def test_an_event_in_another_form_fails_check_12(change):
    with pytest.raises(VerificationError) as refused:
        appended_events([replace(log_of(CALL), **change)], contract=CONTRACT)
    assert refused.value.check == 12


def test_a_refusal_tells_the_head_that_stands_there():
    data = selector("OtherHead(uint256,bytes32)") + encode(
        ["uint256", "bytes32"], [7, b"\xa2" * 32]
    )
    assert decode_refusal(data) == CALL.new
    assert "not larger" in decode_refusal(selector("NotLarger()"))
    for unknown in (b"", data[:-1], data + b"\0", b"\0" * 4):
        assert "without a reason" in decode_refusal(unknown)


def test_the_gas_limit_counts_bytes_and_posting():
    data = encode_append(CALL)
    assert append_gas_limit(calldata=data) == 21_000 + 40 * 164 + 60_000
    assert append_gas_limit(calldata=data, posting_gas=7) == append_gas_limit(calldata=data) + 7
