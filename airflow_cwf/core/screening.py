"""Sanctions screening: OFAC's list of specially designated nationals (SDN) as sets of addresses.

The list is read from the two CSV files that OFAC publishes together, `sdn.csv` and
`sdn_comments.csv`: remarks end after 1,000 characters, in the middle of a word, and go on in the
second file. Matching before joining loses addresses.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from airflow_cwf.core.errors import SanctionsListError

__all__ = [
    "DEFAULT_MAX_AGE_S",
    "DEFAULT_MIN_ENTRIES",
    "SanctionsList",
    "check_age",
    "parse_sdn",
]

DEFAULT_MAX_AGE_S: Final = 7 * 86_400
"""OFAC changes its list several times in most weeks."""
DEFAULT_MIN_ENTRIES: Final = 5_000
"""The list held about 9,000 entries in 2021 and has grown since; less is a broken download."""

_DAY_S: Final = 86_400
_SDN_COLUMNS: Final = 12
_REMARKS: Final = 11
_REMARK_LIMIT: Final = 1_000
_NULL: Final = "-0-"
_END_OF_FILE: Final = "\x1a"
_ENTRY_NUMBER: Final = re.compile(r"[0-9]{1,10}")

_CLAIM: Final = re.compile(r"digital\s+currency", re.IGNORECASE)
_CLAUSE: Final = re.compile(
    r"(?:alt\.\s*)?Digital Currency Address\s*-\s*(?P<ticker>[A-Z0-9]{2,10})\s+(?P<address>\S+)"
)
_EVM: Final = re.compile(r"0[xX][0-9a-fA-F]{40}")
_EVM_ANYWHERE: Final = re.compile(r"(?<![0-9a-zA-Z])0[xX][0-9a-fA-F]{40}(?![0-9a-zA-Z])")
_BARE_EVM: Final = re.compile(r"[0-9a-fA-F]{40}")
_OTHER: Final = re.compile(r"(?!0[xX]|[0-9a-fA-F]{30,50}\Z)[0-9A-Za-z:_-]{16,128}")
"""Bitcoin, Monero, Tron and the like: too different to check more than the alphabet, except that
hexadecimal digits of about an EVM address's length are a misprint of one."""


@dataclass(frozen=True, slots=True)
class SanctionsList:
    """One published list, reduced to what can be screened."""

    source: str
    """What the list is, for people and records; never a URL with a token."""
    published: int
    """Unix seconds."""
    sha256: str
    """SHA-256, hex, of the bytes read: `cat sdn.csv sdn_comments.csv | sha256sum`."""
    addresses: frozenset[str]
    """EVM addresses of all assets, lower-case."""
    others: frozenset[str]
    """Addresses of other chains, as published; their case matters."""
    malformed: tuple[str, ...]
    """Published texts that should hold an address and do not; a person must look at them."""
    entries: int
    """How many persons, entities, vessels and aircraft the list names."""

    def lists(self, address: str) -> bool:
        """Tell whether `address` is listed.

        An EVM address is compared by its bytes, whatever chain or asset it was published for: the
        same key owns it everywhere. Any other address is compared as an exact string.
        """
        if _EVM.fullmatch(address):
            return address.lower() in self.addresses
        return address in self.others


@dataclass(slots=True)
class _Findings:
    """What the remarks hold, while they are read."""

    addresses: set[str]
    others: set[str]
    malformed: list[str]


def parse_sdn(
    sdn_csv: bytes,
    comments_csv: bytes,
    *,
    published: int,
    source: str,
    min_entries: int = DEFAULT_MIN_ENTRIES,
) -> SanctionsList:
    """Read OFAC's `sdn.csv` together with its `sdn_comments.csv`.

    Args:
        sdn_csv: twelve columns, no header, `-0-` for absent, remarks last.
        comments_csv: entry number and the rest of the remarks; may be empty.
        published: Unix seconds.
        source: for `SanctionsList.source`.
        min_entries: fewer are refused as a truncated download, and so is a list without any
            digital-currency address. 0 switches both off, for lists of one's own.

    Raises:
        SanctionsListError: a file does not have the expected shape, is truncated, or a cut remark
            has no continuation, so that the two files do not belong together.
    """
    remarks = _read_remarks(sdn_csv)
    continued = _read_continuations(comments_csv)
    _check_continued(remarks, continued)
    orphans = set(continued).difference(remarks)
    found = _Findings(set(), set(), [])
    for number in (*remarks, *sorted(orphans)):
        # No blank in between: the cut falls inside words and addresses.
        _scan(remarks.get(number, "") + continued.get(number, ""), found)
    if min_entries and (len(remarks) < min_entries or not (found.addresses or found.others)):
        message = (
            f"The sanctions list ({source}) has {len(remarks)} entries and "
            f"{len(found.addresses) + len(found.others)} digital-currency addresses; at least "
            f"{min_entries} entries and one address are expected, so it is probably truncated. "
            "Nothing is signed. Fetch it again, or lower `min_entries` for a list of your own."
        )
        raise SanctionsListError(message)
    return SanctionsList(
        source=source,
        published=published,
        sha256=hashlib.sha256(sdn_csv + comments_csv).hexdigest(),
        addresses=frozenset(found.addresses),
        others=frozenset(found.others),
        malformed=tuple(found.malformed),
        entries=len(remarks),
    )


def check_age(
    sanctions: SanctionsList, *, now: float, max_age_s: float = DEFAULT_MAX_AGE_S
) -> None:
    """Make sure that a list is recent.

    Args:
        sanctions: the list.
        now: Unix seconds.
        max_age_s: how old it may be.

    Raises:
        SanctionsListError: it is older, or is dated more than a day after `now`.
    """
    age_s = now - sanctions.published
    date = _date(sanctions.published)
    if age_s > max_age_s:
        message = (
            f"The sanctions list ({sanctions.source}) is of {date}, {age_s / _DAY_S:.1f} days old; "
            f"at most {max_age_s / _DAY_S:g} days are allowed. Nothing is signed. Fetch the "
            "current list, or raise `max_age_s` if the platform's policy permits an older one."
        )
        raise SanctionsListError(message)
    if age_s < -_DAY_S:
        message = (
            f"The sanctions list ({sanctions.source}) is dated {date}, which lies in the future. "
            "Nothing is signed. Correct this machine's clock or the list's date."
        )
        raise SanctionsListError(message)


def _date(published: int) -> str:
    try:
        return datetime.fromtimestamp(published, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return f"Unix second {published}"


def _read_remarks(data: bytes) -> dict[str, str]:
    remarks: dict[str, str] = {}
    for line, fields in _read_csv(data, name="sdn.csv", width=_SDN_COLUMNS):
        if fields[0] in remarks:
            raise _misshapen("sdn.csv", line, "its entry number appears twice")
        text = fields[_REMARKS]
        remarks[fields[0]] = "" if text.strip() == _NULL else text
    return remarks


def _read_continuations(data: bytes) -> dict[str, str]:
    continued: dict[str, str] = {}
    for _, (number, text) in _read_csv(data, name="sdn_comments.csv", width=2):
        continued[number] = continued.get(number, "") + ("" if text.strip() == _NULL else text)
    return continued


def _read_csv(data: bytes, *, name: str, width: int) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(_decode(data), newline=""), strict=True)
    try:
        for fields in reader:
            if not fields or fields == [_END_OF_FILE]:
                continue
            if len(fields) != width or not _ENTRY_NUMBER.fullmatch(fields[0].strip()):
                raise _misshapen(name, reader.line_num, f"it is not {width} fields of an entry")
            yield reader.line_num, [fields[0].strip(), *fields[1:]]
    except csv.Error as error:
        raise _misshapen(name, reader.line_num, str(error)) from error


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # names only: every address is ASCII


def _misshapen(name: str, line: int, why: str) -> SanctionsListError:
    return SanctionsListError(
        f"{name} does not look like OFAC's file in line {line}: {why}. Nothing is signed. Fetch "
        "sdn.csv and sdn_comments.csv again from OFAC's sanctions list service."
    )


def _check_continued(remarks: dict[str, str], continued: dict[str, str]) -> None:
    lost = [
        number
        for number, text in remarks.items()
        if len(text) >= _REMARK_LIMIT and not text.endswith(".") and number not in continued
    ]
    if lost:
        message = (
            f"The remarks of entry {lost[0]} are cut off in sdn.csv and sdn_comments.csv does not "
            f"continue them ({len(lost)} such entries): the files are of different days or one is "
            "truncated. Nothing is signed. Fetch both again."
        )
        raise SanctionsListError(message)


def _scan(remarks: str, found: _Findings) -> None:
    found.addresses.update(match.lower() for match in _EVM_ANYWHERE.findall(remarks))
    _sort_claims(_claims(remarks), found)


def _claims(remarks: str) -> Iterator[str]:
    """Yield the clauses about digital currencies, blanks made regular."""
    if _CLAIM.search(remarks):
        for clause in remarks.split(";"):
            if _CLAIM.search(clause):
                yield " ".join(clause.split()).rstrip(".")


def _sort_claims(claims: Iterable[str], found: _Findings) -> None:
    for claim in claims:
        match = _CLAUSE.fullmatch(claim)
        address = match["address"] if match else ""
        if _EVM.fullmatch(address):
            found.addresses.add(address.lower())
        elif _BARE_EVM.fullmatch(address):
            found.addresses.add(f"0x{address.lower()}")
        elif _OTHER.fullmatch(address):
            found.others.add(address)
        else:
            found.malformed.append(claim)
