"""Tokens and payers that misbehave cannot break the lock, nor make it lie."""

from dataclasses import replace

import pytest

from airflow_cwf.core.abi import selector
from airflow_cwf.core.batch_outcomes import UnclearOutcomeError
from airflow_cwf.core.batches import CloseCall, encode_close, encode_pay
from contracts.test.dev_chain import calldata, logs_of

pytestmark = pytest.mark.chain

BAD = f"0x{0xBAD:040x}"


@pytest.fixture
def mixed(items):
    """The ten items, but the fourth goes to the account that the tokens dislike."""
    return [*items[:3], replace(items[3], payee=BAD), *items[4:]]


def test_a_token_without_return_data_pays(with_token, items):
    assert len(with_token("NoReturn").pay(items).paid) == 10


@pytest.mark.parametrize("token", ["FalseReturn", "Bomb", "Burner"])
def test_one_refusal_in_any_manner_fails_one_item(with_token, mixed, token):
    payroll = with_token(token)
    outcome = payroll.pay(mixed)
    assert outcome.failed == {3: bytes(4)}
    assert len(outcome.paid) == 9
    assert payroll.balance(BAD) == 0
    assert payroll.bits() == 0b11_1111_0111


def test_a_token_that_moves_money_and_says_no_is_unclear(with_token, mixed):
    payroll = with_token("FalseReturn")
    payroll.chain.transact(payroll.token, "setMoves(bool)", True)
    with pytest.raises(UnclearOutcomeError):
        payroll.pay(mixed)


def test_an_answer_that_is_not_true_is_a_failure(with_token, mixed):
    payroll = with_token("OddReturn")
    assert payroll.pay(mixed).failed.keys() == set(range(10))
    assert payroll.bits() == 0


def test_a_token_that_says_yes_without_a_transfer_is_unclear(with_token, items):
    with pytest.raises(UnclearOutcomeError):
        with_token("Liar").pay(items)


def test_a_token_that_keeps_a_fee_is_unclear(with_token, items):
    with pytest.raises(UnclearOutcomeError):
        with_token("Fee").pay(items)


@pytest.mark.parametrize(
    "token", ["0x" + "77" * 20, "0x" + "00" * 19 + "02", "0x" + "00" * 19 + "04"]
)
def test_an_address_without_code_or_a_precompile_pays_nothing(payroll, items, token):
    other = payroll.but(token=token)
    assert other.pay(items).failed.keys() == set(range(10))
    assert other.bits() == 0


def test_the_lock_itself_is_no_token(payroll, items):
    assert payroll.but(token=payroll.lock).pay(items).failed.keys() == set(range(10))


def test_a_token_heavier_than_the_item_gas_fails_at_every_gas_limit(with_token, items):
    payroll = with_token("Heavy", ("uint256", 300_000))
    assert payroll.pay(items).failed.keys() == set(range(10))


def test_a_token_that_calls_the_lock_has_bits_of_its_own(with_token, items):
    payroll = with_token("Meddler")
    nested = encode_close(CloseCall(payroll.scope, payroll.digest, (0, 9)))
    payroll.chain.transact(payroll.token, "prepare(address,bytes)", payroll.lock, nested)
    assert payroll.pay(items).paid.keys() == set(range(10))
    assert payroll.chain.read(payroll.token, "succeeded()") == 1
    assert payroll.but(payer=payroll.token).bits() == 1 | 1 << 9


@pytest.fixture
def hooked(with_token, hostile):
    """A payroll whose payer is a contract that its token calls back."""
    payroll = with_token("Hooked")
    payer = payroll.chain.deploy(hostile["HookedPayer"]["bytecode"])
    payroll.chain.transact(payroll.token, "mint(address,uint256)", payer, 10**12)
    return payroll.but(payer=payer)


def run_with_hook(payroll, items, nested, *, at, refuses=False):
    """Pay all items; while item `at` is being paid, the payer makes the `nested` call."""
    chain = payroll.chain
    chain.transact(payroll.token, "arm(address,bool)", items[at].payee, refuses)
    chain.transact(payroll.payer, "prepare(address,bytes)", payroll.lock, nested)
    data = calldata("run(address,bytes)", payroll.lock, encode_pay(payroll.call(items)))
    receipt = chain.send(payroll.payer, data)
    assert receipt["status"] == "0x1"
    assert chain.read(payroll.payer, "ran()") == 1
    return receipt


@pytest.mark.parametrize("refuses", [False, True])
def test_a_nested_payment_of_the_same_scope_cannot_pay(hooked, items, refuses):
    nested = encode_pay(hooked.call(items))
    run_with_hook(hooked, items, nested, at=4, refuses=refuses)
    assert hooked.chain.read(hooked.payer, "succeeded()") == 0
    reason = hooked.chain.read(hooked.payer, "reason()").to_bytes(32)[:4]
    assert reason == selector("BatchOutOfGas(uint256)")
    expected = [0 if refuses and i == 4 else item.amount for i, item in enumerate(items)]
    assert [hooked.balance(item.payee) for item in items] == expected
    assert hooked.bits() == 0b11_1111_1111 ^ (refuses << 4)


def test_a_nested_payment_of_the_running_item_is_skipped(hooked, items):
    nested = encode_pay(hooked.call(items[4:5]))
    receipt = run_with_hook(hooked, items, nested, at=4)
    assert hooked.chain.read(hooked.payer, "succeeded()") == 1
    assert hooked.balance(items[4].payee) == items[4].amount
    # Two Batch events and a Skipped for one payer and scope: nobody may read that as settled.
    with pytest.raises(UnclearOutcomeError):
        hooked.outcome(receipt, hooked.call(items))


def test_a_nested_close_of_a_later_item_holds_though_the_running_item_fails(hooked, items):
    nested = encode_close(CloseCall(hooked.scope, hooked.digest, (4, 7)))
    run_with_hook(hooked, items, nested, at=4, refuses=True)
    assert hooked.chain.read(hooked.payer, "succeeded()") == 1
    assert hooked.bits() == 0b11_1110_1111  # 7 was closed, 4 failed and is free again
    assert hooked.balance(items[7].payee) == hooked.balance(items[4].payee) == 0
    hooked.chain.transact(hooked.token, "arm(address,bool)", BAD, False)
    data = calldata("run(address,bytes)", hooked.lock, encode_pay(hooked.call(items)))
    outcome = hooked.outcome(hooked.chain.send(hooked.payer, data), hooked.call(items))
    assert outcome.paid.keys() == {4}


def test_a_nested_close_says_that_the_running_item_was_set(hooked, items):
    nested = encode_close(CloseCall(hooked.scope, hooked.digest, (4,)))
    receipt = run_with_hook(hooked, items, nested, at=4)
    assert len(logs_of(receipt)) == len(items) + 2
    assert hooked.balance(items[4].payee) == items[4].amount
