"""One EVM chain behind one or more nodes, as `core.ports.ChainClient`."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NoReturn, TypeVar

import httpx

from airflow_cwf.adapters.evm import replies
from airflow_cwf.adapters.evm.errors import NodeError, read_error
from airflow_cwf.adapters.evm.transport import JsonRpcTransport, RpcLimits, RpcRequest
from airflow_cwf.core.errors import CallRevertedError, RpcError, TransportError
from airflow_cwf.core.transactions import (
    Block,
    FeeHistory,
    SignedTransaction,
    TransactionReceipt,
)

_Value = TypeVar("_Value")
_DEFAULT_LIMITS: Final = RpcLimits()
_HASHES_ONLY: Final = False
"""`eth_getBlockByNumber`: list the transactions' hashes, not their bodies."""


class EvmClient:
    """Reads one EVM chain and hands it signed bytes; implements `ChainClient`.

    Reads are batched, repeated after transport faults, and asked of the next URL when one fails;
    `broadcast` goes to the first URL, once. Two reads may thus be answered by two nodes: whoever
    needs one view of the chain compares block hashes.

    Args:
        urls: JSON-RPC endpoints over HTTP, the preferred one first.
        chain: CAIP-2 id, `eip155:1`.
        http: the shared client, owned and closed by the caller.
        limits: bounds on size and time.
        sleep: waits between two tries of a read.

    Raises:
        ConfigError: no URL is given.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        chain: str,
        http: httpx.AsyncClient,
        limits: RpcLimits = _DEFAULT_LIMITS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._chain = chain
        self._transport = JsonRpcTransport(urls, chain=chain, http=http, limits=limits, sleep=sleep)

    def __repr__(self) -> str:
        return f"EvmClient({self._chain})"

    async def chain_id(self) -> int:
        """Return the EIP-155 chain id that the node serves."""
        return self._parsed(await self._read("eth_chainId"), replies.quantity)

    async def client_version(self) -> str:
        """Return the node's own name, `web3_clientVersion`, shortened and printable."""
        return self._parsed(await self._read("web3_clientVersion"), replies.name)

    async def genesis(self) -> str:
        """Return the hash of block 0."""
        return (await self.block(0)).hash

    async def block(self, number: int | str) -> Block:
        """Return a block by number or tag; tags pass to the node as they are.

        Raises:
            RpcError: the node has no such block.
        """
        answer = await self._read("eth_getBlockByNumber", _place(number), _HASHES_ONLY)
        if answer is None:
            raise RpcError(f"The node has no block {number}.", chain=self._chain)
        block = self._parsed(answer, replies.block)
        if isinstance(number, int) and block.number != number:
            self._refuse(f"block {block.number} came for block {number}")
        return block

    async def nonce(self, account: str, at: int | str) -> int:
        """Return `account`'s transaction count at a block number or tag."""
        answer = await self._read("eth_getTransactionCount", account, _place(at))
        return self._parsed(answer, replies.quantity)

    async def balance(self, account: str, at: int | str = "latest") -> int:
        """Return the native balance in wei."""
        answer = await self._read("eth_getBalance", account, _place(at))
        return self._parsed(answer, replies.quantity)

    async def code(self, address: str) -> bytes:
        """Return the code at `address`; empty for an account without code."""
        return self._parsed(await self._read("eth_getCode", address, "latest"), replies.data)

    async def call(
        self, to: str, data: bytes, *, sender: str | None = None, gas: int | None = None
    ) -> bytes:
        """Run `eth_call` at `latest` and return its output.

        Raises:
            CallRevertedError: the EVM stopped the call; with the decoded reason.
        """
        request = _call_request(to, data, sender=sender, gas=gas)
        return self._parsed(await self._read(request.method, *request.params), replies.data)

    async def call_each(
        self, calls: Sequence[tuple[str, bytes]], *, sender: str | None = None
    ) -> list[bytes | str]:
        """Run many `eth_call`s in few round trips; a revert is its reason, not an error.

        The calls see the chain at `latest`, which may move between two round trips.
        """
        requests = [_call_request(to, data, sender=sender, gas=None) for to, data in calls]
        answers = await self._transport.read(requests)
        return [self._output(answer) for answer in answers]

    async def fee_history(self, blocks: int, percentiles: Sequence[int]) -> FeeHistory:
        """Return the last `blocks` blocks' fees; a young chain returns fewer."""
        answer = await self._read("eth_feeHistory", hex(blocks), "latest", list(percentiles))
        return self._parsed(
            answer, lambda value: replies.fee_history(value, percentiles=percentiles)
        )

    async def receipts(self, hashes: Sequence[str]) -> dict[str, TransactionReceipt]:
        """Return the receipts this node knows, by the hash asked; an absent hash proves nothing."""
        asked = list(dict.fromkeys(hashes))
        answers = await self._transport.read(
            [RpcRequest("eth_getTransactionReceipt", (hash_,)) for hash_ in asked]
        )
        return {
            hash_: self._receipt(answer, asked=hash_)
            for hash_, answer in zip(asked, answers, strict=True)
            if answer is not None
        }

    async def broadcast(self, transaction: SignedTransaction) -> None:
        """Hand signed bytes to the first node, once; a lost reply is never repeated here.

        Raises:
            RejectedError: one of its subclasses, by the table of node texts.
            RpcError: the node refused in words that the table does not know.
            TransportError: the outcome is unknown; the node may have taken it.
        """
        request = RpcRequest("eth_sendRawTransaction", ("0x" + transaction.raw.hex(),))
        taken = self._parsed(await self._transport.write(request), replies.hash32)
        if taken != transaction.hash.lower():
            self._refuse(f"it names {taken} for the transaction {transaction.hash}")

    async def _read(self, method: str, *params: Any) -> Any:  # noqa: ANN401 - JSON
        (answer,) = await self._transport.read([RpcRequest(method, params)])
        if isinstance(answer, NodeError):
            raise read_error(answer, chain=self._chain)
        return answer

    def _output(self, answer: object) -> bytes | str:
        if not isinstance(answer, NodeError):
            return self._parsed(answer, replies.data)
        error = read_error(answer, chain=self._chain)
        if isinstance(error, CallRevertedError):
            return error.reason
        raise error

    def _receipt(self, answer: object, *, asked: str) -> TransactionReceipt:
        if isinstance(answer, NodeError):
            raise read_error(answer, chain=self._chain)
        return self._parsed(answer, lambda value: replies.receipt(value, asked=asked))

    def _parsed(self, answer: object, parse: Callable[[object], _Value]) -> _Value:
        try:
            return parse(answer)
        except replies.MalformedReplyError as error:
            self._refuse(str(error), error)

    def _refuse(self, what: str, cause: Exception | None = None) -> NoReturn:
        raise TransportError(f"The node's answer is malformed: {what}.", chain=self._chain) from (
            cause
        )


def _place(number: int | str) -> str:
    return hex(number) if isinstance(number, int) else number


def _call_request(to: str, data: bytes, *, sender: str | None, gas: int | None) -> RpcRequest:
    call = {"to": to, "data": "0x" + data.hex()}
    if sender is not None:
        call["from"] = sender
    if gas is not None:
        call["gas"] = hex(gas)
    return RpcRequest("eth_call", (call, "latest"))
