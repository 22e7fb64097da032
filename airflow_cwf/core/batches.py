"""Calls of the contract `BatchPayment`: what they say in bytes and how much gas they need.

The encoding is written out here because the engine decides by these bytes whose transaction
stands at a nonce: `decode_pay` accepts exactly what `encode_pay` produces. Contract and reasons:
`contracts/BatchPayment.sol`, `docs/batch-payment.md`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from airflow_cwf.core.abi import (
    WORD,
    address_bytes,
    address_word,
    bytes32_word,
    dynamic_at,
    dynamic_bytes,
    selector,
    uint_word,
)

MAX_ITEMS: Final = 200
"""Items of one call: the largest number that was measured; twice as many save 1 % more."""
MAX_INDEX: Final = 2**32 - 1
MAX_AMOUNT: Final = 2**96 - 1
"""Units. 79 billion tokens of 18 decimals."""
GAS_CAP: Final = 16_777_216
"""EIP-7825: no transaction may have a higher gas limit."""

_PAY: Final = selector("pay(address,bytes32,bytes32,bool,bytes)")
_CLOSE: Final = selector("close(bytes32,bytes32,bytes)")
_PAID_WORDS: Final = selector("paidWords(address,bytes32,uint256,uint256)")
_SCOPE_DIGEST: Final = selector("scopeDigest(address,bytes32)")
_ITEM_BYTES: Final = 36
_INDEX_BYTES: Final = 4

# Gas, all upper bounds; what is not used is not paid.
_TRANSACTION_GAS: Final = 21_000
_TOKEN_GAS: Final = 4  # EIP-2028: 4 a zero byte, 16 another; a "token" is a quarter of 16
_TOKEN_FLOOR_GAS: Final = 10  # EIP-7623: the least a transaction pays for a token of calldata
_FIXED_GAS: Final = 60_000  # first touch of contract, token and payer; scopeDigest; `Batch`
_RUN_GAS: Final = 45_000  # one item to a new recipient; Circle's token takes 29,300
_WORD_GAS: Final = 22_200  # EIP-2929: first write of a bitmap word, 2,100 + 20,000
_CLOSE_GAS: Final = 3_000  # one index of `close`: two warm accesses and an event
_GUARD_GAS: Final = 126_000  # ITEM_GAS + CALL_OVERHEAD of the contract
_RESERVE_GAS: Final = -(-_GUARD_GAS * 64 // 63)  # the last item is refused below this


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One payment of a batch."""

    index: int
    """Place of the key in its scope's manifest, 0 to 2**32 - 1."""
    payee: str
    """Lower-case `0x` address."""
    amount: int
    """Smallest units of the token, 1 to 2**96 - 1."""


@dataclass(frozen=True, slots=True)
class PayCall:
    """A call of `pay`."""

    token: str
    """Lower-case `0x` address."""
    scope: bytes
    """32 bytes."""
    digest: bytes
    """32 bytes, not zero: the digest of the scope's list of keys."""
    atomic: bool
    """The first failing item reverts the whole call."""
    items: tuple[BatchItem, ...]


@dataclass(frozen=True, slots=True)
class CloseCall:
    """A call of `close`: these indexes will never be paid under this scope."""

    scope: bytes
    digest: bytes
    indexes: tuple[int, ...]


def pack_items(items: Sequence[BatchItem]) -> bytes:
    """Return 36 bytes for each item: uint32 index, address, uint96 amount.

    Raises:
        ValueError: an index, a payee or an amount is outside its range.
    """
    return b"".join(
        _index_bytes(item.index) + address_bytes(item.payee) + _amount_bytes(item) for item in items
    )


def unpack_items(packed: bytes) -> tuple[BatchItem, ...]:
    """Return the items that `pack_items` packed.

    Raises:
        ValueError: the length is not a multiple of 36.
    """
    if len(packed) % _ITEM_BYTES:
        message = f"{len(packed)} bytes are not a whole number of items of {_ITEM_BYTES} bytes."
        raise ValueError(message)
    return tuple(
        BatchItem(
            index=int.from_bytes(packed[at : at + 4]),
            payee="0x" + packed[at + 4 : at + 24].hex(),
            amount=int.from_bytes(packed[at + 24 : at + _ITEM_BYTES]),
        )
        for at in range(0, len(packed), _ITEM_BYTES)
    )


def encode_pay(call: PayCall) -> bytes:
    """Return the calldata of `call`.

    Raises:
        ValueError: no items, an index twice, or a value outside its range.
    """
    _check_indexes([item.index for item in call.items])
    head = (
        address_word(call.token)
        + _scope_and_digest(call.scope, call.digest)
        + uint_word(int(call.atomic))
    )
    return _PAY + head + uint_word(5 * WORD) + dynamic_bytes(pack_items(call.items))


def decode_pay(data: bytes) -> PayCall:
    """Return the call that `data` encodes.

    Raises:
        ValueError: `data` is not byte for byte what `encode_pay` gives for any call.
    """
    if data[:4] != _PAY:
        raise ValueError("This calldata is not a call of BatchPayment.pay.")
    words = data[4:]
    call = PayCall(
        token="0x" + words[12:32].hex(),
        scope=words[32:64],
        digest=words[64:96],
        atomic=words[96:128] == uint_word(1),
        items=unpack_items(dynamic_at(words, 5 * WORD)),
    )
    _check_same(encode_pay(call), data)
    return call


def encode_close(call: CloseCall) -> bytes:
    """Return the calldata of `close`.

    Raises:
        ValueError: no indexes, an index twice, or a value outside its range.
    """
    _check_indexes(call.indexes)
    packed = b"".join(_index_bytes(index) for index in call.indexes)
    head = _scope_and_digest(call.scope, call.digest)
    return _CLOSE + head + uint_word(3 * WORD) + dynamic_bytes(packed)


def decode_close(data: bytes) -> CloseCall:
    """Return the call that `data` encodes.

    Raises:
        ValueError: `data` is not byte for byte what `encode_close` gives for any call.
    """
    if data[:4] != _CLOSE:
        raise ValueError("This calldata is not a call of BatchPayment.close.")
    words = data[4:]
    packed = dynamic_at(words, 3 * WORD)
    indexes = range(0, len(packed), _INDEX_BYTES)
    call = CloseCall(
        scope=words[:32],
        digest=words[32:64],
        indexes=tuple(int.from_bytes(packed[at : at + _INDEX_BYTES]) for at in indexes),
    )
    _check_same(encode_close(call), data)
    return call


def encode_paid_words(payer: str, scope: bytes, *, first: int, count: int) -> bytes:
    """Return the calldata that reads `count` bitmap words from word `first` (index // 256)."""
    head = address_word(payer) + bytes32_word(scope)
    return _PAID_WORDS + head + uint_word(first) + uint_word(count)


def decode_paid_words(data: bytes) -> tuple[int, ...]:
    """Return the bitmap words that `paidWords` answered.

    Raises:
        ValueError: `data` is not an array of words (an address without code answers nothing).
    """
    count, odd = divmod(len(data) - 2 * WORD, WORD)
    if odd or count < 0 or data[: 2 * WORD] != uint_word(WORD) + uint_word(count):
        raise ValueError("The answer to paidWords is not an array of words.")
    return tuple(int.from_bytes(data[at : at + WORD]) for at in range(2 * WORD, len(data), WORD))


def paid_indexes(words: Sequence[int], *, first: int) -> frozenset[int]:
    """Return the indexes whose bits are set in bitmap `words`, of which `first` is the number."""
    return frozenset(
        256 * place + bit
        for place, word in enumerate(words, start=first)
        for bit in range(256)
        if word >> bit & 1
    )


def encode_scope_digest(payer: str, scope: bytes) -> bytes:
    """Return the calldata that reads the digest bound to a scope; 32 zero bytes if none is."""
    return _SCOPE_DIGEST + address_word(payer) + bytes32_word(scope)


def gas_limit(items: Sequence[BatchItem], *, calldata: bytes, posting_gas: int = 0) -> int:
    """Return the gas limit of a `pay`: computed, because an estimate can starve the last item.

    Enough for new recipients of a token whose `transferFrom` takes up to 45,000 gas inside a
    batch. For a heavier one the batch reverts whole (`BatchOutOfGas`); no limit, however low,
    makes an item fail.

    Args:
        items: the items of the call, at most `MAX_ITEMS`.
        calldata: the call's bytes (EIP-2028 and the floor of EIP-7623).
        posting_gas: what a rollup takes out of the limit for posting the bytes (Arbitrum:
            `NodeInterface.gasEstimateL1Component`); 0 elsewhere.

    Raises:
        ValueError: too many items, or the sum is above the cap of EIP-7825.
    """
    if not 0 < len(items) <= MAX_ITEMS:
        message = f"A batch holds 1 to {MAX_ITEMS} items, not {len(items)}."
        raise ValueError(message)
    words = len({item.index >> 8 for item in items})
    run = _FIXED_GAS + len(items) * _RUN_GAS + words * _WORD_GAS + _RESERVE_GAS
    return _limit(run, calldata=calldata, posting_gas=posting_gas)


def close_gas_limit(call: CloseCall, *, posting_gas: int = 0) -> int:
    """Return the gas limit of a `close`; see `gas_limit`."""
    words = len({index >> 8 for index in call.indexes})
    run = _FIXED_GAS + len(call.indexes) * _CLOSE_GAS + words * _WORD_GAS
    return _limit(run, calldata=encode_close(call), posting_gas=posting_gas)


def batches(items: Sequence[BatchItem], size: int = MAX_ITEMS) -> Iterator[tuple[BatchItem, ...]]:
    """Yield `items` in batches of at most `size`, in order of index.

    Neighbours share a bitmap word; an index alone in its word costs 21,800 gas more.
    """
    ordered = sorted(items, key=lambda item: item.index)
    for at in range(0, len(ordered), size):
        yield tuple(ordered[at : at + size])


def _limit(run: int, *, calldata: bytes, posting_gas: int) -> int:
    zeros = calldata.count(0)
    tokens = zeros + 4 * (len(calldata) - zeros)
    limit = _TRANSACTION_GAS + max(_TOKEN_GAS * tokens + run, _TOKEN_FLOOR_GAS * tokens)
    limit += posting_gas
    if limit > GAS_CAP:
        message = f"The batch needs a gas limit of {limit}, above the cap of {GAS_CAP} (EIP-7825)."
        raise ValueError(message)
    return limit


def _check_indexes(indexes: Sequence[int]) -> None:
    if not indexes:
        raise ValueError("A call needs at least one item.")
    if len(set(indexes)) != len(indexes):
        twice = sorted({index for index in indexes if indexes.count(index) > 1})
        message = f"Index {twice[0]} stands twice in one call; the second would be skipped."
        raise ValueError(message)


def _check_same(encoded: bytes, data: bytes) -> None:
    if encoded != data:
        raise ValueError("The calldata is not in the one form that this package writes.")


def _scope_and_digest(scope: bytes, digest: bytes) -> bytes:
    if not any(digest):
        raise ValueError("The scope digest is zero, which means that none is bound.")
    return bytes32_word(scope) + bytes32_word(digest)


def _index_bytes(index: int) -> bytes:
    if not 0 <= index <= MAX_INDEX:
        message = f"Index {index} does not fit into 32 bits."
        raise ValueError(message)
    return index.to_bytes(_INDEX_BYTES)


def _amount_bytes(item: BatchItem) -> bytes:
    if not 0 < item.amount <= MAX_AMOUNT:
        message = f"Item {item.index} pays {item.amount} units; 1 to 2**96 - 1 can be paid."
        raise ValueError(message)
    return item.amount.to_bytes(12)
