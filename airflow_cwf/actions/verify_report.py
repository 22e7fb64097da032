"""What a verification says: thirteen numbered lines, an exit code, and what it was about."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

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


class State(StrEnum):
    """What became of one check."""

    HELD = "held"
    FALSE = "false"
    UNKNOWN = "unknown"
    """It was asked for and cannot be known here: no node, no answer, not final, not trusted."""
    NOT_CHECKED = "not checked"


Finding: TypeAlias = tuple[State, str]
"""State, and what was proved, what differs and where, or why it was not made."""
Findings: TypeAlias = dict[int, Finding]


class UnknownError(Exception):
    """A check was asked for and cannot be made here. One sentence, without private values."""


@dataclass(frozen=True, slots=True)
class Line:
    """One check of the report."""

    number: int
    name: str
    state: State
    text: str
    """What it proved, what differs and where, or why it was not made."""


@dataclass(frozen=True, slots=True)
class RecordName:
    """Which record a report speaks of."""

    workflow_id: str
    core_digest: str
    cid: str
    """Of the record's bytes; another proof of the same core gives another."""


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """All thirteen lines, and which documents they speak of."""

    lines: tuple[Line, ...]
    records: tuple[RecordName, ...] = ()
    """The records that were read: one, or those of a batch; none if nothing could be read."""
    proved: bool = False
    """Whether the record carries a proof. False: state `recorded`."""
    unsigned: bool = False
    """Nobody signed the record, and the verifier did not say that this is fine."""
    notes: tuple[str, ...] = ()
    """Sentences on what the figures mean."""

    @property
    def workflow_id(self) -> str | None:
        """The one record's; None if there is none or a batch of several."""
        return self.records[0].workflow_id if len(self.records) == 1 else None

    @property
    def core_digest(self) -> str | None:
        """The one record's; None if there is none or a batch of several."""
        return self.records[0].core_digest if len(self.records) == 1 else None

    @property
    def exit_code(self) -> int:
        """0: all that was asked for held; 1: something is false; 2: something is unknown."""
        states = {line.state for line in self.lines}
        if State.FALSE in states:
            return 1
        return 2 if State.UNKNOWN in states or self.unsigned else 0

    def to_json(self) -> dict[str, object]:
        """Return the report as plain data."""
        lines = [
            {"number": line.number, "name": line.name, "state": line.state.value, "text": line.text}
            for line in self.lines
        ]
        names = [
            {"workflow_id": name.workflow_id, "core_digest": name.core_digest, "cid": name.cid}
            for name in self.records
        ]
        return {
            "workflow_id": self.workflow_id,
            "core_digest": self.core_digest,
            "state": ("proved" if self.proved else "recorded") if self.records else None,
            "exit_code": self.exit_code,
            "checks": lines,
            "records": names,
            "notes": list(self.notes),
        }


def first_false(findings: Mapping[int, Finding]) -> int | None:
    """Return the number of the first false check."""
    return next((n for n in CHECKS if n in findings and findings[n][0] is State.FALSE), None)


def lines_of(findings: Mapping[int, Finding]) -> tuple[Line, ...]:
    """Return all thirteen lines; what stands behind a false one was not checked."""
    wrong = first_false(findings)
    after = (State.NOT_CHECKED, "" if wrong is None else f"check {wrong} is false")
    return tuple(
        Line(n, name, *(findings.get(n, after) if wrong is None or n <= wrong else after))
        for n, name in CHECKS.items()
    )


def combined(findings: Iterable[Finding]) -> Finding:
    """Return one finding for several of one check: the worst, in its own words."""
    order = (State.FALSE, State.UNKNOWN, State.NOT_CHECKED, State.HELD)
    return min(findings, key=lambda finding: order.index(finding[0]))
