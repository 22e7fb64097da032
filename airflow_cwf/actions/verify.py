"""Verify a record or a metadata: thirteen numbered checks, one line each.

Checks run in order and stop at the first false one; an unknown one does not stop those that need
nothing from it. A check that was not made is `not checked`, never `held`. Nothing is printed of
names, addresses, amounts or texts in the document: a metadata is private.

What this version checks: 1, 3, 10 and 13. Evidence is made in state `recorded`, without a proof,
so 2, 4 to 9, 11 and 12 have nothing to look at and are `not checked`; they do not make the answer
unknown, because they were not asked of this record. A record that does carry a proof makes them
`unknown`: this version cannot read proofs and must not seem to have done so (ADR 0004).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, cast

from airflow_cwf.actions.verify_claims import check_claims
from airflow_cwf.actions.verify_money import MoneyUnknownError, check_money, names_money
from airflow_cwf.actions.verify_steps import check_steps
from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.receipts import ReceiptsFile, parse_receipts_file
from airflow_cwf.core.evidence.record import (
    core_digest,
    core_of,
    is_metadata,
    is_proved,
    outputs_of,
    parse_document,
)
from airflow_cwf.core.ports import ChainClient

CHECKS: Final[Mapping[int, str]] = {
    1: "form and canonical bytes",
    2: "CID and CAR",
    3: "steps, counts, workflow id",
    4: "commitments and outputs root",
    5: "verification key",
    6: "binding",
    7: "public signals",
    8: "proof",
    9: "signature",
    10: "outputs and receipts",
    11: "log",
    12: "anchor",
    13: "money on chain",
}

_NO_PROOF: Final = "no proof in this record yet"
_ABSENT: Final[Mapping[int, str]] = {
    2: "no CID in this record yet",
    **dict.fromkeys((4, 5, 6, 7, 8), _NO_PROOF),
    9: "no signature in this record yet",
    11: "not in a log yet",
    12: "not anchored yet",
}


class State(StrEnum):
    """What became of one check."""

    HELD = "held"
    FALSE = "false"
    UNKNOWN = "unknown"
    """It was asked for and cannot be known here: no node, no answer, not final."""
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Line:
    """One check of the report."""

    number: int
    name: str
    state: State
    text: str
    """What it proved, what differs and where, or why it was not made."""


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """All thirteen lines, and which document they speak of."""

    lines: tuple[Line, ...]
    workflow_id: str | None
    """None if the document could not be read."""
    core_digest: str | None
    proved: bool
    """Whether the record carries a proof. False: state `recorded`."""

    @property
    def exit_code(self) -> int:
        """0: all that was asked for held; 1: something is false; 2: something is unknown."""
        states = {line.state for line in self.lines}
        if State.FALSE in states:
            return 1
        return 2 if State.UNKNOWN in states else 0

    def to_json(self) -> dict[str, object]:
        """Return the report as plain data."""
        lines = [
            {
                "number": line.number,
                "name": line.name,
                "state": line.state.value,
                "text": line.text,
            }
            for line in self.lines
        ]
        return {
            "workflow_id": self.workflow_id,
            "core_digest": self.core_digest,
            "state": None if self.workflow_id is None else "proved" if self.proved else "recorded",
            "exit_code": self.exit_code,
            "checks": lines,
        }


@dataclass(frozen=True, slots=True)
class _Evidence:
    document: Mapping[str, object]
    outputs: Sequence[Mapping[str, object]] | None
    """None for a bare record."""
    files: Sequence[ReceiptsFile]


_Findings = dict[int, tuple[State, str]]
_MISSING: Final = (State.NOT_CHECKED, "")


async def verify(
    target: bytes,
    *,
    receipts_files: Sequence[bytes] = (),
    chains: Mapping[str, ChainClient] | None = None,
    offline: bool = False,
) -> VerificationReport:
    """Make every check that can be made.

    Args:
        target: bytes of a record or a metadata; hostile until proved otherwise.
        receipts_files: bytes of `cwf-receipts/1` files of this workflow.
        chains: CAIP-2 to client, for check 13. Clients are the verifier's own, never taken from
            the document.
        offline: leave check 13 out.

    Returns:
        A report; malformed or false evidence is a line of it, never an exception.
    """
    try:
        evidence = _read(target, receipts_files)
    except VerificationError as error:
        return _report({1: (State.FALSE, str(error))}, None)
    findings: _Findings = {1: (State.HELD, _what_was_read(evidence))}
    findings.update(_left_out(evidence.document))
    for number, check in ((3, _steps), (10, _claims)):
        findings[number] = _judge(check, evidence)
        if findings[number][0] is State.FALSE:
            return _report(findings, evidence)
    findings[13] = await _money(evidence, chains or {}, offline=offline)
    return _report(findings, evidence)


def _judge(
    check: Callable[[_Evidence], tuple[State, str]], evidence: _Evidence
) -> tuple[State, str]:
    try:
        return check(evidence)
    except VerificationError as error:
        return State.FALSE, str(error)


def _read(target: bytes, receipts_files: Sequence[bytes]) -> _Evidence:
    document = parse_document(target)
    outputs = outputs_of(document) if is_metadata(document) else None
    return _Evidence(document, outputs, [parse_receipts_file(data) for data in receipts_files])


def _steps(evidence: _Evidence) -> tuple[State, str]:
    return State.HELD, check_steps(evidence.document)


def _claims(evidence: _Evidence) -> tuple[State, str]:
    if evidence.outputs is None and not evidence.files:
        return State.NOT_CHECKED, "no outputs or receipts given: a record holds commitments only"
    text = check_claims(evidence.document, outputs=evidence.outputs, files=evidence.files)
    return State.HELD, text


async def _money(
    evidence: _Evidence, chains: Mapping[str, ChainClient], *, offline: bool
) -> tuple[State, str]:
    if not evidence.files:
        return State.NOT_CHECKED, "no receipts given (--receipts)"
    receipts = [item for file in evidence.files for item in file.receipts if names_money(item)]
    if not receipts:
        return State.NOT_CHECKED, "the receipts given name no transaction"
    if offline:
        return State.NOT_CHECKED, "left out (--offline)"
    try:
        return State.HELD, await check_money(receipts, chains)
    except VerificationError as error:
        return State.FALSE, str(error)
    except MoneyUnknownError as error:
        return State.UNKNOWN, str(error)


def _what_was_read(evidence: _Evidence) -> str:
    kind = "record" if evidence.outputs is None else "metadata"
    files = f", {len(evidence.files)} receipts file(s)" if evidence.files else ""
    return f"{kind}{files}: bounded, strict JSON, canonical bytes, known form"


def _left_out(document: Mapping[str, object]) -> _Findings:
    if not is_proved(document):
        return {number: (State.NOT_CHECKED, why) for number, why in _ABSENT.items()}
    why = "this version cannot check it; use one that reads proofs"
    return dict.fromkeys(_ABSENT, (State.UNKNOWN, why))


def _report(findings: _Findings, evidence: _Evidence | None) -> VerificationReport:
    wrong = next((n for n in CHECKS if findings.get(n, _MISSING)[0] is State.FALSE), None)
    after = _MISSING if wrong is None else (State.NOT_CHECKED, f"check {wrong} is false")
    lines = tuple(
        Line(n, name, *(findings[n] if wrong is None or n <= wrong else after))
        for n, name in CHECKS.items()
    )
    if evidence is None:
        return VerificationReport(lines, None, None, proved=False)
    document = evidence.document
    return VerificationReport(
        lines,
        workflow_id=cast("str", document["workflow_id"]),
        core_digest=f"0x{core_digest(core_of(document)).hex()}",
        proved=is_proved(document),
    )
