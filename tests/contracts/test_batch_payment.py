"""The lock's promises, with Circle's token on a real node."""

from dataclasses import replace

import pytest

from airflow_cwf.core.abi import selector
from airflow_cwf.core.batch_outcomes import decode_close_outcome, decode_pay_result, decode_revert
from airflow_cwf.core.batches import (
    CloseCall,
    decode_paid_words,
    encode_close,
    encode_paid_words,
    encode_pay,
    encode_scope_digest,
    paid_indexes,
)
from airflow_cwf.core.create2 import DETERMINISTIC_DEPLOYER, NO_SALT, create2_address
from contracts.compile import ARTIFACT, render
from contracts.test.dev_chain import calldata, logs_of

pytestmark = pytest.mark.chain

ALL_TEN = 0b11_1111_1111
ERROR_STRING = selector("Error(string)")


def test_the_shipped_artifact_is_what_the_source_compiles_to(lock_artifact):
    assert ARTIFACT.read_text(encoding="utf-8") == render(lock_artifact)


def test_the_code_stands_where_create2_says(chain, lock_artifact):
    code = bytes.fromhex(lock_artifact["bytecode"][2:])
    receipt = chain.send(DETERMINISTIC_DEPLOYER, NO_SALT + code)
    assert receipt["status"] == "0x1"
    address = create2_address(DETERMINISTIC_DEPLOYER, NO_SALT, code)
    assert chain.rpc("eth_getCode", address, "latest") == lock_artifact["deployedBytecode"]
    assert chain.read(address, "VERSION()") == 1


def test_every_item_is_paid_and_found_by_its_transfer(payroll, items):
    call = payroll.call(items)
    answer = payroll.chain.call(payroll.lock, encode_pay(call), sender=payroll.payer)
    assert decode_pay_result(answer) == (10, 0, 0)
    outcome = payroll.pay(items)
    assert list(outcome.paid) == list(range(10))
    assert not outcome.failed
    assert not outcome.skipped
    assert [payroll.balance(item.payee) for item in items] == [item.amount for item in items]
    assert payroll.balance(payroll.lock) == 0
    assert payroll.bits() == ALL_TEN


def test_a_replay_pays_nobody(payroll, items):
    payroll.pay(items)
    before = payroll.balance(payroll.payer)
    assert payroll.pay(items).skipped == frozenset(range(10))
    assert payroll.balance(payroll.payer) == before


def test_an_overlapping_batch_pays_only_what_was_missing(payroll, items):
    payroll.pay(items[:6])
    outcome = payroll.pay(items[3:])
    assert outcome.skipped == {3, 4, 5}
    assert set(outcome.paid) == {6, 7, 8, 9}
    assert [payroll.balance(item.payee) for item in items] == [item.amount for item in items]


def test_another_payee_at_a_set_bit_gets_nothing(payroll, items):
    payroll.pay(items[:1])
    other = replace(items[0], payee="0x" + "77" * 20)
    assert payroll.pay([other]).skipped == {0}
    assert payroll.balance(other.payee) == 0


def test_scopes_do_not_share_bits(payroll, items):
    payroll.pay(items[:1])
    assert payroll.but(scope=b"\x52" * 32).pay(items[:1]).paid.keys() == {0}
    assert payroll.balance(items[0].payee) == 200


def test_payers_do_not_share_bits_or_digests(payroll, items, funded):
    payroll.pay(items[:1])
    other = funded(payroll.but(payer=payroll.chain.accounts[2], digest=b"\xd2" * 32))
    assert other.pay(items[:1]).paid.keys() == {0}
    assert payroll.bits() == 1


def test_a_stranger_cannot_spend_the_payers_allowance(payroll, items):
    stranger = payroll.but(payer=payroll.chain.accounts[3])
    assert stranger.pay(items).failed.keys() == set(range(10))
    assert payroll.balance(payroll.payer) == 10**12


def test_another_digest_is_refused(payroll, items):
    payroll.pay(items[:1])
    data = payroll.refusal(encode_pay(payroll.but(digest=b"\xd2" * 32).call(items[1:])))
    assert data == selector("OtherScopeDigest(bytes32)") + payroll.digest
    assert "another list of keys" in decode_revert(data)
    answer = payroll.chain.call(payroll.lock, encode_scope_digest(payroll.payer, payroll.scope))
    assert answer == payroll.digest


def test_an_index_twice_in_raw_bytes_is_paid_once(payroll, items):
    twice = encode_pay(payroll.call(items[:2]))
    raw = twice.replace(bytes.fromhex("00000001" + items[1].payee[2:]), bytes(4) + b"\x07" * 20)
    receipt = payroll.send(raw)
    assert receipt["status"] == "0x1"
    assert payroll.balance(items[0].payee) == 100
    assert payroll.balance("0x" + "07" * 20) == 0
    assert payroll.bits() == 1


@pytest.mark.parametrize("packed", [b"", b"\1" * 35, b"\1" * 37, b"\1" * 71])
def test_malformed_items_are_refused(payroll, packed):
    args = (payroll.token, payroll.scope, payroll.digest, False, packed)
    data = payroll.refusal(calldata("pay(address,bytes32,bytes32,bool,bytes)", *args))
    assert data == selector("MalformedItems()")


@pytest.mark.parametrize("packed", [b"", b"\1" * 3, b"\1" * 5])
def test_malformed_indexes_are_refused(payroll, packed):
    args = (payroll.scope, payroll.digest, packed)
    data = payroll.refusal(calldata("close(bytes32,bytes32,bytes)", *args))
    assert data == selector("MalformedItems()")


def test_a_zero_digest_is_refused(payroll):
    args = (payroll.token, payroll.scope, bytes(32), False, b"\1" * 36)
    data = payroll.refusal(calldata("pay(address,bytes32,bytes32,bool,bytes)", *args))
    assert data == selector("MalformedItems()")
    data = payroll.refusal(
        calldata("close(bytes32,bytes32,bytes)", bytes(32), bytes(32), b"\1" * 4)
    )
    assert data == selector("MalformedItems()")


def test_items_that_reach_beyond_the_calldata_are_refused(payroll, items):
    assert payroll.refusal(encode_pay(payroll.call(items))[:-32]) == b""


def test_coins_are_refused(payroll, items):
    receipt = payroll.send(encode_pay(payroll.call(items)), value=1)
    assert receipt["status"] == "0x0"
    assert payroll.bits() == 0


def test_a_blacklisted_payee_fails_alone_and_can_be_paid_later(payroll, items):
    payroll.chain.transact(payroll.token, "blacklist(address)", items[3].payee)
    outcome = payroll.pay(items)
    assert outcome.failed == {3: ERROR_STRING}
    assert len(outcome.paid) == 9
    assert payroll.bits() == ALL_TEN ^ 1 << 3
    payroll.chain.transact(payroll.token, "unBlacklist(address)", items[3].payee)
    again = payroll.pay(items)
    assert again.paid.keys() == {3}
    assert len(again.skipped) == 9


def test_a_paused_token_fails_every_item_and_uses_up_none(payroll, items):
    payroll.chain.transact(payroll.token, "pause()")
    assert payroll.pay(items).failed.keys() == set(range(10))
    assert payroll.bits() == 0
    payroll.chain.transact(payroll.token, "unpause()")
    assert len(payroll.pay(items).paid) == 10


def test_a_balance_for_five_pays_five(payroll, items):
    keep = sum(item.amount for item in items[:5])
    move = "transfer(address,uint256)"
    away = payroll.balance(payroll.payer) - keep
    payroll.chain.transact(payroll.token, move, "0x" + "99" * 20, away, sender=payroll.payer)
    outcome = payroll.pay(items)
    assert set(outcome.paid) == {0, 1, 2, 3, 4}
    assert outcome.failed.keys() == {5, 6, 7, 8, 9}


def test_without_an_allowance_nobody_is_paid(payroll, items):
    approve = "approve(address,uint256)"
    payroll.chain.transact(payroll.token, approve, payroll.lock, 0, sender=payroll.payer)
    assert payroll.pay(items).failed.keys() == set(range(10))
    assert payroll.bits() == 0


def test_an_atomic_batch_pays_all(payroll, items):
    payroll.pay(items[:2])
    outcome = payroll.pay(items, atomic=True)
    assert outcome.skipped == {0, 1}
    assert len(outcome.paid) == 8


def test_an_atomic_batch_with_a_failing_item_pays_nobody(payroll, items):
    payroll.chain.transact(payroll.token, "blacklist(address)", items[7].payee)
    data = payroll.refusal(encode_pay(payroll.call(items, atomic=True)))
    assert data[:4] == selector("ItemFailed(uint256,bytes4)")
    assert decode_revert(data) == "the item with index 7 failed (the token refused with a text)"
    assert payroll.balance(items[0].payee) == 0
    assert payroll.bits() == payroll.bound() == 0


def test_a_closed_index_is_never_paid(payroll, items):
    close = CloseCall(payroll.scope, payroll.digest, (2, 5))
    receipt = payroll.send(encode_close(close))
    about = {"contract": payroll.lock, "payer": payroll.payer, "call": close}
    assert decode_close_outcome(logs_of(receipt), **about).closed == {2, 5}
    outcome = payroll.pay(items)
    assert outcome.skipped == {2, 5}
    assert payroll.balance(items[2].payee) == 0


def test_closing_a_paid_index_says_that_it_came_too_late(payroll, items):
    payroll.pay(items[:3])
    close = CloseCall(payroll.scope, payroll.digest, (2, 300))
    receipt = payroll.send(encode_close(close))
    outcome = decode_close_outcome(
        logs_of(receipt), contract=payroll.lock, payer=payroll.payer, call=close
    )
    assert outcome.skipped == {2}
    assert outcome.closed == {300}


def test_closing_binds_the_digest(payroll, items):
    payroll.send(encode_close(CloseCall(payroll.scope, payroll.digest, (0,))))
    assert payroll.bound() == int.from_bytes(payroll.digest)
    other = payroll.but(digest=b"\xd2" * 32)
    assert payroll.refusal(encode_pay(other.call(items)))[:4] == selector(
        "OtherScopeDigest(bytes32)"
    )
    close = CloseCall(payroll.scope, other.digest, (1,))
    assert payroll.refusal(encode_close(close))[:4] == selector("OtherScopeDigest(bytes32)")


def test_the_bitmap_can_be_read_back_over_many_words(payroll, items):
    moved = [replace(item, index=item.index * 200) for item in items]
    payroll.pay([replace(items[0], index=2**32 - 1)])
    payroll.pay(moved)
    answer = payroll.chain.call(
        payroll.lock, encode_paid_words(payroll.payer, payroll.scope, first=1, count=7)
    )
    expected = {item.index for item in moved if item.index >= 256}
    assert paid_indexes(decode_paid_words(answer), first=1) == expected
    assert payroll.bits(2**24 - 1) == 1 << 255
