"""Made-up people to pay, with mistakes on purpose, and a made-up sanctions list.

Everything follows from a seed, so that two runs with one seed read the same file. The addresses
are hashes: nobody knows a key to them.
"""

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from airflow_cwf.core.addresses import to_checksum_address
from airflow_cwf.core.errors import ConfigError

COLUMNS: Final = ("reference", "chain", "address", "amount", "currency", "subject")

LEAST_CENTS: Final = 80_000
MOST_CENTS: Final = 950_000

OFAC_REMARK_CHARS: Final = 1_000
"""OFAC cuts the remarks of `sdn.csv` here and goes on in `sdn_comments.csv`."""

_NULL: Final = "-0- "
_PLAIN_ENTRIES: Final = 120
_FIRST_ENTITY: Final = 900_001
_SDN_COLUMNS: Final = 12


class RowKind(StrEnum):
    """What is wrong with a row, and so what must become of it."""

    GOOD = "good"
    """Must be paid."""
    SANCTIONED = "sanctioned"
    """On the sanctions list: screened out before anything is signed."""
    BAD_CHECKSUM = "bad_checksum"
    """One letter's case is changed: refused when the file is read."""
    DUPLICATE_REFERENCE = "duplicate_reference"
    """Two rows, one reference, two amounts: nobody can tell which is meant, neither is paid."""
    NEGATIVE_AMOUNT = "negative_amount"
    """Refused when the file is read."""
    BLACKLISTED = "blacklisted"
    """The token's issuer has blacklisted the payee: the transfer fails, the others settle."""


BAD_KINDS: Final = tuple(kind for kind in RowKind if kind is not RowKind.GOOD)


@dataclass(frozen=True, slots=True)
class Payroll:
    """A payments file and what one should know about it."""

    csv: bytes
    """UTF-8 with a header of `COLUMNS`."""
    kinds: Mapping[str, RowKind]
    """reference -> what it is; a duplicated reference stands once here and twice in the file."""
    addresses: Mapping[str, str]
    """reference -> payee, EIP-55 checksummed, also where the file spells it wrong."""
    cents: Mapping[str, int]
    """reference -> amount in 1/100 USDC; of a duplicated reference, its first row's."""
    chains: Mapping[str, str]
    """reference -> name of the chain."""

    def references(self, kind: RowKind) -> list[str]:
        """Return the references of one kind, in order of the file."""
        return [reference for reference, found in self.kinds.items() if found is kind]

    def total_cents(self, *, chain: str, kind: RowKind = RowKind.GOOD) -> int:
        """Return what the people of one kind on one chain get together, in 1/100 USDC."""
        chosen = (r for r in self.references(kind) if self.chains[r] == chain)
        return sum(self.cents[reference] for reference in chosen)


@dataclass(slots=True)
class _Draft:
    rows: list[tuple[str, ...]] = field(default_factory=list)
    kinds: dict[str, RowKind] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    cents: dict[str, int] = field(default_factory=dict)
    chains: dict[str, str] = field(default_factory=dict)


def made_up_address(seed: str, label: str) -> str:
    """Return an EIP-55 address to which nobody knows the key: 20 bytes of SHA3-256."""
    digest = hashlib.sha3_256(f"airflow-cwf/people/{seed}/address/{label}".encode()).hexdigest()
    return to_checksum_address("0x" + digest[:40])


def make_payroll(
    n: int,
    *,
    chains: Sequence[str],
    seed: str,
    bad: Mapping[RowKind, int] | None = None,
) -> Payroll:
    """Return a payroll of `n` people, spread over the chains in turn.

    Args:
        n: people (references) in all, the bad ones among them.
        chains: names of the chains.
        seed: decides addresses, amounts and the places of the bad rows.
        bad: how many references of each bad kind; by default one of each.

    Raises:
        ConfigError: `n` has no room for the bad rows, or there is no chain.
    """
    counts = dict.fromkeys(BAD_KINDS, 1) if bad is None else dict(bad)
    wanted = [kind for kind, count in counts.items() for _ in range(count)]
    if not chains or n < len(wanted):
        message = f"{n} people cannot hold {len(wanted)} bad rows on {len(chains)} chains."
        raise ConfigError(message)
    order = sorted(range(n), key=lambda number: _drawn(seed, f"place/{number}"))
    kinds = dict(zip(order, wanted, strict=False))
    draft = _Draft()
    for number in range(n):
        kind = kinds.get(number, RowKind.GOOD)
        _add_person(draft, number, chain=chains[number % len(chains)], kind=kind, seed=seed)
    draft.rows.extend(_second_rows(draft))
    return Payroll(
        csv=_csv([COLUMNS, *draft.rows]),
        kinds=draft.kinds,
        addresses=draft.addresses,
        cents=draft.cents,
        chains=draft.chains,
    )


def make_sanctions_files(addresses: Sequence[str]) -> tuple[bytes, bytes]:
    """Return `sdn.csv` and `sdn_comments.csv` in OFAC's form, with made-up entries only.

    Twelve columns without a header, `-0- ` for null, CRLF, strings in quotes, and the end mark
    (0x1A) that OFAC's files carry. The last of `addresses` is cut in two by the limit of 1,000
    characters, so a reader of `sdn.csv` alone misses it.

    Args:
        addresses: `0x` addresses to list, each with an entry of its own.

    Returns:
        the two files' bytes.
    """
    remarks = {_FIRST_ENTITY + i: "(FICTITIOUS) DOB 01 Jan 1970." for i in range(_PLAIN_ENTRIES)}
    first = _FIRST_ENTITY + _PLAIN_ENTRIES
    for offset, address in enumerate(addresses):
        last = offset == len(addresses) - 1
        remarks[first + offset] = _listed_remark(address, cut=last)
    rows = [_sdn_row(entity, remark) for entity, remark in remarks.items()]
    rest = [
        (str(entity), remark[OFAC_REMARK_CHARS:])
        for entity, remark in remarks.items()
        if len(remark) > OFAC_REMARK_CHARS
    ]
    return _ofac_csv(rows), _ofac_csv(rest)


def _add_person(draft: _Draft, number: int, *, chain: str, kind: RowKind, seed: str) -> None:
    reference = f"emp-{number + 1:05d}"
    address = made_up_address(seed, reference)
    cents = LEAST_CENTS + _drawn(seed, f"cents/{reference}") % (MOST_CENTS - LEAST_CENTS + 1)
    written = _one_case_changed(address) if kind is RowKind.BAD_CHECKSUM else address
    amount = f"{'-' if kind is RowKind.NEGATIVE_AMOUNT else ''}{_decimal(cents)}"
    draft.rows.append((reference, chain, written, amount, "USDC", f"person-{number + 1:05d}"))
    draft.kinds[reference] = kind
    draft.addresses[reference] = address
    draft.cents[reference] = cents
    draft.chains[reference] = chain


def _second_rows(draft: _Draft) -> list[tuple[str, ...]]:
    """Return the duplicated references' second rows, one cent apart from the first."""
    return [
        (*row[:3], _decimal(draft.cents[row[0]] + 1), *row[4:])
        for row in draft.rows
        if draft.kinds[row[0]] is RowKind.DUPLICATE_REFERENCE
    ]


def _one_case_changed(address: str) -> str:
    place = next(i for i, char in enumerate(address) if i > 1 and char.isalpha())
    return address[:place] + address[place].swapcase() + address[place + 1 :]


def _drawn(seed: str, label: str) -> int:
    digest = hashlib.sha3_256(f"airflow-cwf/people/{seed}/{label}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def _decimal(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _listed_remark(address: str, *, cut: bool) -> str:
    listed = f"Digital Currency Address - ETH {address};"
    if not cut:
        return f"(FICTITIOUS) DOB 01 Jan 1970; {listed} Linked To: NOBODY AT ALL."
    # The limit falls 20 characters into the address.
    room = OFAC_REMARK_CHARS - listed.index("0x") - 20
    filler = "(FICTITIOUS) " + "a.k.a. 'NOBODY OF THAT NAME'; " * 40
    return filler[: room - 2].rstrip().ljust(room - 2, ".") + "; " + listed + " Linked To: NOBODY."


def _sdn_row(entity: int, remark: str) -> tuple[str, ...]:
    name = f"FICTITIOUS, Person {entity}"
    kind, program = "individual", "MADE-UP"
    empty = (_NULL,) * (_SDN_COLUMNS - 5)
    return (str(entity), name, kind, program, *empty, remark[:OFAC_REMARK_CHARS])


def _ofac_csv(rows: Sequence[Sequence[str]]) -> bytes:
    lines = [",".join((row[0], *(_ofac_text(text) for text in row[1:]))) for row in rows]
    return "".join(f"{line}\r\n" for line in lines).encode("ascii") + b"\x1a"


def _ofac_text(text: str) -> str:
    return text if text == _NULL else '"' + text.replace('"', '""') + '"'


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
