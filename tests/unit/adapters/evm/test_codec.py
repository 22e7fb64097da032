import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_cwf.adapters.evm.codec import (
    MAX_BYTES,
    Eip1559Codec,
    TransactionFormatError,
    decode_signed,
)
from airflow_cwf.adapters.signers.private_key import PrivateKeySigner
from airflow_cwf.core.transactions import Call, FeeQuote, UnsignedTransaction

VECTORS = Path(__file__).parents[3] / "vectors" / "eip1559"
SIGNED = json.loads((VECTORS / "signed.json").read_text())
SIGNER = PrivateKeySigner(bytes([int(SIGNED["key_byte"], 16)]) * 32)
PLAIN = UnsignedTransaction(
    chain_id=1,
    nonce=7,
    call=Call(to="0x" + "35" * 20, data=b"", gas_limit=21000, value=1),
    fees=FeeQuote(max_fee_per_gas=2, max_priority_fee_per_gas=1, block=0),
)


def unsigned(vector):
    return UnsignedTransaction(
        chain_id=vector["chain_id"],
        nonce=vector["nonce"],
        call=Call(
            to=vector["to"],
            data=bytes.fromhex(vector["data"][2:]),
            gas_limit=vector["gas_limit"],
            value=int(vector["value"]),
        ),
        fees=FeeQuote(
            max_fee_per_gas=int(vector["max_fee_per_gas"]),
            max_priority_fee_per_gas=int(vector["max_priority_fee_per_gas"]),
            block=0,
        ),
    )


@pytest.mark.parametrize("vector", SIGNED["transactions"], ids=lambda vector: vector["name"])
def test_the_vectors_are_signed_to_the_byte_and_read_back(vector):
    signed = Eip1559Codec().sign(unsigned(vector), SIGNER)
    assert "0x" + signed.raw.hex() == vector["raw"]
    assert signed.hash == vector["hash"]
    assert decode_signed(signed.raw) == (unsigned(vector), SIGNED["sender"], vector["hash"])


def test_eth_account_signs_the_same_bytes_and_reads_ours():
    from eth_account import Account
    from eth_utils import to_checksum_address

    theirs = Account.from_key(b"\x46" * 32).sign_transaction(
        {
            "type": 2,
            "chainId": 1,
            "nonce": 7,
            "maxPriorityFeePerGas": 1,
            "maxFeePerGas": 2,
            "gas": 21000,
            "to": to_checksum_address(PLAIN.call.to),
            "value": 1,
            "data": b"",
        }
    )
    ours = Eip1559Codec().sign(PLAIN, SIGNER)
    assert ours.raw == bytes(theirs.raw_transaction)
    assert Account.recover_transaction(ours.raw).lower() == SIGNER.address


@pytest.mark.parametrize("path", sorted(VECTORS.glob("bad_*.hex")), ids=lambda path: path.stem)
def test_bytes_that_are_no_canonical_transaction_are_refused(path):
    raw = bytes.fromhex(path.read_text().strip().removeprefix("0x"))
    with pytest.raises(TransactionFormatError):
        decode_signed(raw)


@settings(max_examples=50)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_with_our_own_error(junk):
    with pytest.raises(TransactionFormatError):
        decode_signed(b"\x02" + junk)


@settings(max_examples=100)
@given(st.integers(min_value=0), st.integers(1, 255))
def test_a_changed_byte_never_reads_as_the_same_transaction_of_the_same_sender(place, change):
    signed = bytearray(Eip1559Codec().sign(PLAIN, SIGNER).raw)
    signed[place % len(signed)] ^= change
    try:
        transaction, sender, _ = decode_signed(bytes(signed))
    except TransactionFormatError:
        return
    assert (transaction, sender) != (PLAIN, SIGNER.address)


def with_call(**changes):
    return replace(PLAIN, call=replace(PLAIN.call, **changes))


@pytest.mark.parametrize(
    "transaction",
    [
        replace(PLAIN, chain_id=0),
        replace(PLAIN, nonce=-1),
        replace(PLAIN, nonce=2**64 - 1),
        replace(PLAIN, fees=FeeQuote(1, 2, block=0)),
        replace(PLAIN, fees=FeeQuote(2**256, 1, block=0)),
        replace(PLAIN, fees=FeeQuote(1, -1, block=0)),
        with_call(gas_limit=0),
        with_call(value=-1),
        with_call(value=2**256),
        with_call(to=""),
        with_call(to="0x35"),
        with_call(to="0x" + "zz" * 20),
        with_call(data=b"\1" * MAX_BYTES),
    ],
)
def test_a_transaction_that_no_node_takes_is_refused_before_it_is_sent(transaction):
    with pytest.raises(TransactionFormatError):
        Eip1559Codec().sign(transaction, SIGNER)
