"""An EVM chain in memory, as much of one as the engine can see; it does what the test says.

Blocks come from `mine` alone. `BatchPayment` is run by the calldata that the engine would send
(`core.batches.decode_pay`), the token as Circle's: who is refused, and in which words.
"""

import asyncio
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

from airflow_cwf.core.anchors import decode_append
from airflow_cwf.core.batches import decode_pay
from airflow_cwf.core.errors import (
    AlreadyKnownError,
    CallRevertedError,
    InsufficientFundsError,
    NonceTooLowError,
    RejectedError,
    RpcError,
    TransportError,
    UnderpricedError,
)
from airflow_cwf.core.hashes import keccak256
from airflow_cwf.core.transactions import (
    Block,
    Call,
    FeeHistory,
    Log,
    SignedTransaction,
    TransactionReceipt,
)
from tests.fakes.contracts import (
    TRANSFER,
    FakeMachine,
    FakeToken,
    Ledger,
    Reverted,
    append,
    decoded,
)

GWEI = 10**9
GAS_PER_ITEM = 30_000
TOKEN_CODE = b"\xfe"


@dataclass(frozen=True)
class Mined:
    header: Block
    transactions: tuple[SignedTransaction, ...]
    receipts: dict[str, TransactionReceipt]
    after: Ledger


class FakeChain:
    """`core.ports.ChainClient` over blocks that the test mines."""

    serves_ghosts = False
    receipt_lag = 0
    lost_replies = 0
    swallowed = 0
    """So many broadcasts are acknowledged and forgotten."""
    is_mining = True
    yields = False
    """Whether each call lets other tasks run first, as a network does."""
    refuses_appends = False
    """Whether every append reverts in a block, whatever its head."""

    def __init__(
        self,
        caip2: str,
        *,
        contract: str,
        contract_code: bytes,
        token: str,
        anchor: tuple[str, bytes] | None = None,
        genesis: str | None = None,
        finality: int = 1,
        now: float = 0.0,
    ) -> None:
        self.caip2 = caip2
        self.contract = contract
        self.token = FakeToken(token)
        self._machine = FakeMachine(contract, self.token)
        self.codes = {contract: contract_code, token: TOKEN_CODE}
        self.anchor = None
        """Address of `WorkflowAnchor`, if it stands here."""
        if anchor is not None:
            self.anchor, self.codes[anchor[0]] = anchor
        self.version = "Geth/v1.16.0-fake"
        self.served_chain_id = int(caip2.partition(":")[2])
        self.finality = finality
        self.ledger = Ledger()
        self.base_fee = 10 * GWEI
        self.pool: dict[str, SignedTransaction] = {}
        self.seen: list[str] = []
        """Hashes of everything ever broadcast, in order."""
        self.ghosts: dict[str, TransactionReceipt] = {}
        """Receipts of blocks that were reorganised away."""
        self.on_call: Callable[[str], None] = lambda _method: None
        self._forks = 0
        self.blocks: list[Mined] = []
        self.now = now
        self._seal((), hash_=genesis)

    # The world's side -------------------------------------------------------------------------

    def mine(self, count: int = 1) -> None:
        for _ in range(count):
            self._seal(self._ready())

    def reorg(self, depth: int, *, forget: bool = False) -> None:
        """Replace the last blocks by empty ones; their transactions wait again, or are gone."""
        lost, self.blocks = self.blocks[-depth:], self.blocks[:-depth]
        self._forks += 1
        self.ledger = deepcopy(self.blocks[-1].after)
        for block in lost:
            self.ghosts.update(block.receipts)
            if not forget:
                self.pool.update({tx.hash: tx for tx in block.transactions})
        for _ in lost:
            self._seal(())

    def transfers(self) -> list[tuple[str, int]]:
        """Return payee and amount of every transfer of the canonical chain, in order."""
        return [
            ("0x" + log.topics[2][-40:], int.from_bytes(log.data))
            for block in self.blocks
            for receipt in block.receipts.values()
            for log in receipt.logs
            if log.topics[0] == TRANSFER
        ]

    def appends(self) -> list[tuple[int, int]]:
        """Return old size and size of every append of the canonical chain, in order."""
        return [
            (call.old.size, call.new.size)
            for block in self.blocks
            for transaction in block.transactions
            if block.receipts[transaction.hash].succeeded
            if (unsigned := decoded(transaction)[0]).call.to == self.anchor
            for call in [decode_append(unsigned.call.data)]
        ]

    @property
    def head(self) -> int:
        return self.blocks[-1].header.number

    # ChainClient ------------------------------------------------------------------------------

    async def chain_id(self) -> int:
        await self._enter("chain_id")
        return self.served_chain_id

    async def client_version(self) -> str:
        await self._enter("client_version")
        return self.version

    async def genesis(self) -> str:
        await self._enter("genesis")
        return self.blocks[0].header.hash

    async def block(self, number: int | str) -> Block:
        await self._enter("block")
        return self._at(number).header

    async def nonce(self, account: str, at: int | str) -> int:
        await self._enter("nonce")
        if at != "pending":
            return self._at(at).after.nonces.get(account, 0)
        nonce = self.ledger.nonces.get(account, 0)
        waiting = {tx.nonce for tx, sender in map(decoded, self.pool.values()) if sender == account}
        while nonce in waiting:
            nonce += 1
        return nonce

    async def balance(self, account: str, at: int | str = "latest") -> int:
        await self._enter("balance")
        return self._at(at).after.coins.get(account, 0)

    async def code(self, address: str) -> bytes:
        await self._enter("code")
        return self.codes.get(address, b"")

    async def call(
        self, to: str, data: bytes, *, sender: str | None = None, gas: int | None = None
    ) -> bytes:
        await self._enter("call")
        try:
            return self._answer(to, data, sender or "0x" + "00" * 20)
        except Reverted as error:
            message = f"The call reverted: {error}."
            raise CallRevertedError(
                message, chain=self.caip2, reason=str(error), data=error.data
            ) from error

    async def call_each(
        self, calls: Sequence[tuple[str, bytes]], *, sender: str | None = None
    ) -> list[bytes | str]:
        await self._enter("call_each")
        answers: list[bytes | str] = []
        for to, data in calls:
            try:
                answers.append(self._answer(to, data, sender or "0x" + "00" * 20))
            except Reverted as error:
                answers.append(str(error))
        return answers

    async def fee_history(self, blocks: int, percentiles: Sequence[int]) -> FeeHistory:
        await self._enter("fee_history")
        known = self.blocks[-blocks:]
        return FeeHistory(
            newest_block=self.head,
            base_fees=(*(block.header.base_fee_per_gas for block in known), self.base_fee),
            gas_used_ratios=tuple(0.5 if block.receipts else 0.0 for block in known),
            percentiles=tuple(percentiles),
            rewards=tuple((GWEI if block.receipts else 0,) * len(percentiles) for block in known),
        )

    async def receipts(self, hashes: Sequence[str]) -> dict[str, TransactionReceipt]:
        await self._enter("receipts")
        found = dict(self.ghosts) if self.serves_ghosts else {}
        for block in self.blocks:
            if block.header.number <= self.head - self.receipt_lag:
                found |= block.receipts
        return {tx_hash: found[tx_hash] for tx_hash in hashes if tx_hash in found}

    async def broadcast(self, transaction: SignedTransaction) -> None:
        await self._enter("broadcast")
        if self.swallowed:
            self.swallowed -= 1
            return
        self._admit(transaction)
        self.seen.append(transaction.hash)
        self.pool[transaction.hash] = transaction
        if self.lost_replies:
            self.lost_replies -= 1
            raise TransportError("The reply was lost.", chain=self.caip2)

    # Inside -----------------------------------------------------------------------------------

    def _answer(self, to: str, data: bytes, sender: str) -> bytes:
        return self._machine.answer(self.ledger, to, data, sender) if self.codes.get(to) else b""

    async def _enter(self, method: str) -> None:
        if self.yields:
            await asyncio.sleep(0)
        self.on_call(method)

    def _at(self, number: int | str) -> Mined:
        tags = {"latest": self.head, "finalized": max(0, self.head - self.finality)}
        wanted = tags.get(number, number) if isinstance(number, str) else number
        if not isinstance(wanted, int) or not 0 <= wanted <= self.head:
            message = f"The node has no block {number}."
            raise RpcError(message, chain=self.caip2)
        return self.blocks[wanted]

    def _admit(self, transaction: SignedTransaction) -> None:
        unsigned, sender = decoded(transaction)
        if unsigned.chain_id != self.served_chain_id:
            raise RejectedError("invalid chain id", chain=self.caip2)
        if transaction.hash in self.pool:
            raise AlreadyKnownError("already known", chain=self.caip2)
        if unsigned.nonce < self.ledger.nonces.get(sender, 0):
            raise NonceTooLowError("nonce too low", chain=self.caip2)
        cost = unsigned.call.gas_limit * unsigned.fees.max_fee_per_gas + unsigned.call.value
        if cost > self.ledger.coins.get(sender, 0):
            raise InsufficientFundsError("insufficient funds", chain=self.caip2)
        for tx, other in map(decoded, self.pool.values()):
            if (other, tx.nonce) == (sender, unsigned.nonce):
                raise UnderpricedError("replacement transaction underpriced", chain=self.caip2)

    def _ready(self) -> tuple[SignedTransaction, ...]:
        ready = []
        next_nonces = dict(self.ledger.nonces)
        by_nonce = sorted(self.pool.values(), key=lambda tx: decoded(tx)[0].nonce)
        for transaction in by_nonce:
            unsigned, sender = decoded(transaction)
            expected = next_nonces.get(sender, 0)
            if unsigned.nonce == expected and unsigned.fees.max_fee_per_gas >= self.base_fee:
                ready.append(transaction)
                next_nonces[sender] = expected + 1
        return tuple(ready)

    def _seal(self, transactions: tuple[SignedTransaction, ...], hash_: str | None = None) -> None:
        number = len(self.blocks)
        parent = self.blocks[-1].header.hash if self.blocks else self.caip2
        name = f"{parent}/{number}/{self._forks}/{[tx.hash for tx in transactions]}"
        header = Block(
            number, hash_ or "0x" + keccak256(name.encode()).hex(), int(self.now), self.base_fee
        )
        receipts = {tx.hash: self._execute(tx, header) for tx in transactions}
        for tx in transactions:
            self.pool.pop(tx.hash, None)
        for tx_hash, (tx, sender) in [(tx.hash, decoded(tx)) for tx in self.pool.values()]:
            if tx.nonce < self.ledger.nonces.get(sender, 0):
                del self.pool[tx_hash]
        self.blocks.append(Mined(header, transactions, receipts, deepcopy(self.ledger)))

    def _run(self, ledger: Ledger, sender: str, call: Call) -> list[Log]:
        if call.to == self.contract:
            return self._machine.pay(ledger, sender, decode_pay(call.data), mined=True)[0]
        if call.to == self.anchor:
            if self.refuses_appends:
                raise Reverted("no append today")
            return append(ledger, sender, decode_append(call.data), contract=self.anchor)
        return []

    def _execute(self, transaction: SignedTransaction, header: Block) -> TransactionReceipt:
        unsigned, sender = decoded(transaction)
        ledger = deepcopy(self.ledger)
        succeeded, logs = True, []
        try:
            logs = self._run(ledger, sender, unsigned.call)
        except Reverted:
            succeeded, ledger = False, deepcopy(self.ledger)
        gas = 21_000 + GAS_PER_ITEM * max(1, len(logs))
        tip = min(unsigned.fees.max_priority_fee_per_gas, unsigned.fees.max_fee_per_gas)
        price = min(unsigned.fees.max_fee_per_gas, header.base_fee_per_gas + tip)
        ledger.nonces[sender] = unsigned.nonce + 1
        ledger.coins[sender] = ledger.coins.get(sender, 0) - gas * price
        self.ledger = ledger
        return TransactionReceipt(
            hash=transaction.hash,
            sender=sender,
            block_number=header.number,
            block_hash=header.hash,
            succeeded=succeeded,
            gas_used=gas,
            effective_gas_price=price,
            l1_fee=0,
            logs=tuple(logs),
        )
