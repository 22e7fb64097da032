"""What chains and engine exchange: calls, fees, signed attempts, receipts, blocks."""

from dataclasses import dataclass
from typing import Final

ZERO_ADDRESS: Final = "0x" + "00" * 20


@dataclass(frozen=True, slots=True)
class FeeQuote:
    """Fees of one attempt (EIP-1559), in wei per gas."""

    max_fee_per_gas: int
    max_priority_fee_per_gas: int
    block: int
    """The block at which the quote was made."""


@dataclass(frozen=True, slots=True)
class FeeHistory:
    """`eth_feeHistory` in integers: one entry per block, oldest first, wei per gas."""

    newest_block: int
    base_fees: tuple[int, ...]
    """One more entry than blocks: the last is the next block's base fee."""
    gas_used_ratios: tuple[float, ...]
    percentiles: tuple[int, ...]
    rewards: tuple[tuple[int, ...], ...]
    """Per block, priority fees at `percentiles`; all zero for an empty block."""


@dataclass(frozen=True, slots=True)
class Call:
    """What will stand at one nonce, apart from the fees."""

    to: str
    data: bytes
    gas_limit: int
    value: int = 0


@dataclass(frozen=True, slots=True)
class UnsignedTransaction:
    """An EIP-1559 transaction before its signature."""

    chain_id: int
    nonce: int
    call: Call
    fees: FeeQuote


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A signed transaction: its hash is known before any node has seen it."""

    hash: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Log:
    """One event of a receipt."""

    address: str
    """Lower-case emitter."""
    topics: tuple[str, ...]
    data: bytes
    position: int
    """Place among the logs of its own transaction, from 0."""


@dataclass(frozen=True, slots=True)
class TransactionReceipt:
    """A transaction that stands in a block."""

    hash: str
    sender: str
    block_number: int
    block_hash: str
    succeeded: bool
    gas_used: int
    effective_gas_price: int
    l1_fee: int
    """Extra fee of rollups that charge one (`l1Fee`), wei; else 0."""
    logs: tuple[Log, ...]

    @property
    def fee(self) -> int:
        """The whole fee in wei."""
        return self.gas_used * self.effective_gas_price + self.l1_fee


@dataclass(frozen=True, slots=True)
class Block:
    """The parts of a block header that the engine reads."""

    number: int
    hash: str
    timestamp: int
    base_fee_per_gas: int
