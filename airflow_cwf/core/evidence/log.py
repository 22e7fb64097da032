"""The log of one submitter: an RFC 6962 tree over the records, in the order of their positions.

One log per (chain, contract, submitter). Its leaves are `{"type":"cwf-log/1","record":cid}`; the
contract holds size and root of its head, and it only ever grows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.canonical import LEAF_PREFIX
from airflow_cwf.core.evidence.cid import Cid
from airflow_cwf.core.evidence.merkle import (
    consistency_proof,
    inclusion_path,
    tree_root,
    verify_consistency,
    verify_growth,
    verify_inclusion,
)
from airflow_cwf.core.hashes import sha3_256

_LEAF: Final = b'{"record":"%s","type":"cwf-log/1"}'
"""Canonical as it stands: sorted names, and a CID's text has nothing to escape. A log is hashed
whole whenever it grows, and this takes half the time that encoding each leaf takes."""


@dataclass(frozen=True, slots=True)
class LogGrowth:
    """One append: the head before, the head after, and the proof that nothing was rewritten."""

    old_size: int
    old_root: bytes
    """32 bytes; `EMPTY_ROOT` for an old size of 0."""
    size: int
    root: bytes
    consistency: tuple[bytes, ...]
    """RFC 6962 consistency proof; empty for an old size of 0."""


def log_leaf(record: Cid) -> bytes:
    """Return the leaf hash of one record, 32 bytes."""
    return sha3_256(LEAF_PREFIX + _LEAF % str(record).encode("ascii"))


def log_leaves(records: Iterable[Cid]) -> list[bytes]:
    """Return the leaf hashes of records in the order of their positions."""
    return [log_leaf(record) for record in records]


def grow(leaves: Sequence[bytes], *, old_size: int) -> LogGrowth:
    """Return the append that leads from the first `old_size` leaves to all of them.

    Args:
        leaves: leaf hashes of the whole log, the new ones at the end.
        old_size: size of the head that the contract holds.

    Raises:
        VerificationError: check 11; the log has fewer leaves than that.
    """
    consistency = tuple(consistency_proof(leaves, old_size))
    return LogGrowth(
        old_size=old_size,
        old_root=tree_root(leaves[:old_size]),
        size=len(leaves),
        root=tree_root(leaves),
        consistency=consistency,
    )


def log_path(leaves: Sequence[bytes], position: int) -> list[bytes]:
    """Return the inclusion path of the record at `position`, leaf to root.

    Raises:
        VerificationError: check 10; the log has no such position.
    """
    return inclusion_path(leaves, position)


def verify_entry(
    record: Cid, *, position: int, path: Sequence[bytes], growth: LogGrowth, check: int = 11
) -> None:
    """Verify that `record` was added at `position` by this append and that the log only grew.

    That (size, root) is a head of the contract is another question (check 12).

    Raises:
        VerificationError: the position lies outside the append, the path does not lead to the
            root, or the old head is not a beginning of the new.
    """
    if not growth.old_size <= position < growth.size:
        raise VerificationError("The position lies outside what was appended.", check=check)
    verify_inclusion(
        log_leaf(record),
        index=position,
        size=growth.size,
        path=path,
        root=growth.root,
        check=check,
    )
    verify_only_grew(growth, check=check)


def verify_only_grew(growth: LogGrowth, *, check: int = 11) -> None:
    """Verify the consistency of the two heads.

    Raises:
        VerificationError: the old head is not a beginning of the new.
    """
    verify_consistency(
        growth.consistency,
        old_size=growth.old_size,
        old_root=growth.old_root,
        size=growth.size,
        root=growth.root,
        check=check,
    )


def verify_appended(records: Sequence[Cid], *, growth: LogGrowth, check: int = 11) -> None:
    """Verify that this append added exactly `records`, in this order.

    Raises:
        VerificationError: others, more or fewer were added, or the log did not only grow.
    """
    if growth.size - growth.old_size != len(records):
        raise VerificationError("The append adds another number of records.", check=check)
    verify_growth(
        log_leaves(records),
        proof=growth.consistency,
        old_size=growth.old_size,
        old_root=growth.old_root,
        root=growth.root,
        check=check,
    )
