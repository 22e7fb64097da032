"""Payments files: CSV as spreadsheets and payroll systems really write it, to rows of text.

A file whose structure cannot be trusted as a whole is an `InputError`. A single bad row becomes a
row with a defect, under the line where it begins, and never shifts or hides the rows after it.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from airflow_cwf.core.errors import InputError
from airflow_cwf.core.payments import OPTIONAL_COLUMNS, REQUIRED_COLUMNS, RawRow, RowDefect

__all__ = ["MAX_CELL_LENGTH", "parse_csv"]

MAX_CELL_LENGTH: Final = 4_096
_DELIMITERS: Final = ",;\t"
_UNDECODABLE: Final = re.compile("[\udc80-\udcff]")
"""What `surrogateescape` makes of a byte that is not UTF-8."""
_NOT_CSV: Final = (
    (codecs.BOM_UTF16_LE, "is UTF-16 text"),
    (codecs.BOM_UTF16_BE, "is UTF-16 text"),
    (b"PK\x03\x04", "is a spreadsheet or archive, not text"),
    (b"\xd0\xcf\x11\xe0", "is a spreadsheet, not text"),
)
"""First bytes of what people hand in by mistake."""


@dataclass(frozen=True, slots=True)
class _Header:
    """Where the columns stand."""

    delimiter: str
    width: int
    columns: Mapping[str, int]


def parse_csv(data: bytes) -> list[RawRow]:
    """Read the rows of a payments file.

    Takes UTF-8 with or without a byte-order mark; CRLF, LF or CR; comma, semicolon or tab, told by
    the header; quoted cells with delimiters and line breaks in them (RFC 4180). Column names match
    in any case and order; unknown columns are left out. Blank rows are skipped.

    A row with bytes that are not UTF-8 is read as Latin-1, so that it can be named, and has the
    defect `not_utf8`: a reference read in a wrong encoding would be another business key. Other
    defects: `field_count`, `cell_too_long`, `nul_character`, `bad_quoting`, `unterminated_quote`,
    and `inside_open_quote` for the lines that an unterminated quote may have taken in.

    Raises:
        InputError: the file is empty, has no rows, lacks a required column or has one twice, or is
            not CSV at all.
    """
    for magic, what in _NOT_CSV:
        if data.startswith(magic):
            message = f"The payments file {what}; save it as CSV in UTF-8. Nothing was loaded."
            raise InputError(message)
    text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
    # StringIO splits at CR, LF and CRLF only; str.splitlines would also split inside cells.
    lines = io.StringIO(text, newline="").readlines()
    start = next((number for number, line in enumerate(lines) if line.strip()), None)
    if start is None:
        raise InputError("The payments file is empty. Nothing was loaded.")
    header = _read_header(lines[start])
    rows = list(_read_rows(lines, start=start + 1, header=header))
    if not rows:
        raise InputError("The payments file has a header and no rows. Nothing was loaded.")
    return rows


def _read_header(line: str) -> _Header:
    """Take the delimiter that finds the most required columns."""
    splits = {delimiter: _split(line, delimiter) for delimiter in _DELIMITERS}
    delimiter = max(
        _DELIMITERS, key=lambda each: len(set(REQUIRED_COLUMNS).intersection(splits[each]))
    )
    names = splits[delimiter]
    missing = [column for column in REQUIRED_COLUMNS if column not in names]
    if missing:
        message = (
            f"The payments file lacks the column{'s' if len(missing) > 1 else ''} "
            f"{', '.join(missing)}: its first line must name {', '.join(REQUIRED_COLUMNS)}, "
            "separated by commas, semicolons or tabs. Nothing was loaded."
        )
        raise InputError(message)
    known = [name for name in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS) if name in names]
    twice = [name for name in known if names.count(name) > 1]
    if twice:
        message = f"The payments file names {', '.join(twice)} twice. Nothing was loaded."
        raise InputError(message)
    return _Header(delimiter, len(names), {name: names.index(name) for name in known})


def _split(line: str, delimiter: str) -> list[str]:
    try:
        fields = next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        return []
    return [name.strip().strip("\ufeff").casefold() for name in fields]


def _read_rows(lines: list[str], *, start: int, header: _Header) -> Iterator[RawRow]:
    reader = csv.reader(lines[start:], delimiter=header.delimiter, strict=True)
    while True:
        first = start + reader.line_num
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            # The reader starts afresh at the line after the one where it gave up.
            end = _end_of_damage(lines, first=first, last=start + reader.line_num)
            yield from _unreadable_rows(lines, first=first, end=end, header=header)
            if end == len(lines):
                return
            continue
        if any(field and not field.isspace() for field in fields):
            yield _row(first + 1, fields, header)


def _end_of_damage(lines: list[str], *, first: int, last: int) -> int:
    """Return the index after the last line that the broken record may have taken in."""
    length = sum(len(line) for line in lines[first:last])
    # Beyond its own limit the reader gives up inside a cell: everything after may be in it too.
    return len(lines) if length > csv.field_size_limit() else last


def _unreadable_rows(
    lines: list[str], *, first: int, end: int, header: _Header
) -> Iterator[RawRow]:
    if end - first == 1 and lines[first].count('"') % 2 == 0:
        defect = RowDefect(
            "bad_quoting", "text stands before or after a quoted cell; quotes inside are doubled"
        )
    else:
        defect = RowDefect(
            "unterminated_quote", "a quote that opens in this row is not closed where its cell ends"
        )
    yield _row(first + 1, lines[first].split(header.delimiter), header, defect=defect)
    inside = RowDefect(
        "inside_open_quote",
        f"it may be part of the cell that opens in line {first + 1} and is not closed properly",
    )
    for number in range(first + 1, end):
        if lines[number].strip():
            yield _row(number + 1, lines[number].split(header.delimiter), header, defect=inside)


def _row(
    line: int, fields: list[str], header: _Header, *, defect: RowDefect | None = None
) -> RawRow:
    text = "".join(fields)
    defect = defect or _defect(fields, text, header)
    if _UNDECODABLE.search(text):
        fields = [field.encode("utf-8", "surrogateescape").decode("latin-1") for field in fields]
    cells = {
        name: fields[place][:MAX_CELL_LENGTH]
        for name, place in header.columns.items()
        if place < len(fields)
    }
    return RawRow(line, cells, defect)


def _defect(fields: list[str], text: str, header: _Header) -> RowDefect | None:
    if len(fields) != header.width:
        return RowDefect(
            "field_count", f"it has {len(fields)} fields; the header has {header.width}"
        )
    if len(text) > MAX_CELL_LENGTH and max(map(len, fields)) > MAX_CELL_LENGTH:
        return RowDefect("cell_too_long", f"a cell has more than {MAX_CELL_LENGTH} characters")
    if "\0" in text:
        return RowDefect("nul_character", "it holds a NUL character; the file is damaged")
    if _UNDECODABLE.search(text):
        return RowDefect("not_utf8", "it is not UTF-8 text; save the file as CSV in UTF-8")
    return None
