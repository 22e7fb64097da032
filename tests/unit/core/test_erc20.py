"""Calls of tokens, against eth-abi and eth-account, which this package does not use for them."""

import pytest
from eth_abi import encode
from hypothesis import given
from hypothesis import strategies as st

from airflow_cwf.core.abi import selector
from airflow_cwf.core.erc20 import (
    PAYER_REFUSED,
    REFUSALS,
    Refusal,
    classify_refusal,
    decode_uint,
    encode_allowance,
    encode_balance_of,
    encode_domain_separator,
    encode_nonces,
    encode_permit,
    encode_transfer_from,
    permit_digest,
)

A, B = "0x" + "ab" * 20, "0x" + "12" * 20
words = st.integers(0, 2**256 - 1)


@given(words)
def test_transfer_from_is_plain_abi(amount):
    wanted = encode(["address", "address", "uint256"], [A, B, amount])
    assert encode_transfer_from(A, B, amount) == bytes.fromhex("23b872dd") + wanted


def test_questions_have_the_selectors_of_their_eips():
    one, two = encode(["address"], [A]), encode(["address", "address"], [A, B])
    assert encode_balance_of(A) == bytes.fromhex("70a08231") + one
    assert encode_allowance(A, B) == bytes.fromhex("dd62ed3e") + two
    assert encode_nonces(A) == bytes.fromhex("7ecebe00") + one
    assert encode_domain_separator() == bytes.fromhex("3644e515")


@given(value=words, deadline=words, y_parity=st.integers(0, 1), r=words, s=words)
def test_a_permit_is_plain_abi(value, deadline, y_parity, r, s):
    types = ["address", "address", "uint256", "uint256", "uint8", "uint256", "uint256"]
    wanted = encode(types, [A, B, value, deadline, 27 + y_parity, r, s])
    permit = encode_permit(
        owner=A, spender=B, value=value, deadline=deadline, signature=(y_parity, r, s)
    )
    assert permit == bytes.fromhex("d505accf") + wanted


def test_a_permit_is_signed_as_eip_712_says():
    from eth_account.messages import _hash_eip191_message, encode_typed_data

    domain = {"name": "USD Coin", "version": "2", "chainId": 1, "verifyingContract": B}
    names = ["owner", "spender", "value", "nonce", "deadline"]
    kinds = ["address", "address", "uint256", "uint256", "uint256"]
    message = dict(zip(names, [A, B, 10**6, 3, 2**40], strict=True))
    types = {"Permit": [{"name": n, "type": k} for n, k in zip(names, kinds, strict=True)]}
    signable = encode_typed_data(domain, types, message)
    digest = permit_digest(
        domain_separator=signable.header,
        owner=A,
        spender=B,
        value=10**6,
        nonce=3,
        deadline=2**40,
    )
    assert digest == _hash_eip191_message(signable)


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        ("ERC20InsufficientBalance(address,uint256,uint256)", Refusal.TREASURY),
        ("ERC20InsufficientAllowance(address,uint256,uint256)", Refusal.TREASURY),
        ("EnforcedPause()", Refusal.TREASURY),
        ("ERC20InvalidReceiver(address)", Refusal.PAYEE),
        ("ERC20InvalidSender(address)", Refusal.UNKNOWN),
    ],
)
def test_custom_errors_are_known_by_the_hash_of_their_signature(error, meaning):
    assert classify_refusal(f"0x{selector(error).hex()}{'00' * 64}") is meaning


def test_texts_are_known_in_any_case_and_inside_longer_ones():
    for text, meaning in REFUSALS:
        assert classify_refusal(f"execution reverted: {text.upper()}") is meaning
        assert text == text.lower()


def test_what_is_said_of_the_payer_is_the_treasury_s_whatever_follows():
    reason = f"{PAYER_REFUSED}: Blacklistable: account is blacklisted"
    assert classify_refusal(reason) is Refusal.TREASURY


@pytest.mark.parametrize("text", ["", "no", "the token answered false"])
def test_what_nobody_knows_is_nobody_s_fault(text):
    assert classify_refusal(text) is Refusal.UNKNOWN


@given(words)
def test_a_number_is_one_word(value):
    assert decode_uint(value.to_bytes(32, "big")) == value


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_what_is_not_one_word_is_no_number(size):
    with pytest.raises(ValueError, match=f"{size} bytes"):
        decode_uint(b"\x01" * size)
