"""Checks 2 and 9: which bytes these are, and who says so."""

from collections.abc import Mapping
from typing import cast

from airflow_cwf.actions.verify_report import UnknownError
from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.anchor_entry import log_of
from airflow_cwf.core.evidence.binding import verify_signature
from airflow_cwf.core.evidence.cid import Cid
from airflow_cwf.core.evidence.record import core_digest, core_of, is_metadata, is_proved
from airflow_cwf.core.evidence.trust import Trust


def check_name(cid: Cid, *, asked: Cid | None, document: Mapping[str, object]) -> str | None:
    """Check 2: the record's bytes are those that a CID names.

    Args:
        cid: of the record's canonical bytes.
        asked: the CID that was asked for, or the root of the CAR.
        document: record or metadata.

    Returns:
        What was compared; None if there is no name to compare with.

    Raises:
        VerificationError: check 2.
    """
    if asked is not None and asked != cid:
        raise VerificationError("The record's bytes are not those that the CID names.", check=2)
    claims = is_metadata(document) and is_proved(document)
    if claims and document["cid"] != str(cid):
        raise VerificationError("`cid` is not the CID of the record in this metadata.", check=2)
    if asked is None and not claims:
        return None
    return f"the record's bytes are {cid}"


def check_signer(document: Mapping[str, object], *, trust: Trust) -> str:
    """Check 9: the submitter signed this core, and the verifier believes submitter and contract.

    Args:
        document: a proved record with `anchor_to`.
        trust: the verifier's own.

    Raises:
        VerificationError: check 9; somebody else signed.
        UnknownError: contract or submitter is not listed.
    """
    log = log_of(document["anchor_to"])
    if log is None:  # pragma: no cover - the caller asks only for a signed record
        raise VerificationError("There is no submitter who could have signed.", check=9)
    verify_signature(
        core_digest(core_of(document)),
        signature=cast("str", document["signature"]),
        submitter=log.submitter,
    )
    if f"{log.chain}:{log.contract}" not in trust.contracts:
        raise UnknownError("The submitter signed; the contract is not listed in the trust file.")
    if f"{log.chain}:{log.submitter}" not in trust.submitters:
        raise UnknownError("The submitter signed, and is not listed in the trust file.")
    return f"signed by {log.submitter}, a trusted submitter to a trusted contract"
