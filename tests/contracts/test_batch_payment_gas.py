"""No gas limit makes an item fail, and the computed limit is always enough."""

from dataclasses import replace

import pytest

from airflow_cwf.core.batch_outcomes import decode_close_outcome, decode_pay_result
from airflow_cwf.core.batches import (
    GAS_CAP,
    BatchItem,
    CloseCall,
    close_gas_limit,
    encode_close,
    encode_pay,
    gas_limit,
)
from contracts.test.dev_chain import PLENTY, logs_of

ITEM_GAS = 120_000

pytestmark = pytest.mark.chain


def least_limit(payroll, data):
    """Return the lowest gas limit (within 16) at which the call does not revert."""
    low, high = 21_000, PLENTY
    while high - low > 16:
        middle = (low + high) // 2
        (answer,) = payroll.chain.call_at_limits(
            payroll.lock, data, sender=payroll.payer, limits=[middle]
        )
        low, high = (middle, high) if answer is None else (low, middle)
    return high


def sweep(payroll, items):
    """Return how many gas limits below the least sufficient one were tried and reverted."""
    data = encode_pay(payroll.call(items))
    least = least_limit(payroll, data)
    limits = [*range(21_500, least, 4_001), *range(least - 9_000, least + 300, 37)]
    answers = payroll.chain.call_at_limits(payroll.lock, data, sender=payroll.payer, limits=limits)
    for limit, answer in zip(limits, answers, strict=True):
        if answer is not None:
            assert decode_pay_result(answer) == (len(items), 0, 0), limit
    return answers.count(None)


def test_no_gas_limit_fails_an_item_of_circles_token(payroll, items):
    assert sweep(payroll, items) > 100


def test_no_gas_limit_fails_an_item_of_a_heavy_token(with_token, items):
    """The weight leaves less than 500 of the item's gas unused, so any shortfall would show."""
    payroll = with_token("Heavy", ("uint256", 90_000))
    assert sweep(payroll, items) > 100


def test_no_gas_limit_fails_an_item_of_a_token_that_looks_at_its_gas(with_token, items):
    """Only the lock's own guard helps here: this token refuses without running out of gas."""
    payroll = with_token("Fussy", ("uint256", ITEM_GAS - 500))
    assert sweep(payroll, items) > 100


def test_a_bomb_of_revert_data_costs_no_more_than_the_items_gas(with_token, items):
    payroll = with_token("Bomb")
    payroll.pay(items)  # so that both measured batches go to known recipients
    bomb = replace(items[9], payee=f"0x{0xBAD:040x}")
    calm, loud = (
        int(other.send(encode_pay(other.call(paid)))["gasUsed"], 16)
        for other, paid in (
            (payroll.but(scope=b"\x52" * 32), items[:9]),
            (payroll.but(scope=b"\x53" * 32), [*items[:9], bomb]),
        )
    )
    assert 90_000 < loud - calm < ITEM_GAS


def test_too_little_gas_reverts_whole_and_leaves_everything_free(payroll, items):
    data = encode_pay(payroll.call(items))
    receipt = payroll.send(data, gas=300_000)
    assert receipt["status"] == "0x0"
    assert payroll.bits() == payroll.bound() == 0
    assert len(payroll.pay(items).paid) == 10


def new_recipients(count, *, stride=1):
    # No zero bytes: the dearest calldata.
    base = 0x11111111_11111111_11111111_11111111_11111111
    amount = 0x0101
    return [BatchItem(0x01010101 + stride * i, f"0x{base + i:040x}", amount) for i in range(count)]


@pytest.mark.parametrize("stride", [1, 256])
@pytest.mark.parametrize("count", [1, 10, 200])
def test_the_computed_limit_is_enough_for_new_recipients(payroll, count, stride):
    items = new_recipients(count, stride=stride)
    call = payroll.call(items)
    data = encode_pay(call)
    limit = gas_limit(items, calldata=data)
    assert limit <= GAS_CAP
    receipt = payroll.send(data, gas=limit)
    assert receipt["status"] == "0x1"
    assert len(payroll.outcome(receipt, call).paid) == count
    assert limit - int(receipt["gasUsed"], 16) > 126_000


def test_the_computed_limit_is_enough_when_every_item_was_paid_before(payroll):
    items = new_recipients(200)
    payroll.pay(items)
    data = encode_pay(payroll.call(items))
    receipt = payroll.send(data, gas=gas_limit(items, calldata=data))
    assert len(payroll.outcome(receipt, payroll.call(items)).skipped) == 200


@pytest.mark.parametrize("stride", [1, 256])
def test_the_computed_limit_is_enough_to_close(payroll, stride):
    call = CloseCall(payroll.scope, payroll.digest, tuple(range(7, 7 + 200 * stride, stride)))
    receipt = payroll.send(encode_close(call), gas=close_gas_limit(call))
    outcome = decode_close_outcome(
        logs_of(receipt), contract=payroll.lock, payer=payroll.payer, call=call
    )
    assert outcome.closed == set(call.indexes)
