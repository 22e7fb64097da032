"""What a well-behaved node answers, and how tests ask one that does not behave."""

import asyncio
import traceback
from contextlib import asynccontextmanager

import httpx

from airflow_cwf.adapters.evm.client import EvmClient
from airflow_cwf.adapters.evm.transport import RpcLimits
from airflow_cwf.core.errors import CallRevertedError, RejectedError, RpcError, TransportError
from airflow_cwf.core.transactions import SignedTransaction
from tests.fakes.faulty_rpc import Fault, FaultyRpc, RpcFailure

CHAIN_ID = 31337
CHAIN = f"eip155:{CHAIN_ID}"
PAYEE = "0x" + "99" * 20
HASH = "0x" + "ab" * 32
OTHER_HASH = "0x" + "ba" * 32
PAYMENT = SignedTransaction(HASH, b"\x02\xc0")
BLOCK = {
    "number": "0x5",
    "hash": HASH,
    "timestamp": "0x65000000",
    "baseFeePerGas": "0x7",
}
LOG = {"address": PAYEE, "topics": [HASH], "data": "0x01", "logIndex": "0x9"}
RECEIPT = {
    "transactionHash": HASH,
    "from": PAYEE,
    "blockNumber": "0x5",
    "blockHash": OTHER_HASH,
    "status": "0x1",
    "gasUsed": "0x5208",
    "effectiveGasPrice": "0x2",
    "logs": [LOG, LOG],
}
HISTORY = {
    "oldestBlock": "0x4",
    "baseFeePerGas": ["0x1", "0x2", "0x3"],
    "gasUsedRatio": [0.5, 1],
    "reward": [["0x1"], ["0x2"]],
}
ANSWERS = {
    "eth_chainId": hex(CHAIN_ID),
    "eth_getBalance": "0x10",
    "eth_getBlockByNumber": BLOCK,
    "eth_getTransactionReceipt": lambda _hash: RECEIPT,
    "eth_feeHistory": HISTORY,
    "eth_call": "0x",
    "eth_sendRawTransaction": HASH,
    "web3_clientVersion": "node/v1\x1b[31m https://node.example/s3cret",
}


class Pauses:
    """Stands for `asyncio.sleep`: remembers the pauses, takes no time."""

    def __init__(self):
        self.seconds = []

    async def __call__(self, seconds):
        self.seconds.append(seconds)


@asynccontextmanager
async def connected(*urls, chain=CHAIN, sleep=None, **limits):
    async with httpx.AsyncClient(timeout=10, verify=False) as http:  # loading CAs takes 40 ms
        yield EvmClient(
            urls, chain=chain, http=http, limits=RpcLimits(**limits), sleep=sleep or Pauses()
        )


def ask(url, question, **options):
    """Return what `question(client)` returns, from a client of one node."""

    async def answer():
        async with connected(url, **options) as client:
            return await question(client)

    return asyncio.run(answer())


def balance(client):
    return client.balance(PAYEE)


def broadcast(client):
    return client.broadcast(PAYMENT)


def under(script, question, *, answers=ANSWERS, **options):
    """Return `(result or error, node, pauses)` of a question asked under a script of faults."""
    pauses = Pauses()

    async def run():
        async with (
            FaultyRpc(answers, script) as node,
            connected(node.url, sleep=pauses, **options) as client,
        ):
            try:
                return await question(client), node
            except (TransportError, RpcError, RejectedError, CallRevertedError) as error:
                return error, node

    result, node = asyncio.run(run())
    if isinstance(result, Exception):
        shown = "".join(traceback.format_exception(result))
        assert "s3cret" not in shown
        assert "0x02c0" not in shown
    return result, node, pauses.seconds


def malformed(**changes):
    return Fault(rewrite=lambda reply: reply | changes)


def failing(message, **details):
    def answer(*_params):
        raise RpcFailure(message, **details)

    return answer


def without(fields, name):
    return {key: value for key, value in fields.items() if key != name}
