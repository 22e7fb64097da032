"""Verify the evidence of a run: thirteen numbered checks, one line each.

Checks run in order and stop at the first false one; an unknown one does not stop those that need
nothing from it. A check that was not made is `not checked`, never `held`. Nothing is printed of
names, payees, amounts or texts in the document: a metadata is private.

Checks 1 to 8 show a consistent document that anyone could have made. Who made it needs 9 or 12;
that it is true needs 13. A record in state `recorded` has no proof, signature or anchor: 2, 4 to 9,
11 and 12 are `not checked` for it, because they were not asked of it (ADR 0004).
"""

from collections.abc import Mapping
from typing import Final, cast

from airflow_cwf.actions.verify_anchor import Append, check_anchor
from airflow_cwf.actions.verify_claims import check_claims
from airflow_cwf.actions.verify_log import check_entry, check_since, find_in_batches
from airflow_cwf.actions.verify_money import check_money, names_money
from airflow_cwf.actions.verify_record import check_record, judge, lacks_signature
from airflow_cwf.actions.verify_report import (
    CHECKS,
    Finding,
    Findings,
    Line,
    State,
    UnknownError,
    VerificationReport,
    lines_of,
)
from airflow_cwf.actions.verify_subject import Subject, Terms, read_subject
from airflow_cwf.actions.verify_totals import explain_totals
from airflow_cwf.core.anchors import Head
from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.anchor_entry import log_of
from airflow_cwf.core.evidence.cid import Cid
from airflow_cwf.core.evidence.receipt_file import verify_receipt

__all__ = ["CHECKS", "Line", "State", "Terms", "VerificationReport", "verify"]

_OFFLINE: Final = (State.NOT_CHECKED, "left out (--offline)")
_PLAIN: Final = Terms()


async def verify(
    target: bytes, terms: Terms = _PLAIN, *, cid: Cid | None = None
) -> VerificationReport:
    """Make every check of one record that can be made.

    Args:
        target: bytes of a record, a metadata, a receipt file or a record's CAR; hostile until
            proved otherwise.
        terms: what the verifier brings along and accepts.
        cid: the CID under which the bytes were asked for.

    Returns:
        A report; malformed or false evidence is a line of it, never an exception.
    """
    try:
        subject = read_subject(target, terms, asked=cid)
    except VerificationError as error:
        return unreadable(error)
    findings = check_record(subject, terms)
    await _check_surroundings(subject, terms, findings)
    return VerificationReport(
        lines=lines_of(findings),
        records=(subject.name,),
        proved=subject.proved,
        unsigned=lacks_signature(subject, terms),
        notes=explain_totals(subject, terms.natives),
    )


def unreadable(error: VerificationError) -> VerificationReport:
    """Return the report on bytes of which no record could be read."""
    findings: Findings = {error.check: (State.FALSE, str(error))}
    if error.check != 1:
        findings[1] = State.NOT_CHECKED, "not reached: other bytes than those named"
    return VerificationReport(lines=lines_of(findings))


async def _check_surroundings(subject: Subject, terms: Terms, findings: Findings) -> None:
    """Add checks 10 to 13, up to the first false one."""
    if any(state is State.FALSE for state, _ in findings.values()):
        return
    findings[10] = judge(lambda: _claims(subject))
    if findings[10][0] is State.FALSE:
        return
    findings[11] = judge(lambda: _log(subject, terms))
    if findings[11][0] is State.FALSE:
        return
    for number, check in ((12, _anchor), (13, _money)):
        try:
            findings[number] = await check(subject, terms)
        except VerificationError as error:
            findings[number] = State.FALSE, str(error)
            return
        except UnknownError as error:
            findings[number] = State.UNKNOWN, str(error)


def _claims(subject: Subject) -> Finding:
    steps = cast("list[Mapping[str, object]]", subject.document["steps"])
    if subject.receipt is not None:
        verify_receipt(subject.receipt, steps)
    if subject.outputs is not None or subject.files:
        text = check_claims(subject.document, outputs=subject.outputs, files=subject.files)
        return State.HELD, text
    if subject.receipt is not None:
        return State.HELD, f"the receipt stands under step {subject.receipt.step} of the record"
    return State.NOT_CHECKED, "no outputs or receipts given: a record holds commitments only"


def _log(subject: Subject, terms: Terms) -> Finding:
    log = log_of(subject.document["anchor_to"])
    if not subject.proved or log is None:
        return State.NOT_CHECKED, "not in a log yet" if log else "`anchor_to` is null: in no log"
    found = find_in_batches(subject.cid, subject.batches)
    if subject.anchor is not None:
        growth = subject.anchor.growth
        text = check_entry(subject.cid, subject.anchor, document=subject.document)
    elif found is not None:
        batch, position = found
        growth = batch.growth
        text = f"position {position} of {growth.size}, by the batch given; the log only grew"
        if batch.log != log:
            raise VerificationError("The batch is of another log than `anchor_to`.", check=11)
    elif terms.since is not None:
        raise UnknownError("No anchor is given, so nothing connects the record and --since.")
    else:
        return State.NOT_CHECKED, "no anchor given: a metadata or a receipt file has it"
    if terms.since is not None:
        since = check_since(growth, since=terms.since, log=log, batches=subject.batches)
        text = f"{text}; {since}"
    return State.HELD, text


async def _anchor(subject: Subject, terms: Terms) -> Finding:
    entry = subject.anchor
    if entry is None:
        return State.NOT_CHECKED, "no anchor given" if subject.proved else "not anchored yet"
    if terms.offline:
        return _OFFLINE
    growth = entry.growth
    append = Append(
        log=entry.log,
        tx_hash=entry.tx_hash,
        old=Head(growth.old_size, growth.old_root),
        new=Head(growth.size, growth.root),
        batch=entry.batch.digest,
        block=entry.block,
    )
    return State.HELD, await check_anchor(append, terms.chains)


async def _money(subject: Subject, terms: Terms) -> Finding:
    if not subject.files and subject.receipt is None:
        return State.NOT_CHECKED, "no receipts given (--receipts)"
    receipts = [receipt for receipt in subject.receipts if names_money(receipt)]
    if not receipts:
        return State.NOT_CHECKED, "the receipts given name no transaction"
    if terms.offline:
        return _OFFLINE
    return State.HELD, await check_money(receipts, terms.chains)
