"""Verify a batch: every record that one append added to a submitter's log.

Records are taken one by one as they come, so a batch of a thousand needs no more memory than one.
A line speaks of all records: it is held if it held for each, and names the first that differs.
"""

from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from airflow_cwf.actions.verify import unreadable
from airflow_cwf.actions.verify_anchor import Append, check_anchor
from airflow_cwf.actions.verify_log import check_since
from airflow_cwf.actions.verify_record import check_record
from airflow_cwf.actions.verify_report import (
    Finding,
    Findings,
    RecordName,
    State,
    UnknownError,
    VerificationReport,
    combined,
    first_false,
    lines_of,
)
from airflow_cwf.actions.verify_subject import Subject, Terms, read_subject
from airflow_cwf.core.anchors import Head
from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.anchor_entry import log_of
from airflow_cwf.core.evidence.batch_car import BATCH_FILE, BatchFile, record_file, require_files
from airflow_cwf.core.evidence.batch_document import Batch, LogId, parse_batch
from airflow_cwf.core.evidence.cid import Cid, raw_cid
from airflow_cwf.core.evidence.unixfs import DirectoryEntry

_OWN_FILES: Terms = Terms()


@dataclass(frozen=True, slots=True)
class BatchSource:
    """A batch and where its records come from."""

    files: AsyncIterable[BatchFile]
    """Each as its CID names it; an error in between is one of check 1 or 2."""
    root: Cid | None = None
    """The directory; None if only `batch.json` is known."""
    entries: Sequence[DirectoryEntry] = ()
    batch: Batch | None = None
    """Known beforehand; else one of the files is `batch.json`."""
    complete: bool = True
    """False: the records could not be had."""


@dataclass(slots=True)
class _Tally:
    """What was found so far, over all records."""

    findings: dict[int, list[Finding]] = field(default_factory=dict)
    names: list[RecordName] = field(default_factory=list)
    logs: set[LogId | None] = field(default_factory=set)
    cids: set[Cid] = field(default_factory=set)

    def add(self, subject: Subject, findings: Mapping[int, Finding]) -> None:
        for number, finding in findings.items():
            self.findings.setdefault(number, []).append(finding)
        self.names.append(subject.name)
        self.logs.add(log_of(subject.document["anchor_to"]))
        self.cids.add(subject.cid)

    def combined(self) -> Findings:
        """Return one finding per check; held ones speak of all records."""
        count = len(self.names)
        found: Findings = {}
        for number, each in self.findings.items():
            state, text = combined(each)
            held = state is State.HELD and count > 1
            found[number] = state, f"held for each of {count} records" if held else text
        return found


async def verify_batch(
    source: BatchSource, terms: Terms, *, tx_hash: str | None = None
) -> VerificationReport:
    """Make checks 1 to 9 of every record, and 11 and 12 of the append.

    Args:
        source: the batch.
        terms: what the verifier brings along; receipts and outputs have no part here.
        tx_hash: the append's transaction, or None: then nothing on a chain is opened.

    Returns:
        A report; malformed or false evidence is a line of it, never an exception.
    """
    tally = _Tally()
    try:
        batches = [parse_batch(data) for data in terms.batches]
        batch = await _read(source, terms, tally)
        if batch is None:
            return _report(tally)
        _compare(batch, source, tally)
    except VerificationError as error:
        return replace(unreadable(error), records=tuple(tally.names))
    findings = tally.combined() if source.complete else _without_records(batch)
    await _check_append(batch, source, terms, findings, batches, tx_hash)
    return VerificationReport(
        lines=lines_of(findings), records=tuple(tally.names), proved=source.complete
    )


async def _read(source: BatchSource, terms: Terms, tally: _Tally) -> Batch | None:
    """Check the records one by one; return the batch, or None at the first that is false."""
    batch = source.batch
    own = replace(terms, receipts_files=(), batches=())
    async for file in source.files:
        if file.name == BATCH_FILE:
            batch = parse_batch(file.data)
            continue
        subject = _subject(file, own)
        findings = check_record(subject, own)
        tally.add(subject, findings)
        if (wrong := first_false(findings)) is not None:
            state, text = findings[wrong]
            where = f"Record {subject.name.workflow_id}: {text}"
            tally.findings[wrong] = [(state, where)]
            return None
    if batch is None:
        raise VerificationError("The directory holds no batch.json.", check=1)
    return batch


def _subject(file: BatchFile, terms: Terms) -> Subject:
    subject = read_subject(file.data, terms, asked=raw_cid(file.data))
    if subject.kind != "record":
        raise VerificationError("A file of the batch is not a record.", check=1)
    if not subject.proved:
        raise VerificationError("A record of the batch carries no proof.", check=1)
    if file.name and file.name != record_file(subject.name.workflow_id):
        raise VerificationError("A record's file is not named after its workflow id.", check=2)
    return subject


def _compare(batch: Batch, source: BatchSource, tally: _Tally) -> None:
    """Check that the files are the batch's, and that all its records belong into its log."""
    if source.root is not None:
        require_files(source.entries, batch=batch)
    if source.complete and tally.cids != set(batch.records):
        raise VerificationError("The records are not those of the batch.", check=2)
    if not tally.logs <= {batch.log}:
        message = "A record of the batch belongs into another log (`anchor_to`)."
        raise VerificationError(message, check=11)


def _without_records(batch: Batch) -> Findings:
    text = f"the {len(batch.records)} record(s) are not at hand: give the batch CAR, or --ipfs"
    return {
        1: (State.HELD, "batch: bounded, strict JSON, canonical bytes, known form"),
        **dict.fromkeys(range(2, 10), (State.UNKNOWN, text)),
    }


async def _check_append(
    batch: Batch,
    source: BatchSource,
    terms: Terms,
    findings: Findings,
    batches: Iterable[Batch],
    tx_hash: str | None,
) -> None:
    findings[10] = findings[13] = State.NOT_CHECKED, "a batch holds no outputs and no receipts"
    growth = batch.growth
    text = f"positions {growth.old_size} to {growth.size - 1} of {growth.size}; the log only grew"
    findings[11] = State.HELD, text
    try:
        if terms.since is not None:
            since = check_since(growth, since=terms.since, log=batch.log, batches=[*batches])
            findings[11] = State.HELD, f"{text}; {since}"
    except VerificationError as error:
        findings[11] = State.FALSE, str(error)
        return
    except UnknownError as error:
        findings[11] = State.UNKNOWN, str(error)
    findings[12] = await _anchored(batch, source, terms, tx_hash)


async def _anchored(
    batch: Batch, source: BatchSource, terms: Terms, tx_hash: str | None
) -> Finding:
    if tx_hash is None:
        return State.NOT_CHECKED, "a batch does not name its transaction; verify that one instead"
    if terms.offline:
        return State.NOT_CHECKED, "left out (--offline)"
    growth = batch.growth
    append = Append(
        log=batch.log,
        tx_hash=tx_hash,
        old=Head(growth.old_size, growth.old_root),
        new=Head(growth.size, growth.root),
        batch=None if source.root is None else source.root.digest,
    )
    try:
        return State.HELD, await check_anchor(append, terms.chains)
    except VerificationError as error:
        return State.FALSE, str(error)
    except UnknownError as error:
        return State.UNKNOWN, str(error)


def _report(tally: _Tally) -> VerificationReport:
    return VerificationReport(
        lines=lines_of(tally.combined()), records=tuple(tally.names), proved=True
    )
