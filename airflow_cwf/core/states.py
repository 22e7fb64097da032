"""States of items and transactions, and which follows which."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class ItemState(StrEnum):
    """Where one payment stands in the journal."""

    LOADED = "loaded"
    """In a manifest; nothing was signed."""
    REFUSED = "refused"
    """Not signed, by a decision (sanctions, policy, token's blacklist); looked at again by
    every run."""
    RESERVED = "reserved"
    """Its spend is reserved; nothing is in flight."""
    SENT = "sent"
    """In a live transaction: a signature exists."""
    SETTLED = "settled"
    """Paid, and the block is final."""
    FAILED = "failed"
    """Not paid, the block is final, and no re-send is left."""
    UNCLEAR = "unclear"
    """The block is final but does not say what became of it: a person has to look."""
    CONFLICT = "conflict"
    """Its key was paid, or may be paid, as something else: a person has to look."""


ITEM_TRANSITIONS: Final[Mapping[ItemState, frozenset[ItemState]]] = {
    ItemState.LOADED: frozenset({ItemState.RESERVED, ItemState.REFUSED}),
    ItemState.REFUSED: frozenset({ItemState.RESERVED, ItemState.REFUSED}),
    ItemState.RESERVED: frozenset({ItemState.SENT, ItemState.REFUSED, ItemState.RESERVED}),
    ItemState.SENT: frozenset(
        {
            ItemState.SETTLED,
            ItemState.FAILED,
            ItemState.RESERVED,  # failed at finality with re-sends left, or died
            ItemState.UNCLEAR,
            ItemState.CONFLICT,
        }
    ),
    ItemState.SETTLED: frozenset(),
    ItemState.FAILED: frozenset(),
    ItemState.UNCLEAR: frozenset({ItemState.SETTLED}),
    ItemState.CONFLICT: frozenset(),
}

PAYABLE: Final = frozenset({ItemState.LOADED, ItemState.REFUSED, ItemState.RESERVED})
"""States from which a run may go on towards a signature."""

NEVER_SIGNED: Final = PAYABLE
"""States in which a correction may change what moves, if no transaction ever held the item."""


class TransactionState(StrEnum):
    """Where one recorded transaction stands."""

    RECORDED = "recorded"
    """A signature exists; nodes may or may not have it."""
    INCLUDED = "included"
    """In a block that may still be reorganised."""
    FINAL = "final"
    """In a block that is final."""
    DEAD = "dead"
    """A named transaction of somebody else is final at its nonce."""


class LaneState(StrEnum):
    """Whether an account may sign on a chain."""

    STOPPED = "stopped"
    OPEN = "open"
    REBUILDING = "rebuilding"


class ReceiptStatus(StrEnum):
    """How a payment is reported (EVIDENCE section 2)."""

    SETTLED = "settled"
    FAILED = "failed"
    UNRESOLVED = "unresolved"


RECEIPT_STATUS: Final[Mapping[ItemState, ReceiptStatus]] = {
    ItemState.LOADED: ReceiptStatus.UNRESOLVED,
    ItemState.REFUSED: ReceiptStatus.FAILED,
    ItemState.RESERVED: ReceiptStatus.UNRESOLVED,
    ItemState.SENT: ReceiptStatus.UNRESOLVED,
    ItemState.SETTLED: ReceiptStatus.SETTLED,
    ItemState.FAILED: ReceiptStatus.FAILED,
    ItemState.UNCLEAR: ReceiptStatus.UNRESOLVED,
    ItemState.CONFLICT: ReceiptStatus.UNRESOLVED,
}


class Reason(StrEnum):
    """Why an item is not settled: stable codes, without names or addresses."""

    SANCTIONED = "sanctioned"
    BLACKLISTED = "blacklisted by the token"
    OVER_CAP = "over the cap of the policy"
    REVERTED = "reverted"
    NOT_FINAL = "not final yet"
    NOT_SENT = "not sent"
    UNCLEAR_OUTCOME = "outcome unclear"
    OTHER_PAYMENT = "key already holds another payment"
    REPLACED = "replaced by a correction"


BUSINESS_REASONS: Final = frozenset(
    {Reason.SANCTIONED, Reason.BLACKLISTED, Reason.OVER_CAP, Reason.REPLACED}
)
"""Reasons that are the payee's or the policy's: reported, but never a technical failure."""
