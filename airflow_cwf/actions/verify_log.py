"""Check 11: the record stands in its submitter's log, and the log only ever grew."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from airflow_cwf.actions.verify_report import UnknownError
from airflow_cwf.core.anchors import NO_HEAD, Head
from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.anchor_entry import AnchorEntry, log_of
from airflow_cwf.core.evidence.batch_document import Batch, LogId
from airflow_cwf.core.evidence.cid import Cid
from airflow_cwf.core.evidence.log import LogGrowth, verify_entry

_REWRITTEN: Final = "The log has another root at the size of --since: it was rewritten."


def check_entry(cid: Cid, entry: AnchorEntry, *, document: Mapping[str, object]) -> str:
    """Check that the record was added at its place by the append that `anchor` tells of.

    That this append is on the chain is check 12.

    Raises:
        VerificationError: check 11.
    """
    if log_of(document["anchor_to"]) != entry.log:
        raise VerificationError("`anchor` tells of another log than `anchor_to`.", check=11)
    verify_entry(cid, position=entry.position, path=entry.path, growth=entry.growth)
    return f"position {entry.position} of {entry.growth.size}; the log only grew"


def find_in_batches(cid: Cid, batches: Iterable[Batch]) -> tuple[Batch, int] | None:
    """Return the batch that added a record and the record's position, None if none did."""
    for batch in batches:
        if cid in batch.records:
            return batch, batch.growth.old_size + batch.records.index(cid)
    return None


def check_since(growth: LogGrowth, *, since: Head, log: LogId, batches: Sequence[Batch]) -> str:
    """Check that a head seen before lies on the log's way to this append, or beyond it.

    Each batch shows that its new head continues its old one, so heads are walked from batch to
    batch in both directions.

    Args:
        growth: the append in question.
        since: the head that the verifier remembers.
        log: whose it is.
        batches: more appends; those of other logs are passed over.

    Raises:
        VerificationError: check 11; the log has another root at that size.
        UnknownError: batches between the two heads are missing.
    """
    if since == NO_HEAD:
        return "any log continues the empty one"
    known = _walked(growth, [batch.growth for batch in batches if batch.log == log])
    if since in known:
        return f"continues the head of size {since.size} that --since names"
    if any(head.size == since.size for head in known):
        raise VerificationError(_REWRITTEN, check=11)
    raise UnknownError(
        "The head of --since is not reached; give the batch files in between as further paths."
    )


def _walked(growth: LogGrowth, appends: Sequence[LogGrowth]) -> set[Head]:
    """Return all heads that are shown to lie on one line with those of `growth`."""
    first, last = _old(growth), _new(growth)
    heads = {first, last}
    before = {_new(append): append for append in appends}
    after = {_old(append): append for append in appends}
    while (earlier := before.get(first)) is not None:  # sizes fall strictly: this ends
        first = _old(earlier)
        heads.add(first)
    while (later := after.get(last)) is not None:
        last = _new(later)
        heads.add(last)
    return heads


def _old(growth: LogGrowth) -> Head:
    return Head(growth.old_size, growth.old_root)


def _new(growth: LogGrowth) -> Head:
    return Head(growth.size, growth.root)
