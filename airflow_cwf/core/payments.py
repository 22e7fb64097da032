"""Payments: which rows of a file may move money, and under which business keys.

Every row ends as a `Payment` or in `problems`; none disappears. Whenever it is not certain which
of several rows is meant, none of them pays.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from airflow_cwf.core.chains import Chain
from airflow_cwf.core.errors import InputError
from airflow_cwf.core.payment_rows import (
    MAX_REFERENCE_LENGTH,
    OPTIONAL_COLUMNS,
    REQUIRED_COLUMNS,
    TOKEN_OF_CURRENCY,
    Payment,
    RawRow,
    RowDefect,
    RowReader,
    is_hidden,
    normalize_reference,
    to_printable,
    trim_cells,
)

__all__ = [
    "MAX_REFERENCE_LENGTH",
    "OPTIONAL_COLUMNS",
    "REQUIRED_COLUMNS",
    "TOKEN_OF_CURRENCY",
    "Payment",
    "PaymentBook",
    "RawRow",
    "RowDefect",
    "RowProblem",
    "normalize_reference",
    "parse_payroll_id",
    "payment_key",
    "validate_rows",
]

_PAYROLL_ID: Final = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9._-]{1,64}")
_LINES_NAMED: Final = 10
"""How many lines a conflict names before it says `and n more`."""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why a row does not pay; `code` is stable, `reason` for people and without personal data."""

    line: int
    reference: str
    """The row's reference in printable characters; empty if it cannot be told."""
    code: str
    """The first, or gravest, of what stands against the row."""
    reason: str
    """All of it."""


@dataclass(frozen=True, slots=True)
class PaymentBook:
    """A file's rows, sorted into those that pay and problems, both in the order of lines."""

    payments: tuple[Payment, ...]
    problems: tuple[RowProblem, ...]
    rows: int
    """How many rows were read: each is exactly one payment or one problem."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """A row's claim to a business key."""

    line: int
    name: str
    identity: str
    """Rows with one identity claim the same key; empty: it cannot be told."""
    content: tuple[object, ...]
    """What makes two rows the same."""
    payment: Payment | None
    """None exactly if there are `defects`."""
    defects: tuple[RowDefect, ...]

    def problem(self, *defects: RowDefect) -> RowProblem:
        reason = "; ".join(defect.reason for defect in defects)
        return RowProblem(self.line, self.name, defects[0].code, reason)


def parse_payroll_id(text: str) -> str:
    """Return the name of a payroll run, such as `2026-q3`.

    Raises:
        InputError: it is not 1 to 64 of `A-Z a-z 0-9 . _ -` with a letter or digit among them, or
            it is `None` or `null`, which is how a template renders an absent parameter.
    """
    if not _PAYROLL_ID.fullmatch(text) or text.casefold() in {"none", "null"}:
        message = (
            f"{to_printable(text)!r} cannot name a payroll: use 1 to 64 letters, digits, dots, "
            "hyphens or underscores, such as 2026-q3. Nothing was loaded."
        )
        raise InputError(message)
    return text


def payment_key(payroll_id: str, reference: str) -> str:
    """Return the business key under which at most one transfer ever settles."""
    return f"payroll/{normalize_reference(payroll_id)}/{normalize_reference(reference)}"


def validate_rows(
    rows: Iterable[RawRow],
    *,
    chains: Mapping[str, Chain],
    token_of_currency: Mapping[str, str] = TOKEN_OF_CURRENCY,
) -> PaymentBook:
    """Sort rows into payments and problems.

    Of identical rows under one reference the first pays and the others are reported; of different
    rows under one reference none pays and all are reported, also if only one of them is readable.

    Args:
        rows: in the order of the file.
        chains: the allow-list by name.
        token_of_currency: currencies, in capitals, that stand for a token of another name.
    """
    reader = RowReader(chains, token_of_currency=token_of_currency)
    claims = [_claim(row, reader) for row in rows]
    groups: dict[str, list[_Claim]] = {}
    for claim in claims:
        # A row whose reference cannot be told stands alone under its line.
        groups.setdefault(claim.identity or f"\n{claim.line}", []).append(claim)
    settled = [outcome for group in groups.values() for outcome in _settle(group)]
    settled.sort(key=lambda outcome: outcome.line)
    return PaymentBook(
        payments=tuple(outcome for outcome in settled if isinstance(outcome, Payment)),
        problems=tuple(outcome for outcome in settled if isinstance(outcome, RowProblem)),
        rows=len(claims),
    )


def _claim(row: RawRow, reader: RowReader) -> _Claim:
    cells = trim_cells(row)
    reference = cells["reference"]
    outcome = [row.defect] if row.defect else reader.read(row.line, cells)
    payment = outcome if isinstance(outcome, Payment) else None
    defects = () if isinstance(outcome, Payment) else tuple(outcome)
    visible = reference
    if not reference.isprintable():
        # An invisible character must not turn a repeated reference into a new one.
        visible = "".join(char for char in reference if not is_hidden(char))
    return _Claim(
        line=row.line,
        name=to_printable(reference),
        identity=normalize_reference(visible),
        # A row that cannot pay equals its literal copies only.
        content=_what_pays(payment) if payment else (defects, *cells.values()),
        payment=payment,
        defects=defects,
    )


def _what_pays(paid: Payment) -> tuple[object, ...]:
    return (paid.chain, paid.payee, paid.amount, paid.token, paid.subject, paid.memo)


def _settle(group: list[_Claim]) -> Iterator[Payment | RowProblem]:
    """Decide about all rows under one reference."""
    first = group[0]
    if len({claim.content for claim in group}) > 1:
        conflict = _conflict(group)
        for claim in group:
            yield claim.problem(conflict, *claim.defects)
        return
    yield first.payment or first.problem(*first.defects)
    repeated = RowDefect("duplicate_row", f"it repeats line {first.line}, which pays")
    for claim in group[1:]:
        yield claim.problem(*(claim.defects or (repeated,)))


def _conflict(group: list[_Claim]) -> RowDefect:
    named = ", ".join(str(claim.line) for claim in group[:_LINES_NAMED])
    more = f" and {len(group) - _LINES_NAMED} more" if len(group) > _LINES_NAMED else ""
    return RowDefect(
        "conflicting_reference",
        f"lines {named}{more} share this reference and differ; none of them pays until exactly "
        "one is left",
    )
