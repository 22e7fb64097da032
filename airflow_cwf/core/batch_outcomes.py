"""What became of each item of a `BatchPayment` call, by the logs of its transaction.

Never from silence: `pay` writes exactly one log for every item, in the order of its items (the
token's own `Transfer`, `Failed`, or `Skipped`), and after them one `Batch` with the counts.
Anything else is an `UnclearOutcomeError`, and its items stay unresolved.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from airflow_cwf.core.abi import WORD, address_word, event_topic, selector, uint_word
from airflow_cwf.core.batches import BatchItem, CloseCall, PayCall
from airflow_cwf.core.transactions import Log

_BATCH: Final = event_topic("Batch(address,bytes32,address,uint256,uint256,uint256)")
_FAILED: Final = event_topic("Failed(address,bytes32,uint256,bytes4)")
_SKIPPED: Final = event_topic("Skipped(address,bytes32,uint256)")
_CLOSED: Final = event_topic("Closed(address,bytes32,uint256)")
_TRANSFER: Final = event_topic("Transfer(address,address,uint256)")
_OWN_EVENTS: Final = frozenset({_BATCH, _FAILED, _SKIPPED, _CLOSED})

_OUT_OF_GAS: Final = selector("BatchOutOfGas(uint256)")
_OTHER_DIGEST: Final = selector("OtherScopeDigest(bytes32)")
_ITEM_FAILED: Final = selector("ItemFailed(uint256,bytes4)")
_MALFORMED: Final = selector("MalformedItems()")
_ERROR: Final = selector("Error(string)")
_PANIC: Final = selector("Panic(uint256)")
_REASONS: Final[Mapping[bytes, str]] = {
    bytes(4): "the token gave no reason",
    _ERROR: "the token refused with a text",
    _PANIC: "the token failed with a panic",
}


class UnclearOutcomeError(ValueError):
    """The logs do not account for every item; none of them may be taken for settled or failed."""


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """Outcomes of all items of one `pay`, by index; each index stands in exactly one member."""

    paid: Mapping[int, int]
    """Index to the position of the token's `Transfer` among the transaction's logs."""
    failed: Mapping[int, bytes]
    """Index to the first four bytes of the token's revert data; zeros if there were none."""
    skipped: frozenset[int]
    """The bit was set before: paid or closed by another transaction."""


@dataclass(frozen=True, slots=True)
class CloseOutcome:
    """Outcomes of all indexes of one `close`."""

    closed: frozenset[int]
    skipped: frozenset[int]
    """The bit was set before: paid or closed by another transaction."""


def decode_outcome(
    receipt_logs: Sequence[Log], *, contract: str, payer: str, call: PayCall
) -> BatchOutcome:
    """Return the outcome of `call` in the transaction that succeeded with `receipt_logs`.

    Args:
        receipt_logs: all logs of the transaction, in order.
        contract: lower-case address of `BatchPayment`.
        payer: lower-case address of the sender.
        call: what the transaction called.

    Raises:
        UnclearOutcomeError: the logs are not one for each item and one `Batch` that agrees.
    """
    own = _own_logs(receipt_logs, contract=contract, payer=payer, scope=call.scope)
    transfers = [
        log
        for log in receipt_logs
        if log.address == call.token and _topics_start(log, _TRANSFER, _topic(payer))
    ]
    logs = sorted([*own, *transfers], key=lambda log: log.position)
    if len({log.position for log in logs}) != len(logs):
        raise UnclearOutcomeError("Two logs claim the same position in the transaction.")
    if len(logs) != len(call.items) + 1:
        message = f"{len(call.items)} items and their Batch left {len(logs)} logs."
        raise UnclearOutcomeError(message)
    outcome = _read_items(call, payer=payer, logs=logs[:-1])
    counts = (len(outcome.paid), len(outcome.failed), len(outcome.skipped))
    summary = address_word(call.token) + b"".join(map(uint_word, counts))
    if logs[-1].topics[0] != _BATCH or logs[-1].data != summary:
        message = f"The last log is not a Batch of {counts} paid, failed and skipped items."
        raise UnclearOutcomeError(message)
    if call.atomic and outcome.failed:
        raise UnclearOutcomeError("An atomic batch cannot hold a failed item.")
    return outcome


def decode_close_outcome(
    receipt_logs: Sequence[Log], *, contract: str, payer: str, call: CloseCall
) -> CloseOutcome:
    """Return the outcome of a `close` in the transaction that succeeded with `receipt_logs`.

    Raises:
        UnclearOutcomeError: the logs are not one `Closed` or `Skipped` for each index, in order.
    """
    logs = _own_logs(receipt_logs, contract=contract, payer=payer, scope=call.scope)
    if len(logs) != len(call.indexes):
        message = f"{len(call.indexes)} indexes to close left {len(logs)} logs."
        raise UnclearOutcomeError(message)
    found: dict[str, set[int]] = {_CLOSED: set(), _SKIPPED: set()}
    for index, log in zip(call.indexes, logs, strict=True):
        if log.topics[0] not in found or log.data != uint_word(index):
            raise UnclearOutcomeError(f"The log of index {index} is not about its closing.")
        found[log.topics[0]].add(index)
    return CloseOutcome(closed=frozenset(found[_CLOSED]), skipped=frozenset(found[_SKIPPED]))


def decode_pay_result(data: bytes) -> tuple[int, int, int]:
    """Return `(paid, failed, skipped)` that an `eth_call` of `pay` answered.

    Raises:
        ValueError: `data` is not three words (an address without code answers nothing).
    """
    if len(data) != 3 * WORD:
        message = f"BatchPayment.pay answers three words; {len(data)} bytes came back."
        raise ValueError(message)
    first, second, third = (int.from_bytes(data[at : at + WORD]) for at in range(0, 3 * WORD, WORD))
    return first, second, third


def decode_revert(data: bytes) -> str:
    """Return revert data of `BatchPayment`, or of a token, as text for a person."""
    kind, words = data[:4], data[4:]
    first = int.from_bytes(words[:WORD])
    if kind == _OUT_OF_GAS:
        return f"the gas limit cannot give the item at place {first} its share; nothing was paid"
    if kind == _OTHER_DIGEST:
        return f"the scope is bound to another list of keys, {words[:WORD].hex()}"
    if kind == _ITEM_FAILED:
        return f"the item with index {first} failed ({reason_text(words[WORD : WORD + 4])})"
    if kind == _MALFORMED:
        return "the packed items are malformed, or the scope digest is zero"
    return _standard_revert(data)


def reason_text(reason: bytes) -> str:
    """Return the four bytes of a `Failed` event as text for a person."""
    return _REASONS.get(reason, f"the token's error 0x{reason.hex()}")


def _standard_revert(data: bytes) -> str:
    kind, words = data[:4], data[4:]
    if kind == _ERROR:
        length = int.from_bytes(words[WORD : 2 * WORD])
        return words[2 * WORD : 2 * WORD + length].decode("utf-8", errors="replace")
    if kind == _PANIC:
        return f"panic 0x{int.from_bytes(words[:WORD]):02x}"
    return f"error 0x{kind.hex()}" if kind else "no reason given"


def _read_items(call: PayCall, *, payer: str, logs: Sequence[Log]) -> BatchOutcome:
    paid: dict[int, int] = {}
    failed: dict[int, bytes] = {}
    skipped: set[int] = set()
    for item, log in zip(call.items, logs, strict=True):
        if _is_transfer(log, token=call.token, payer=payer, item=item):
            paid[item.index] = log.position
        elif log.topics[0] == _SKIPPED and log.data == uint_word(item.index):
            skipped.add(item.index)
        elif log.topics[0] == _FAILED and _is_failure(log.data, index=item.index):
            failed[item.index] = log.data[WORD : WORD + 4]
        else:
            message = f"The log at position {log.position} is not about index {item.index}."
            raise UnclearOutcomeError(message)
    return BatchOutcome(paid=paid, failed=failed, skipped=frozenset(skipped))


def _is_transfer(log: Log, *, token: str, payer: str, item: BatchItem) -> bool:
    topics = (_TRANSFER, _topic(payer), _topic(item.payee))
    return log.address == token and log.topics == topics and log.data == uint_word(item.amount)


def _is_failure(data: bytes, *, index: int) -> bool:
    return len(data) == 2 * WORD and data[:WORD] == uint_word(index) and not any(data[36:])


def _own_logs(logs: Sequence[Log], *, contract: str, payer: str, scope: bytes) -> list[Log]:
    """Return the contract's logs about this payer's scope, in the order they were given."""
    about = (_topic(payer), "0x" + scope.hex())
    return [
        log
        for log in logs
        if log.address == contract and log.topics[0:1] and log.topics[0] in _OWN_EVENTS
        if log.topics[1:] == about
    ]


def _topics_start(log: Log, *topics: str) -> bool:
    return log.topics[: len(topics)] == topics


def _topic(address: str) -> str:
    return "0x" + address_word(address).hex()
