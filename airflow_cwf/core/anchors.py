"""Calls and events of the contract `WorkflowAnchor`, in bytes, and the gas that a call needs.

`decode_append` accepts exactly what `encode_append` produces, because the engine decides by these
bytes whose transaction stands at a nonce. Contract and reasons: `contracts/WorkflowAnchor.sol`,
`docs/anchoring.md`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from airflow_cwf.core.abi import (
    WORD,
    address_word,
    bytes32_word,
    event_topic,
    selector,
    uint_word,
)
from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.hashes import sha3_256
from airflow_cwf.core.transactions import Log

EMPTY_ROOT: Final = sha3_256(b"")
"""Root of the empty log, RFC 6962's hash of nothing; a constant of the contract."""

APPENDED_TOPIC: Final = event_topic("Appended(address,uint256,bytes32,uint256,bytes32,bytes32)")

_APPEND: Final = selector("append(uint256,bytes32,uint256,bytes32,bytes32)")
_HEAD: Final = selector("head(address)")
_OTHER_HEAD: Final = selector("OtherHead(uint256,bytes32)")
_NOT_LARGER: Final = selector("NotLarger()")
_APPEND_WORDS: Final = 5
_SIZE_LIMIT: Final = 2**256

# Gas, upper bounds; what is not used is not paid.
_TRANSACTION_GAS: Final = 21_000
_BYTE_GAS: Final = 40  # EIP-7623's floor for a byte that is not zero; more than EIP-2028's 16
_RUN_GAS: Final = 60_000  # the first append writes two new words, 44,200 gas; event and rest 3,500


@dataclass(frozen=True, slots=True)
class Head:
    """Size and root of a submitter's log as the contract holds it."""

    size: int
    root: bytes
    """32 bytes; `H("")` for a log that was never appended to."""


NO_HEAD: Final = Head(0, EMPTY_ROOT)
"""What an unset head reads as."""


@dataclass(frozen=True, slots=True)
class AppendCall:
    """A call of `append`."""

    old: Head
    new: Head
    batch: bytes
    """sha2-256 of the batch directory's block, 32 bytes: the digest of its CID."""


@dataclass(frozen=True, slots=True)
class AppendedEvent:
    """One `Appended`: what became of a submitter's head."""

    submitter: str
    """Lower-case address: the sender of the call."""
    call: AppendCall
    position: int
    """Place among the logs of its own transaction, from 0."""


def encode_append(call: AppendCall) -> bytes:
    """Return the calldata of `call`.

    Raises:
        ValueError: a size outside its range, not larger than the old one, or a hash that is not
            32 bytes, or an old head of size 0 whose root is not `H("")`.
    """
    if not 0 <= call.old.size < call.new.size < _SIZE_LIMIT:
        raise ValueError("An append makes the log larger, up to 2**256 - 1.")
    if call.old.size == 0 and call.old.root != EMPTY_ROOT:
        raise ValueError('The root of the empty log is H("").')
    return _APPEND + _head_words(call.old) + _head_words(call.new) + bytes32_word(call.batch)


def decode_append(data: bytes) -> AppendCall:
    """Return the call that `data` encodes.

    Raises:
        ValueError: `data` is not byte for byte what `encode_append` gives for any call.
    """
    if data[:4] != _APPEND or len(data) != 4 + _APPEND_WORDS * WORD:
        raise ValueError("This calldata is not a call of WorkflowAnchor.append.")
    call = _call(data[4:])
    encode_append(call)  # its range; the words themselves have one form only
    return call


def encode_head(submitter: str) -> bytes:
    """Return the calldata that reads a submitter's head.

    Raises:
        ValueError: not a lower-case `0x` address.
    """
    return _HEAD + address_word(submitter)


def decode_head(data: bytes) -> Head:
    """Return what `head` answered.

    Raises:
        ValueError: not two words (an address without code answers nothing), or an empty log
            whose root is not `H("")`.
    """
    if len(data) != 2 * WORD:
        raise ValueError("The answer to head is not a size and a root; is the contract deployed?")
    head = _head(data)
    if head.size == 0 and head != NO_HEAD:
        raise ValueError("The answer to head is an empty log with a root.")
    return head


def appended_events(logs: Sequence[Log], *, contract: str) -> tuple[AppendedEvent, ...]:
    """Return the `Appended` events of one contract, in their order.

    Events of others are skipped.

    Args:
        logs: of one transaction, or what `eth_getLogs` answered.
        contract: lower-case address of `WorkflowAnchor`.

    Raises:
        VerificationError: check 12; the contract's own event is not in the form that its code
            gives it, so the node or the address is another one.
    """
    return tuple(
        _event(log)
        for log in logs
        if log.address == contract and log.topics[:1] == (APPENDED_TOPIC,)
    )


def append_gas_limit(*, calldata: bytes, posting_gas: int = 0) -> int:
    """Return the gas limit of an `append`: computed, enough for a submitter's first one too.

    Args:
        calldata: the call's bytes.
        posting_gas: what a rollup takes out of the limit for posting the bytes; 0 elsewhere.
    """
    return _TRANSACTION_GAS + _BYTE_GAS * len(calldata) + _RUN_GAS + posting_gas


def decode_refusal(data: bytes) -> Head | str:
    """Return why `append` reverted: the head that stands there, or a reason for people.

    A head means that another append came first, perhaps this very one: compare it with both.
    """
    if data[:4] == _OTHER_HEAD and len(data) == 4 + 2 * WORD:
        return _head(data[4:])
    if data == _NOT_LARGER:
        return "the new log is not larger than the old one"
    return "the contract reverted without a reason that is known"


def _head_words(head: Head) -> bytes:
    return uint_word(head.size) + bytes32_word(head.root)


def _head(words: bytes) -> Head:
    return Head(size=int.from_bytes(words[:WORD]), root=words[WORD : 2 * WORD])


def _call(words: bytes) -> AppendCall:
    return AppendCall(
        old=_head(words), new=_head(words[2 * WORD :]), batch=words[4 * WORD : 5 * WORD]
    )


def _event(log: Log) -> AppendedEvent:
    submitter = log.topics[1] if len(log.topics) == 2 else ""  # noqa: PLR2004 - topic, submitter
    address = "0x" + submitter[-40:]
    if len(log.data) != _APPEND_WORDS * WORD or not _is_word_of(submitter, address):
        raise VerificationError("An Appended event is not in its form.", check=12)
    return AppendedEvent(submitter=address, call=_call(log.data), position=log.position)


def _is_word_of(topic: str, address: str) -> bool:
    try:
        return topic == "0x" + address_word(address).hex()
    except ValueError:
        return False
