from dataclasses import replace

import pytest
from eth_abi import encode

from airflow_cwf.core.abi import event_topic, selector
from airflow_cwf.core.batch_outcomes import (
    UnclearOutcomeError,
    decode_close_outcome,
    decode_outcome,
    decode_pay_result,
    decode_revert,
    reason_text,
)
from airflow_cwf.core.batches import BatchItem, CloseCall, PayCall
from airflow_cwf.core.transactions import Log

LOCK = "0x" + "cc" * 20
TOKEN = "0x" + "aa" * 20
PAYER = "0x" + "ee" * 20
SCOPE = b"\x51" * 32
ITEMS = tuple(BatchItem(i, f"0x{0xB0 + i:040x}", 10 + i) for i in range(3))
CALL = PayCall(TOKEN, SCOPE, b"\xd1" * 32, atomic=False, items=ITEMS)
REASON = selector("Error(string)")
ABOUT = {"contract": LOCK, "payer": PAYER, "call": CALL}


def topic(address):
    return "0x" + "00" * 12 + address[2:]


def own(event, kinds, *values):
    inputs = ",".join(["address", "bytes32", *kinds])
    topics = (event_topic(f"{event}({inputs})"), topic(PAYER), "0x" + SCOPE.hex())
    return Log(LOCK, topics, encode(kinds, values), position=0)


def transfer(item):
    topics = (event_topic("Transfer(address,address,uint256)"), topic(PAYER), topic(item.payee))
    return Log(TOKEN, topics, encode(["uint256"], [item.amount]), position=0)


def failed(index, reason=REASON):
    return own("Failed", ["uint256", "bytes4"], index, reason)


def skipped(index):
    return own("Skipped", ["uint256"], index)


def closed(index):
    return own("Closed", ["uint256"], index)


def batch(paid, failed, skipped, *, token=TOKEN):
    kinds = ["address", "uint256", "uint256", "uint256"]
    return own("Batch", kinds, token, paid, failed, skipped)


def placed(*logs):
    return [replace(log, position=position) for position, log in enumerate(logs)]


GOOD = (transfer(ITEMS[0]), failed(1), skipped(2), batch(1, 1, 1))
STRANGE = Log("0x" + "dd" * 20, (), b"", position=0)


def test_every_item_has_one_outcome():
    outcome = decode_outcome(placed(*GOOD), **ABOUT)
    assert outcome.paid == {0: 0}
    assert outcome.failed == {1: REASON}
    assert outcome.skipped == {2}


def test_logs_of_others_are_ignored_but_keep_their_place():
    theirs = [
        STRANGE,
        replace(batch(3, 0, 0), address=STRANGE.address),
        replace(GOOD[0], address=STRANGE.address),
        replace(skipped(1), topics=(skipped(1).topics[0], topic(TOKEN), "0x" + SCOPE.hex())),
        replace(GOOD[0], topics=(GOOD[0].topics[0], topic(TOKEN), topic(PAYER))),
        replace(STRANGE, address=LOCK),
        replace(STRANGE, address=LOCK, topics=("0x" + "12" * 32, topic(PAYER))),
    ]
    assert decode_outcome(placed(*theirs, *GOOD), **ABOUT).paid == {0: len(theirs)}


@pytest.mark.parametrize(
    "logs",
    [
        (),
        GOOD[:3],
        GOOD[:2] + GOOD[3:],
        (*GOOD, GOOD[3]),
        (*GOOD, skipped(2)),
        (GOOD[0], GOOD[0], *GOOD[1:]),
        (GOOD[3], *GOOD[:3]),
        (GOOD[1], GOOD[0], *GOOD[2:]),
        (transfer(replace(ITEMS[0], amount=9)), *GOOD[1:]),
        (transfer(replace(ITEMS[0], payee=PAYER)), *GOOD[1:]),
        (failed(1), failed(1), skipped(2), batch(0, 2, 1)),
        (skipped(2), failed(1), skipped(2), batch(0, 1, 2)),
        (failed(9), failed(1), skipped(2), batch(0, 2, 1)),
        (closed(0), failed(1), skipped(2), batch(1, 1, 1)),
        (*GOOD[:3], batch(1, 1, 0)),
        (*GOOD[:3], batch(2, 0, 1)),
        (*GOOD[:3], batch(1, 1, 1, token=LOCK)),
        (*GOOD[:3], replace(batch(1, 1, 1), data=batch(1, 1, 1).data + bytes(32))),
        (GOOD[0], replace(failed(1), data=failed(1).data[:-1] + b"\1"), *GOOD[2:]),
        (GOOD[0], replace(failed(1), data=failed(1).data[:32]), *GOOD[2:]),
        (failed(0), failed(1), skipped(2), skipped(2)),
    ],
)
def test_logs_that_do_not_account_for_each_item_in_order_are_unclear(logs):
    with pytest.raises(UnclearOutcomeError):
        decode_outcome(placed(*logs), **ABOUT)


def test_a_position_that_stands_twice_is_unclear():
    with pytest.raises(UnclearOutcomeError, match="position"):
        decode_outcome(GOOD, **ABOUT)


def test_a_failed_item_in_an_atomic_batch_is_unclear():
    with pytest.raises(UnclearOutcomeError, match="atomic"):
        decode_outcome(placed(*GOOD), **ABOUT | {"call": replace(CALL, atomic=True)})


@pytest.mark.parametrize("change", [{"contract": TOKEN}, {"payer": TOKEN}])
def test_logs_of_another_lock_or_payer_are_unclear(change):
    with pytest.raises(UnclearOutcomeError):
        decode_outcome(placed(*GOOD), **ABOUT | change)


def test_a_close_has_one_outcome_for_each_index():
    about = ABOUT | {"call": CloseCall(SCOPE, CALL.digest, (4, 2))}
    outcome = decode_close_outcome(placed(STRANGE, closed(4), skipped(2)), **about)
    assert (outcome.closed, outcome.skipped) == ({4}, {2})
    for logs in ((), (closed(4),), (closed(2), closed(4)), (closed(4), failed(2))):
        with pytest.raises(UnclearOutcomeError):
            decode_close_outcome(placed(*logs), **about)


def test_the_answer_of_a_simulated_payment_is_three_counts():
    assert decode_pay_result(encode(["uint256"] * 3, [5, 2, 1])) == (5, 2, 1)
    with pytest.raises(ValueError, match="0 bytes"):
        decode_pay_result(b"")


@pytest.mark.parametrize(
    ("signature", "kinds", "values", "text"),
    [
        ("BatchOutOfGas(uint256)", ["uint256"], [17], "place 17"),
        ("OtherScopeDigest(bytes32)", ["bytes32"], [b"\xd2" * 32], "d2" * 32),
        ("ItemFailed(uint256,bytes4)", ["uint256", "bytes4"], [9, bytes(4)], "index 9 failed"),
        ("MalformedItems()", [], [], "malformed"),
        ("Error(string)", ["string"], ["Pausable: paused"], "Pausable: paused"),
        ("Panic(uint256)", ["uint256"], [0x11], "panic 0x11"),
        ("Unheard()", [], [], selector("Unheard()").hex()),
    ],
)
def test_revert_data_becomes_a_sentence(signature, kinds, values, text):
    assert text in decode_revert(selector(signature) + encode(kinds, values))


def test_revert_data_that_says_nothing_or_breaks_off_is_survived():
    assert decode_revert(b"") == "no reason given"
    assert decode_revert(REASON) == ""
    assert decode_revert(REASON + b"\xff" * 40 + b"\xfe" * 40)


def test_reasons_of_failed_items_are_told():
    assert reason_text(bytes(4)) == "the token gave no reason"
    assert reason_text(b"\xde\xad\xbe\xef") == "the token's error 0xdeadbeef"
