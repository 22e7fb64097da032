"""Parses what a node answers. Replies are untrusted: every value is checked before it is used.

A function here returns a typed value or raises `MalformedReplyError`, which `EvmClient` turns into
`TransportError`; no `KeyError` or `TypeError` of a strange reply leaves this module.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from airflow_cwf.adapters.evm.errors import printable
from airflow_cwf.core.transactions import Block, FeeHistory, Log, TransactionReceipt

# Leading zeros are tolerated: not every node follows the encoding rule for quantities.
_QUANTITY: Final = re.compile(r"0x[0-9a-fA-F]{1,64}")
_BYTES: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_HASH: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_SHOWN_CHARACTERS: Final = 40
_MAX_RATIO: Final = 100
"""A block's gas over its limit is at most 1; some rollups count otherwise."""


class MalformedReplyError(ValueError):
    """A reply lacks a member, or a member is not of the shape that the API prescribes."""


def quantity(value: object) -> int:
    """Return a `0x` quantity of at most 256 bits."""
    return int(_matched(_QUANTITY, value, "a hex quantity"), 16)


def data(value: object) -> bytes:
    """Return `0x` bytes of any length."""
    return bytes.fromhex(_matched(_BYTES, value, "hex bytes")[2:])


def hash32(value: object) -> str:
    """Return a 32-byte hash in lower case."""
    return _matched(_HASH, value, "a 32-byte hash").lower()


def address(value: object) -> str:
    """Return an address in lower case."""
    return _matched(_ADDRESS, value, "an address").lower()


def name(value: object) -> str:
    """Return a text for people, shortened and printable."""
    if not isinstance(value, str):
        raise _malformed(value, "a text")
    return printable(value)


def block(value: object) -> Block:
    """Return a block header; a chain before EIP-1559 has the base fee 0."""
    fields = _object(value, "a block")
    base_fee = fields.get("baseFeePerGas")
    return Block(
        number=quantity(fields.get("number")),
        hash=hash32(fields.get("hash")),
        timestamp=quantity(fields.get("timestamp")),
        base_fee_per_gas=0 if base_fee is None else quantity(base_fee),
    )


def receipt(value: object, *, asked: str) -> TransactionReceipt:
    """Return the receipt of the transaction `asked`; another one's is malformed."""
    fields = _object(value, "a receipt")
    found = hash32(fields.get("transactionHash"))
    if found != asked.lower():
        raise MalformedReplyError(f"the receipt of {found} came for {asked}")
    status = quantity(fields.get("status"))
    if status not in {0, 1}:
        raise MalformedReplyError(f"{status} is not a receipt's status")
    l1_fee = fields.get("l1Fee")
    logs = _array(fields.get("logs"), "a receipt's logs")
    return TransactionReceipt(
        hash=found,
        sender=address(fields.get("from")),
        block_number=quantity(fields.get("blockNumber")),
        block_hash=hash32(fields.get("blockHash")),
        succeeded=status == 1,
        gas_used=quantity(fields.get("gasUsed")),
        effective_gas_price=quantity(fields.get("effectiveGasPrice")),
        l1_fee=0 if l1_fee is None else quantity(l1_fee),
        logs=tuple(_log(log, position=position) for position, log in enumerate(logs)),
    )


def fee_history(value: object, *, percentiles: Sequence[int]) -> FeeHistory:
    """Return `eth_feeHistory`; its lists must fit together. A young chain has fewer blocks."""
    fields = _object(value, "a fee history")
    ratios = tuple(_ratio(item) for item in _array(fields.get("gasUsedRatio"), "gasUsedRatio"))
    base_fees = tuple(quantity(x) for x in _array(fields.get("baseFeePerGas"), "baseFeePerGas"))
    if not ratios or len(base_fees) != len(ratios) + 1:
        raise MalformedReplyError(f"{len(base_fees)} base fees for {len(ratios)} blocks")
    return FeeHistory(
        newest_block=quantity(fields.get("oldestBlock")) + len(ratios) - 1,
        base_fees=base_fees,
        gas_used_ratios=ratios,
        percentiles=tuple(percentiles),
        rewards=_rewards(fields.get("reward"), blocks=len(ratios), width=len(percentiles)),
    )


def _rewards(value: object, *, blocks: int, width: int) -> tuple[tuple[int, ...], ...]:
    if not width:
        return ((),) * blocks
    rows = [_array(row, "a block's rewards") for row in _array(value, "reward")]
    if len(rows) != blocks or any(len(row) != width for row in rows):
        raise MalformedReplyError(f"rewards do not fit {blocks} blocks by {width} percentiles")
    return tuple(tuple(quantity(item) for item in row) for row in rows)


def _log(value: object, *, position: int) -> Log:
    fields = _object(value, "a log")
    return Log(
        address=address(fields.get("address")),
        topics=tuple(hash32(topic) for topic in _array(fields.get("topics"), "a log's topics")),
        data=data(fields.get("data")),
        position=position,
    )


def _ratio(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _malformed(value, "a ratio")
    if not 0 <= value <= _MAX_RATIO:  # false for NaN too
        raise _malformed(value, "a ratio")
    return float(value)


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _malformed(value, what)
    return value


def _array(value: object, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise _malformed(value, what)
    return value


def _matched(pattern: re.Pattern[str], value: object, what: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _malformed(value, what)
    return value


def _malformed(value: object, what: str) -> MalformedReplyError:
    kind = type(value).__name__
    shown = f"{kind} {printable(value)[:_SHOWN_CHARACTERS]!r}" if isinstance(value, str) else kind
    return MalformedReplyError(f"{shown} is not {what}")
