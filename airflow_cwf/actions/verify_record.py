"""Checks 2 to 9 of one record: what its own bytes and the trust file tell, without a network."""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from airflow_cwf.actions.verify_origin import check_name, check_signer
from airflow_cwf.actions.verify_proof import (
    check_binding,
    check_encoding,
    check_keys,
    check_proofs,
    check_roots,
    check_signals,
)
from airflow_cwf.actions.verify_report import Finding, Findings, State, UnknownError
from airflow_cwf.actions.verify_steps import check_steps
from airflow_cwf.actions.verify_subject import Subject, Terms
from airflow_cwf.core.errors import VerificationError

NO_PROOF: Final = "no proof in this record yet"
_NOBODY_SIGNED: Final = "`anchor_to` is null, so nobody signed"

Check: TypeAlias = Callable[[Subject, Terms, Mapping[int, Finding]], Finding]


def check_record(subject: Subject, terms: Terms) -> Findings:
    """Return the findings of checks 1 to 9, up to the first false one.

    Args:
        subject: read before, so check 1 holds.
        terms: the verifier's own.
    """
    findings: Findings = {1: (State.HELD, _what_was_read(subject))}
    for number, check in _CHECKS.items():
        findings[number] = judge(lambda check=check: check(subject, terms, findings))  # type: ignore[misc]
        if findings[number][0] is State.FALSE:
            break
    return findings


def judge(check: Callable[[], Finding]) -> Finding:
    """Return what a check found; false and unknown are findings, not errors."""
    try:
        return check()
    except VerificationError as error:
        return State.FALSE, str(error)
    except UnknownError as error:
        return State.UNKNOWN, str(error)


def lacks_signature(subject: Subject, terms: Terms) -> bool:
    """Tell whether a proved record is unsigned although the verifier did not allow that."""
    return subject.proved and subject.document["anchor_to"] is None and not terms.unsigned


def _name(subject: Subject, _terms: Terms, _findings: Mapping[int, Finding]) -> Finding:
    text = check_name(subject.cid, asked=subject.asked, document=subject.document)
    if text is not None:
        return State.HELD, text
    if not subject.proved:
        return State.NOT_CHECKED, "no CID in this record yet"
    return State.NOT_CHECKED, f"no CID to compare with; these bytes are {subject.cid}"


def _steps(subject: Subject, _terms: Terms, _findings: Mapping[int, Finding]) -> Finding:
    return State.HELD, check_steps(subject.document)


def _of_proof(check: Callable[[Mapping[str, object]], str]) -> Check:
    def made(subject: Subject, _terms: Terms, _findings: Mapping[int, Finding]) -> Finding:
        if not subject.proved:
            return State.NOT_CHECKED, NO_PROOF
        return State.HELD, check(subject.document)

    return made


def _keys(subject: Subject, terms: Terms, _findings: Mapping[int, Finding]) -> Finding:
    if not subject.proved:
        return State.NOT_CHECKED, NO_PROOF
    return State.HELD, check_keys(subject.document, trust=terms.trust, dev=terms.dev)


def _proofs(subject: Subject, terms: Terms, findings: Mapping[int, Finding]) -> Finding:
    if not subject.proved:
        return State.NOT_CHECKED, NO_PROOF
    if findings[5][0] is not State.HELD:
        check_encoding(subject.document)
        return State.NOT_CHECKED, "needs the key of check 5; the proof is in its form"
    return State.HELD, check_proofs(subject.document, trust=terms.trust)


def _signer(subject: Subject, terms: Terms, _findings: Mapping[int, Finding]) -> Finding:
    if not subject.proved:
        return State.NOT_CHECKED, "no signature in this record yet"
    if subject.document["anchor_to"] is None:
        hint = "" if terms.unsigned else " (--unsigned accepts that)"
        return State.NOT_CHECKED, _NOBODY_SIGNED + hint
    return State.HELD, check_signer(subject.document, trust=terms.trust)


_CHECKS: Final[Mapping[int, Check]] = {
    2: _name,
    3: _steps,
    4: _of_proof(check_roots),
    5: _keys,
    6: _of_proof(check_binding),
    7: _of_proof(check_signals),
    8: _proofs,
    9: _signer,
}


def _what_was_read(subject: Subject) -> str:
    given = [
        f"{len(files)} {what} file(s)"
        for files, what in ((subject.files, "receipts"), (subject.batches, "batch"))
        if files
    ]
    kinds = ", ".join([subject.kind, *given])
    return f"{kinds}: bounded, strict JSON, canonical bytes, known form"
