"""The one place where the text of an EVM node's error is read.

JSON-RPC codes say nothing here: geth answers nearly every refusal with -32000, anvil with -32003,
and providers invent their own. Texts are matched as case-insensitive substrings, first row first.
A text that no row matches becomes `RpcError` and is never retried blindly.

A refused broadcast and a failed read are two questions to the same table: `broadcast_error` sees
only rows about transactions and transport, `read_error` only rows about calls and transport.
"""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from airflow_cwf.core.abi import WORD, dynamic_at, selector
from airflow_cwf.core.errors import (
    AlreadyKnownError,
    CallRevertedError,
    ChainError,
    InsufficientFundsError,
    NonceTooHighError,
    NonceTooLowError,
    RateLimitedError,
    RejectedError,
    RpcError,
    TransportError,
    UnderpricedError,
)

PRINTED_CHARACTERS: Final = 300
"""How much of a foreign text a message of ours repeats."""

_SELECTOR: Final = 4
_ERROR_STRING: Final = selector("Error(string)")
_PANIC: Final = selector("Panic(uint256)")
_URL: Final = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_LONG_HEX: Final = re.compile(r"\b(?:0x)?[0-9a-f]{65,}", re.IGNORECASE)
_REVERT_PREFIX: Final = re.compile(r"^.*?revert(?:ed)?(?: with reason)?[:\s]*", re.IGNORECASE)
_PANIC_REASONS: Final = {
    0x01: "assertion failed",
    0x11: "arithmetic overflow",
    0x12: "division by zero",
    0x32: "index out of bounds",
}
"""https://docs.soliditylang.org/en/latest/control-structures.html#panic-via-assert-and-error-via-require"""


class NodeText(NamedTuple):
    """One row of the table."""

    text: str
    """Lower-case substring of the node's message."""
    error: type[ChainError]
    source: str
    """Which node or service says so."""


NODE_TEXTS: Final[tuple[NodeText, ...]] = (
    # It is our own transaction.
    NodeText("already known", AlreadyKnownError, "geth core/txpool/errors.go; reth"),
    NodeText("alreadyknown", AlreadyKnownError, "nethermind AcceptTxResult"),
    NodeText("already imported", AlreadyKnownError, "anvil 1.7"),
    NodeText("existing tx with same hash", AlreadyKnownError, "erigon DiscardReason"),
    NodeText("known transaction", AlreadyKnownError, "besu; geth before 1.9"),
    # The nonce is used.
    NodeText("nonce too low", NonceTooLowError, "geth core/error.go; erigon; besu; reth; anvil"),
    NodeText("oldnonce", NonceTooLowError, "nethermind AcceptTxResult"),
    # The pool waits for a lower nonce, or takes no more of this account for now.
    NodeText("nonce too high", NonceTooHighError, "geth core/error.go; arbitrum nitro"),
    NodeText("noncegap", NonceTooHighError, "nethermind AcceptTxResult"),
    NodeText("noncetoofarinfuture", NonceTooHighError, "nethermind AcceptTxResult"),
    NodeText("nonce is too distant", NonceTooHighError, "besu"),
    NodeText("lower nonce exists", NonceTooHighError, "besu"),
    NodeText("in-flight transaction limit reached", NonceTooHighError, "geth, delegated accounts"),
    NodeText("gapped-nonce tx", NonceTooHighError, "geth, delegated accounts"),
    NodeText("tries to replace pending", NonceTooHighError, "geth legacypool"),
    # The fee is too low.
    NodeText("replacement transaction underpriced", UnderpricedError, "geth; erigon; besu; anvil"),
    NodeText("transaction underpriced", UnderpricedError, "geth; reth; bor"),
    NodeText("less than block base fee", UnderpricedError, "geth core/error.go; reth; anvil"),
    NodeText("could not replace existing tx", UnderpricedError, "erigon DiscardReason"),
    NodeText("replacementnotallowed", UnderpricedError, "nethermind AcceptTxResult"),
    NodeText("feetoolow", UnderpricedError, "nethermind AcceptTxResult"),
    NodeText("fee too low", UnderpricedError, "erigon DiscardReason"),
    NodeText("underpriced", UnderpricedError, "erigon DiscardReason"),
    NodeText("below configured minimum gas price", UnderpricedError, "besu"),
    NodeText("below current base fee", UnderpricedError, "besu"),
    # No gas money.
    NodeText("insufficient funds", InsufficientFundsError, "geth; erigon; reth; anvil"),
    NodeText("insufficientfunds", InsufficientFundsError, "nethermind AcceptTxResult"),
    NodeText("insufficient balance for transfer", InsufficientFundsError, "geth before 1.10"),
    NodeText("upfront cost exceeds account balance", InsufficientFundsError, "besu"),
    NodeText("not enough funds for gas", InsufficientFundsError, "arbitrum before nitro"),
    # The transaction itself is wrong; no fee and no waiting mends it.
    NodeText("exceeds block gas limit", RejectedError, "geth core/txpool/errors.go; besu; reth"),
    NodeText("gaslimitexceeded", RejectedError, "nethermind AcceptTxResult"),
    NodeText("transaction gas limit too high", RejectedError, "geth, EIP-7825"),
    NodeText("intrinsic gas too", RejectedError, "geth core/error.go (low); anvil (low, high)"),
    NodeText("intrinsicgas", RejectedError, "erigon DiscardReason"),
    NodeText("intrinsic gas exceeds gas limit", RejectedError, "besu"),
    NodeText("floor data gas", RejectedError, "geth, EIP-7623"),
    NodeText("exceeds the configured cap", RejectedError, "geth rpc.txfeecap"),
    NodeText("transaction fee cap exceeded", RejectedError, "besu"),
    NodeText("priority fee per gas higher than max fee", RejectedError, "geth; reth; anvil"),
    NodeText("priority fee per gas exceeds max fee", RejectedError, "besu"),
    NodeText("invalid sender", RejectedError, "geth; erigon"),
    NodeText("invalid chain id", RejectedError, "geth core/types; anvil"),
    NodeText("wrong chainid", RejectedError, "besu"),
    NodeText("sender not an eoa", RejectedError, "geth core/error.go; nethermind"),
    NodeText("senderiscontract", RejectedError, "nethermind AcceptTxResult"),
    NodeText("oversized data", RejectedError, "geth; erigon"),
    NodeText("rlptoolong", RejectedError, "erigon DiscardReason"),
    NodeText("transaction type not supported", RejectedError, "geth core/types"),
    NodeText("failed to decode transaction", RejectedError, "anvil; reth"),
    # A call failed in the EVM.
    NodeText("execution reverted", CallRevertedError, "geth; erigon; besu; reth; anvil"),
    NodeText("vm execution error", CallRevertedError, "nethermind; openethereum"),
    NodeText("vm exception", CallRevertedError, "hardhat; ganache"),
    NodeText("out of gas", CallRevertedError, "geth core/vm/errors.go"),
    NodeText("invalid opcode", CallRevertedError, "geth core/vm/errors.go"),
    NodeText("opcode not found", CallRevertedError, "reth; anvil (revm)"),
    NodeText("evm error", CallRevertedError, "anvil: any other halt of the EVM"),
    NodeText("invalid jump destination", CallRevertedError, "geth core/vm/errors.go"),
    NodeText("stack underflow", CallRevertedError, "geth core/vm/errors.go"),
    NodeText("write protection", CallRevertedError, "geth core/vm/errors.go"),
    # Patience.
    NodeText("rate limit", RateLimitedError, "infura; quicknode; anvil forks"),
    NodeText("too many requests", RateLimitedError, "many providers"),
    NodeText("request limit reached", RateLimitedError, "quicknode"),
    NodeText("compute units per second", RateLimitedError, "alchemy"),
    NodeText("txpool is full", RateLimitedError, "geth core/txpool/errors.go; reth"),
    NodeText("sub-pool is full", RateLimitedError, "erigon DiscardReason"),
    # The node is not ready; whether it took a transaction is unknown.
    NodeText("indexing is in progress", TransportError, "geth eth_getTransactionReceipt"),
    NodeText("sequencer temporarily not available", TransportError, "arbitrum nitro"),
    NodeText("failed to forward tx to sequencer", TransportError, "op-geth"),
    NodeText("sync is still in progress", TransportError, "besu"),
)


@dataclass(frozen=True, slots=True)
class NodeError:
    """The `error` object of one JSON-RPC reply."""

    code: int | None
    message: str
    data: bytes = b""
    """What a reverted call returned, where the node says it."""


def matching_row(message: str) -> NodeText | None:
    """Return the first row whose text `message` contains, or None."""
    lowered = message.lower()
    return next((row for row in NODE_TEXTS if row.text in lowered), None)


def broadcast_error(error: NodeError, *, chain: str) -> ChainError:
    """Return what a refused `eth_sendRawTransaction` means, ready to be raised."""
    row = matching_row(error.message)
    said = printable(error.message)
    if row is None or not issubclass(row.error, RejectedError | TransportError):
        return _unclassified(error, chain=chain)
    if issubclass(row.error, RejectedError):
        return row.error(f"The node refused the transaction: {said!r}.", chain=chain)
    return row.error(
        f"The node did not say whether it took the transaction: {said!r}.", chain=chain
    )


def read_error(error: NodeError, *, chain: str) -> ChainError:
    """Return what a failed read or call means, ready to be raised."""
    row = matching_row(error.message)
    if row is not None and issubclass(row.error, TransportError):
        said = printable(error.message)
        return row.error(f"The node cannot answer now: {said!r}.", chain=chain)
    if row is not None and row.error is CallRevertedError:
        reason = revert_reason(error)
        return CallRevertedError(
            f"The call reverted: {reason}.", chain=chain, reason=reason, data=error.data
        )
    return _unclassified(error, chain=chain)


def revert_reason(error: NodeError) -> str:
    """Return in words why a call reverted.

    Reads `Error(string)` and `Panic(uint256)`, else names the custom error's selector, else falls
    back to the node's own text. The words come from a contract: bounded and printable, not trusted.
    """
    name, payload = error.data[:_SELECTOR], error.data[_SELECTOR:]
    if name == _ERROR_STRING and (text := _abi_string(payload)):
        return text
    if name == _PANIC and len(payload) == WORD:
        code = int.from_bytes(payload)
        return f"panic 0x{code:02x} ({_PANIC_REASONS.get(code, 'see the Solidity manual')})"
    if len(name) == _SELECTOR:
        return f"custom error 0x{name.hex()}"
    said = printable(error.message)
    return _REVERT_PREFIX.sub("", said).strip(" :\"'") or said or "no reason given"


def printable(text: str) -> str:
    """Return a foreign text fit for our messages: short, one line, no URL, no transaction bytes."""
    shown = _URL.sub("<url>", text[: PRINTED_CHARACTERS * 100])
    shown = _LONG_HEX.sub("<bytes>", shown)
    return "".join(c if c.isprintable() else " " for c in shown[:PRINTED_CHARACTERS])


def _unclassified(error: NodeError, *, chain: str) -> RpcError:
    said = printable(error.message)
    return RpcError(f"The node answered with an error: {said!r}.", chain=chain, code=error.code)


def _abi_string(payload: bytes) -> str:
    content = dynamic_at(payload, int.from_bytes(payload[:WORD]))
    return printable(content.decode("utf-8", errors="replace"))
