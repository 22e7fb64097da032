"""The journal's mirror of a submitter's log: which records wait, which batches were composed.

The chain's head is the truth about what is anchored (EVIDENCE section 8); this is what the
submitter needs to go on from any point where it died.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from airflow_cwf.core.evidence.batch_document import LogId


class RecordState(StrEnum):
    """How far a run's record has come."""

    RECORDED = "recorded"
    """Stored; it may carry its proof already, which the file itself tells."""
    PUBLISHED = "published"
    """Proved, stored under its CID, and waiting for its position in the log."""
    ANCHORED = "anchored"
    """In a batch whose append is final."""


def log_name(log: LogId) -> str:
    """Return the journal's name of a log: `<chain>/<contract>/<submitter>`."""
    return f"{log.chain}/{log.contract}/{log.submitter}"


@dataclass(frozen=True, slots=True)
class WaitingRecord:
    """A published record that has no position in its log yet, or has one."""

    workflow_id: str
    """64 hex digits."""
    run: str
    cid: str
    position: int | None


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A composed batch; it is resumed, never recomposed."""

    log: str
    old_size: int
    size: int
    document: bytes
    """Canonical bytes of the `cwf-batch/1` object."""
    tx_hash: str | None
    """The append that is final, once it is."""
    block: int | None


class AnchorBook(Protocol):
    """Records on their way into a log."""

    def publish(self, workflow_id: str, *, cid: str, log: str | None) -> str:
        """Store a proved record's CID, queue it for its log, in one commit; return what counts.

        Two workers that prove one run make two proofs, hence two CIDs: the first one counts.

        Raises:
            JournalError: there is no such record.
        """

    def withdraw(self, workflow_id: str, *, core_digest: str) -> bool:
        """Take a record that has no position out of its queue: it is made anew, with this core.

        Returns whether it was: one with a position stays what it is.
        """

    def leaves(self, log: str) -> list[WaitingRecord]:
        """Return the records that have a position, in its order."""

    def waiting(self, log: str, *, limit: int) -> list[WaitingRecord]:
        """Return published records without a position, oldest first."""

    def compose(self, batch: BatchRow, records: Sequence[WaitingRecord]) -> bool:
        """Store a batch and give its records the positions from `old_size` on, in one commit.

        Returns whether it did: if another worker was first, in whole or in part, nothing is
        stored and the caller looks again.
        """

    def open_batch(self, log: str) -> BatchRow | None:
        """Return the oldest composed batch that is not final yet."""

    def close_batch(self, batch: BatchRow, *, tx_hash: str, block: int) -> None:
        """Note the final append of a batch; its records are anchored."""

    def batch_of(self, workflow_id: str) -> BatchRow | None:
        """Return the batch that holds a record."""
