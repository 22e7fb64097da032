"""The error tree.

CwfError                        retry
├─ ConfigError                  NEVER      a missing or wrong setting, file or connection
│  └─ MissingConnectionError    NEVER      prints the command that adds it
├─ InputError                   NEVER      a payments file or list that cannot be read at all
├─ PolicyError                  NEVER      the platform's policy forbids it
│  ├─ ApprovalError             NEVER      no approval, a rejection, or another plan
│  └─ SanctionsListError        NEVER      the list is absent, too old or unreadable
├─ ChainError                              (carries `chain`)
│  ├─ TransportError            SAME       no usable answer from the node
│  │  └─ RateLimitedError       SAME       + retry_after_s
│  ├─ RpcError                  NEVER      the node answered "no", unclassified
│  ├─ WrongChainError           NEVER      another chain id or genesis than expected
│  ├─ CallRevertedError         NEVER      an eth_call reverted (carries `reason`, `data`)
│  ├─ PreparationError          NEVER      funds, allowance, code or lane are not ready
│  ├─ LaneStoppedError          NEVER      the journal cannot explain the account's nonces
│  └─ RejectedError                        the node refused the transaction
│     ├─ AlreadyKnownError      RECONCILE  it is our own; wait for it
│     ├─ NonceTooLowError       RECONCILE  somebody used the nonce; perhaps we did
│     ├─ NonceTooHighError      RECONCILE  a lower nonce is missing in this node's pool
│     ├─ UnderpricedError       REPLACE    the fee is below what the node takes
│     └─ InsufficientFundsError NEVER      no gas money
├─ UnresolvedError              RECONCILE  items whose outcome is not known yet
├─ FailedItemsError             NEVER      more technical failures than `max_failed`
├─ SignerError                  NEVER      the key cannot be used
├─ JournalError                 NEVER      schema, place, secret
│  ├─ LaneBusyError             SAME       another worker owns the lane
│  └─ StaleLeaseError           RECONCILE  this worker lost the lane to another
├─ ProverError                  SAME       a proof could not be made; no money depends on it
├─ StorageError                 SAME       the store of evidence gave no usable answer
│  └─ CidMismatchError          NEVER      it holds other bytes than it was given
└─ VerificationError            NEVER      every malformed or false evidence ends here

Beside their subject stand `FeeCapError` (a PolicyError, core.fees), `StrategyError` (a ConfigError,
core.fees), `TransactionFormatError` (adapters.evm.codec) and `UnhealthyError` (a PreparationError,
actions.settle).

`Retry` says what a caller may do next; `actions` switch on the class, nobody reads texts.
Messages are one sentence for a person: what happened, to which item, what is safe, what to do
next. They never hold a secret, a raw transaction or a URL with a token.
"""

from enum import StrEnum
from typing import ClassVar


class Retry(StrEnum):
    """What a caller may do after an error."""

    SAME = "same"
    """Do the very same thing again: nothing happened."""
    REPLACE = "replace"
    """Sign again at the same nonce with higher fees."""
    RECONCILE = "reconcile"
    """The outcome is unknown: compare the journal with the chain first."""
    NEVER = "never"
    """A person or another input is needed."""


class CwfError(Exception):
    """Root of all errors this package raises on purpose."""

    retry: ClassVar[Retry] = Retry.NEVER


class ConfigError(CwfError):
    """A setting, file or connection is missing or wrong."""


class MissingConnectionError(ConfigError):
    """An Airflow Connection does not exist; the message holds the command that adds it."""


class InputError(CwfError):
    """A file or list cannot be read at all (single bad rows are reported, not raised)."""


class PolicyError(CwfError):
    """The platform's policy forbids what was asked."""


class ApprovalError(PolicyError):
    """The plan was not approved, was rejected, or is not the one that was approved."""


class SanctionsListError(PolicyError):
    """The sanctions list is absent, too old or unreadable, so nothing may be signed."""


class ChainError(CwfError):
    """Something about one chain. `chain` is its CAIP-2 id."""

    def __init__(self, message: str, *, chain: str) -> None:
        super().__init__(f"[{chain}] {message}")
        self.chain = chain


class TransportError(ChainError):
    """No usable answer from the node: refused, timed out, not JSON."""

    retry = Retry.SAME


class RateLimitedError(TransportError):
    """The node asks for patience. `retry_after_s` is its own figure, if it gave one."""

    def __init__(self, message: str, *, chain: str, retry_after_s: float | None = None) -> None:
        super().__init__(message, chain=chain)
        self.retry_after_s = retry_after_s


class RpcError(ChainError):
    """The node answered with an error no row of the table of node texts matches."""

    def __init__(self, message: str, *, chain: str, code: int | None = None) -> None:
        super().__init__(message, chain=chain)
        self.code = code


class WrongChainError(ChainError):
    """The node serves another chain id or another genesis than the one expected."""


class CallRevertedError(ChainError):
    """An `eth_call` reverted. `reason` is the decoded text, `data` the raw return bytes."""

    def __init__(self, message: str, *, chain: str, reason: str, data: bytes = b"") -> None:
        super().__init__(message, chain=chain)
        self.reason = reason
        self.data = data


class PreparationError(ChainError):
    """An agent is not ready to commit: funds, allowance, gas money, code."""


class LaneStoppedError(ChainError):
    """The lane signs nothing until a person has looked: the journal cannot explain it."""


class RejectedError(ChainError):
    """The node refused a signed transaction."""


class AlreadyKnownError(RejectedError):
    """The node has this very transaction already."""

    retry = Retry.RECONCILE


class NonceTooLowError(RejectedError):
    """The nonce is used, perhaps by this very transaction."""

    retry = Retry.RECONCILE


class NonceTooHighError(RejectedError):
    """The node's pool lacks a lower nonce of this account."""

    retry = Retry.RECONCILE


class UnderpricedError(RejectedError):
    """The fees are below what the node takes."""

    retry = Retry.REPLACE


class InsufficientFundsError(RejectedError):
    """The payer cannot pay for gas."""


class UnresolvedError(CwfError):
    """Some items have no known outcome yet; running again reconciles first and is safe."""

    retry = Retry.RECONCILE


class FailedItemsError(CwfError):
    """More items failed for technical reasons than `max_failed` allows."""


class SignerError(CwfError):
    """The key cannot be read or used."""


class JournalError(CwfError):
    """The journal is not usable: wrong schema version, wrong secret, wrong place."""


class LaneBusyError(JournalError):
    """Another worker owns this lane's lease."""

    retry = Retry.SAME


class StaleLeaseError(JournalError):
    """This worker's lease has passed to another; it must not write any more."""

    retry = Retry.RECONCILE


class ProverError(CwfError):
    """A proof could not be made: the program failed or took too long. No money depends on it."""

    retry = Retry.SAME


class StorageError(CwfError):
    """A content store gave no usable answer. All its actions may be repeated."""

    retry = Retry.SAME


class CidMismatchError(StorageError):
    """A content store gave back other bytes than it was given; they do not count as pinned."""

    retry = Retry.NEVER


class VerificationError(CwfError):
    """Evidence is malformed or false. `check` is the number of EVIDENCE's list."""

    def __init__(self, message: str, *, check: int) -> None:
        super().__init__(message)
        self.check = check
