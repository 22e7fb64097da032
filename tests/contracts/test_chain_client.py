"""The contract of `ChainClient`, on a real anvil. Faults: tests/unit/adapters/evm."""

import asyncio
import secrets
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from airflow_cwf.adapters.evm.codec import Eip1559Codec
from airflow_cwf.adapters.signers.private_key import PrivateKeySigner
from airflow_cwf.core.abi import dynamic_bytes, selector, uint_word
from airflow_cwf.core.errors import (
    AlreadyKnownError,
    CallRevertedError,
    InsufficientFundsError,
    NonceTooLowError,
    RejectedError,
    RpcError,
    UnderpricedError,
)
from airflow_cwf.core.ports import ChainClient
from airflow_cwf.core.transactions import Call, FeeQuote, SignedTransaction, UnsignedTransaction
from tests.fakes.faulty_rpc import (
    BAD_GATEWAY,
    FaultyRpc,
)
from tests.fakes.node_answers import CHAIN_ID, PAYEE, ask, connected

ANVIL = Path(__file__).parents[2] / "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
GWEI = 10**9
EMPTY = "0x" + "98" * 20
REVERTS = "0x" + "c0" * 20
LOGS = "0x" + "c1" * 20
HALTS = "0x" + "c2" * 20
REASON = "Blacklistable: account is blacklisted"


def reverting_code(payload):
    """Code that reverts with `payload`: CODECOPY of what stands behind it, then REVERT."""
    size = f"{len(payload):02x}"
    return bytes.fromhex(f"60{size}600c60003960{size}6000fd") + payload


CODES = {
    REVERTS: reverting_code(
        selector("Error(string)") + uint_word(32) + dynamic_bytes(REASON.encode())
    ),
    LOGS: bytes.fromhex("600760006000a1600860006000a1602a60005260206000f3"),
    HALTS: bytes.fromhex("fe"),
}


class Anvil:
    """A node without automatic blocks, and the calls that no production code makes."""

    def __init__(self, url):
        self.url = url

    def rpc(self, method, *params):
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        reply = httpx.post(self.url, json=body, timeout=10).json()
        assert "error" not in reply, reply
        return reply["result"]

    def mine(self):
        self.rpc("evm_mine")

    def payer(self, *, wei=10**20):
        signer = PrivateKeySigner(secrets.token_bytes(32))
        self.rpc("anvil_setBalance", signer.address, hex(wei))
        return signer


@pytest.fixture(scope="module")
def anvil():
    if not ANVIL.exists():
        pytest.fail("anvil is missing: run `make setup`")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [ANVIL, "--port", str(port), "--no-mining", "--order", "fifo", "--accounts", "1", "-q"],
        stdout=subprocess.DEVNULL,
    )
    try:
        node = Anvil(f"http://127.0.0.1:{port}")
        wait_until_it_answers(node)
        for address, code in CODES.items():
            node.rpc("anvil_setCode", address, "0x" + code.hex())
        yield node
    finally:
        process.terminate()
        process.wait(timeout=10)


def wait_until_it_answers(node):
    transport = httpx.HTTPTransport(retries=8)  # pauses 0, 0.5, 1, 2, 4 s ...
    with httpx.Client(transport=transport, timeout=20) as http:
        http.post(node.url, json={"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"})


def signed(
    signer, nonce, *, to=PAYEE, value=1, gas=60_000, tip=GWEI, cap=50 * GWEI, chain=CHAIN_ID
):
    call = Call(to=to, data=b"", gas_limit=gas, value=value)
    fees = FeeQuote(max_fee_per_gas=cap, max_priority_fee_per_gas=tip, block=0)
    return Eip1559Codec().sign(UnsignedTransaction(chain, nonce, call, fees), signer)


@pytest.mark.chain
def test_the_node_says_who_it_is(anvil):
    async def question(client):
        assert isinstance(client, ChainClient)
        return await client.chain_id(), await client.client_version(), await client.genesis()

    chain_id, version, genesis = ask(anvil.url, question)
    assert chain_id == CHAIN_ID
    assert version.startswith("anvil/")
    assert genesis == anvil.rpc("eth_getBlockByNumber", "0x0", False)["hash"]


@pytest.mark.chain
def test_a_block_is_read_by_number_and_by_tag(anvil):
    anvil.mine()

    async def question(client):
        latest = await client.block("latest")
        assert await client.block(latest.number) == latest
        assert (await client.block("finalized")).number <= latest.number
        return latest

    block = ask(anvil.url, question)
    assert block.base_fee_per_gas > 0
    assert block.timestamp > 1_600_000_000


@pytest.mark.chain
def test_a_block_that_does_not_exist_is_an_error_of_its_own(anvil):
    with pytest.raises(RpcError, match="no block 999999"):
        ask(anvil.url, lambda client: client.block(999_999))


@pytest.mark.chain
def test_accounts_have_nonce_balance_and_code(anvil):
    payer = anvil.payer(wei=12345)

    async def question(client):
        return (
            await client.nonce(payer.address, "latest"),
            await client.nonce(payer.address, 0),
            await client.balance(payer.address),
            await client.balance(EMPTY),
            await client.code(LOGS),
            await client.code(EMPTY),
        )

    assert ask(anvil.url, question) == (0, 0, 12345, 0, CODES[LOGS], b"")


@pytest.mark.chain
def test_a_call_returns_its_output(anvil):
    output = ask(anvil.url, lambda client: client.call(LOGS, b"", sender=PAYEE, gas=100_000))
    assert int.from_bytes(output) == 42


@pytest.mark.chain
def test_a_reverted_call_says_why(anvil):
    with pytest.raises(CallRevertedError) as caught:
        ask(anvil.url, lambda client: client.call(REVERTS, b""))
    assert caught.value.reason == REASON
    assert caught.value.data[:4] == selector("Error(string)")


@pytest.mark.chain
def test_a_call_that_halts_or_runs_out_of_gas_is_reverted_too(anvil):
    with pytest.raises(CallRevertedError):
        ask(anvil.url, lambda client: client.call(HALTS, b""))
    with pytest.raises(CallRevertedError):
        ask(anvil.url, lambda client: client.call(LOGS, b"", gas=21_050))


@pytest.mark.chain
def test_many_calls_come_back_in_order_with_reasons_for_the_reverted(anvil):
    calls = [(LOGS, b""), (REVERTS, b""), (EMPTY, b"")] * 5
    outputs = ask(anvil.url, lambda client: client.call_each(calls, sender=PAYEE), batch_size=4)
    assert outputs == [uint_word(42), REASON, b""] * 5
    assert ask(anvil.url, lambda client: client.call_each([])) == []


@pytest.mark.chain
def test_the_fee_history_fits_together(anvil):
    anvil.mine()
    fees = ask(anvil.url, lambda client: client.fee_history(4, [10, 50, 90]))
    blocks = len(fees.gas_used_ratios)
    assert 1 <= blocks <= 4
    assert (len(fees.base_fees), len(fees.rewards)) == (blocks + 1, blocks)
    assert fees.percentiles == (10, 50, 90)
    assert fees.newest_block == int(anvil.rpc("eth_blockNumber"), 16)


@pytest.mark.chain
def test_a_payment_is_broadcast_mined_and_has_a_receipt(anvil):
    payer = anvil.payer()
    payment = signed(payer, 0, to=LOGS, value=0)
    unknown = "0x" + "ee" * 32

    async def question(client):
        await client.broadcast(payment)
        before = await client.receipts([payment.hash])
        anvil.mine()
        return before, await client.receipts([payment.hash, unknown, payment.hash])

    before, after = ask(anvil.url, question)
    assert before == {}
    assert list(after) == [payment.hash]
    receipt = after[payment.hash]
    assert receipt.succeeded
    assert receipt.sender == payer.address
    assert [(log.address, log.position) for log in receipt.logs] == [(LOGS, 0), (LOGS, 1)]
    assert [int(log.topics[0], 16) for log in receipt.logs] == [7, 8]
    left = int(anvil.rpc("eth_getBalance", payer.address, "latest"), 16)
    assert receipt.fee == 10**20 - left
    assert receipt.l1_fee == 0


@pytest.mark.chain
def test_the_second_transaction_of_a_block_counts_its_logs_from_zero(anvil):
    payer = anvil.payer()
    payments = [signed(payer, nonce, to=LOGS, value=0) for nonce in (0, 1)]

    async def question(client):
        for payment in payments:
            await client.broadcast(payment)
        anvil.mine()
        return await client.receipts([payment.hash for payment in payments])

    receipts = ask(anvil.url, question)
    assert len({receipt.block_hash for receipt in receipts.values()}) == 1
    assert [log.position for log in receipts[payments[1].hash].logs] == [0, 1]


@pytest.mark.chain
def test_a_reverted_transaction_has_a_receipt_that_says_so(anvil):
    payment = signed(anvil.payer(), 0, to=REVERTS, value=0)

    async def question(client):
        await client.broadcast(payment)
        anvil.mine()
        return await client.receipts([payment.hash])

    assert not ask(anvil.url, question)[payment.hash].succeeded


@pytest.mark.chain
def test_the_node_refuses_in_words_that_the_table_knows(anvil):
    payer, poor = anvil.payer(), anvil.payer(wei=1)
    first = signed(payer, 0)

    async def refused(client, transaction, error):
        with pytest.raises(error) as caught:
            await client.broadcast(transaction)
        assert transaction.raw.hex() not in str(caught.value)

    async def question(client):
        await client.broadcast(first)
        await refused(client, first, AlreadyKnownError)
        await refused(client, signed(payer, 0, tip=GWEI + 1), UnderpricedError)
        await refused(client, signed(payer, 1, cap=10, tip=1), UnderpricedError)
        await refused(client, signed(poor, 0), InsufficientFundsError)
        await refused(client, signed(payer, 1, gas=20_000), RejectedError)
        await refused(client, signed(payer, 1, chain=1), RejectedError)
        await refused(client, SignedTransaction(first.hash, b"\x02\xc0"), RejectedError)
        anvil.mine()
        await refused(client, first, NonceTooLowError)

    ask(anvil.url, question)


@pytest.mark.chain
def test_reads_go_on_at_the_second_node_while_the_first_is_away(anvil):
    async def question():
        async with FaultyRpc({}, [BAD_GATEWAY]) as away, connected(away.url, anvil.url) as client:
            return await client.block("latest")

    assert asyncio.run(question()).number >= 0
