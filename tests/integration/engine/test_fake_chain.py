"""The fake chain keeps the contract of `ChainClient`; real nodes are held to it elsewhere."""

import asyncio

import pytest

from airflow_cwf.core.errors import (
    AlreadyKnownError,
    InsufficientFundsError,
    NonceTooLowError,
    RejectedError,
    RpcError,
    UnderpricedError,
)
from airflow_cwf.core.ports import ChainClient
from airflow_cwf.core.transactions import Call, FeeQuote, UnsignedTransaction
from tests.fakes.chain import GWEI
from tests.fakes.runtime import payee


def signed(world, nonce, *, chain_id=1, cap=20 * GWEI, gas=21_000):
    process = world.process()
    call = Call(to=payee(1), data=b"", gas_limit=gas)
    unsigned = UnsignedTransaction(chain_id, nonce, call, FeeQuote(cap, GWEI, 0))
    try:
        return process.codec.sign(unsigned, process.signer)
    finally:
        process.close()


def ask(world, method, *args):
    return asyncio.run(getattr(world.nodes["ethereum"], method)(*args))


def test_it_is_a_chain_client(world):
    assert isinstance(world.nodes["ethereum"], ChainClient)


def test_a_block_that_does_not_exist_is_an_error(world):
    with pytest.raises(RpcError, match="no block 99"):
        ask(world, "block", 99)


def test_the_fee_history_fits_together(world):
    world.nodes["ethereum"].mine(3)
    fees = ask(world, "fee_history", 3, [10, 50])
    assert (len(fees.base_fees), len(fees.rewards)) == (4, 3)
    assert fees.newest_block == 3


def test_it_refuses_as_nodes_do(world):
    node = world.nodes["ethereum"]
    first = signed(world, 0)
    ask(world, "broadcast", first)
    for transaction, error in (
        (first, AlreadyKnownError),
        (signed(world, 0, cap=30 * GWEI), UnderpricedError),
        (signed(world, 1, chain_id=5), RejectedError),
        (signed(world, 1, gas=10**12), InsufficientFundsError),
    ):
        with pytest.raises(error):
            ask(world, "broadcast", transaction)
    node.mine()
    with pytest.raises(NonceTooLowError):
        ask(world, "broadcast", first)
    assert ask(world, "nonce", world.payer, "latest") == 1
    assert ask(world, "nonce", world.payer, 0) == 0


def test_a_receipt_is_of_the_canonical_chain(world):
    node = world.nodes["ethereum"]
    transaction = signed(world, 0)
    ask(world, "broadcast", transaction)
    node.mine()
    before = ask(world, "receipts", [transaction.hash])[transaction.hash]
    node.reorg(1)
    assert ask(world, "receipts", [transaction.hash]) == {}
    node.mine()
    after = ask(world, "receipts", [transaction.hash])[transaction.hash]
    assert before.block_hash != after.block_hash
    assert ask(world, "block", after.block_number).hash == after.block_hash
