from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cwf.core.chains import parse_chains
from airflow_cwf.core.errors import InputError
from airflow_cwf.core.payment_files import parse_csv
from airflow_cwf.core.payments import validate_rows

ROOT = Path(__file__).parents[3]
VECTORS = ROOT / "tests/vectors/payments"
CHAINS = parse_chains((ROOT / "airflow_cwf/data/chains.json").read_text())
HEADER = "reference,chain,address,amount,currency,memo\n"
GOOD = "emp-1,ethereum,0x" + "a1" * 20 + ",5,USDC,"


def read(name):
    return parse_csv((VECTORS / name).read_bytes())


def outcome(name):
    """Return the lines that pay, and the code of every other line."""
    book = validate_rows(read(name), chains=CHAINS)
    return (
        [payment.line for payment in book.payments],
        {problem.line: problem.code for problem in book.problems},
    )


FILES = {
    "good.csv": ([2, 3, 4], {}),
    "semicolons-crlf-bom.csv": ([2, 3], {}),
    "tabs-cr.csv": ([2, 3], {}),
    "quoted-newlines.csv": ([2, 4], {}),
    "unknown-columns.csv": ([2], {}),
    "blank-rows.csv": ([3, 7], {}),
    "latin-1.csv": ([2, 4], {3: "not_utf8"}),
    "nul.csv": ([2, 4], {3: "nul_character"}),
    "field-count.csv": ([2, 5], {3: "field_count", 4: "field_count"}),
    "cell-too-long.csv": ([3], {2: "cell_too_long"}),
    "quote-never-closed.csv": (
        [2],
        {3: "unterminated_quote", 4: "inside_open_quote", 5: "inside_open_quote"},
    ),
    "quote-closed-rows-later.csv": (
        [2, 6],
        {3: "unterminated_quote", 4: "inside_open_quote", 5: "inside_open_quote"},
    ),
    "text-after-quote.csv": ([3], {2: "bad_quoting"}),
    "truncated-in-quoted-memo.csv": (
        [2],
        {3: "unterminated_quote", 4: "inside_open_quote", 5: "inside_open_quote"},
    ),
    "identical-rows.csv": ([2, 3], {4: "duplicate_row"}),
    "conflicting-rows.csv": ([3], {2: "conflicting_reference", 4: "conflicting_reference"}),
    "look-alike-references.csv": ([6], dict.fromkeys(range(2, 6), "conflicting_reference")),
    "conflict-with-unreadable-row.csv": (
        [4],
        {2: "conflicting_reference", 3: "conflicting_reference"},
    ),
    "references.csv": (
        [6],
        {
            2: "empty_reference",
            3: "reference_too_long",
            4: "reference_control_character",
            5: "reference_control_character",
            7: "empty_reference",
        },
    ),
}
REFUSED = {
    "empty.csv": "is empty",
    "blank.csv": "is empty",
    "header-only.csv": "a header and no rows",
    "no-header.csv": "lacks the columns reference, chain, address, amount, currency",
    "missing-columns.csv": "lacks the columns address, currency",
    "column-twice.csv": "names amount twice",
    "utf-16.csv": "UTF-16",
    "spreadsheet.xlsx": "is a spreadsheet",
}
BY_REFERENCE = {"addresses.csv", "amounts.csv", "chains-and-currencies.csv"}


@pytest.mark.parametrize("name", FILES)
def test_each_file_pays_and_reports_exactly_these_lines(name):
    assert outcome(name) == FILES[name]


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_cannot_be_read_as_a_whole_is_refused(name):
    with pytest.raises(InputError, match=REFUSED[name]):
        read(name)


@pytest.mark.parametrize("name", sorted(BY_REFERENCE))
def test_each_row_is_reported_under_the_code_its_reference_names(name):
    book = validate_rows(read(name), chains=CHAINS)
    assert not book.payments
    assert {p.reference: p.code for p in book.problems} == {
        p.reference: p.reference.rpartition("-")[0] for p in book.problems
    }


def test_every_file_has_an_expectation():
    present = {path.name for path in VECTORS.iterdir() if path.suffix in {".csv", ".xlsx"}}
    assert present == FILES.keys() | REFUSED.keys() | BY_REFERENCE


def test_line_breaks_and_delimiters_inside_quotes_stay_in_their_cell():
    first, second = read("quoted-newlines.csv")
    assert first.cells["memo"] == "first line\nsecond line, with comma"
    assert (second.line, second.cells["memo"]) == (4, 'says "hi"')


def test_unknown_columns_are_kept_out():
    assert not {"department", "notes"} & set(read("unknown-columns.csv")[0].cells)


def test_a_row_that_is_not_utf8_is_named_as_latin_1():
    assert read("latin-1.csv")[1].cells["reference"] == "josé"


def test_a_refused_header_does_not_repeat_the_row_it_found():
    with pytest.raises(InputError) as caught:
        read("no-header.csv")
    assert "emp-1" not in str(caught.value)


def test_a_broken_header_is_refused():
    with pytest.raises(InputError, match="lacks the columns"):
        parse_csv(('"' + HEADER + GOOD).encode())


def test_one_missing_column_is_spoken_of_in_the_singular():
    with pytest.raises(InputError, match="lacks the column currency:"):
        parse_csv(b"reference,chain,address,amount\n")


def test_a_line_separator_of_unicode_does_not_end_a_row():
    (row,) = parse_csv((HEADER + GOOD + "a\u2028b\x0bc\x85d").encode())
    assert row.cells["memo"] == "a\u2028b\x0bc\x85d"


def test_an_open_quote_beyond_the_readers_limit_still_takes_in_the_rest():
    filler = ("x" * 99 + "\n") * 1_500
    rows = parse_csv((HEADER + GOOD + '"\n' + filler + GOOD + "\n").encode())
    assert rows[0].defect.code == "unterminated_quote"
    assert {row.defect.code for row in rows[1:]} == {"inside_open_quote"}
    assert len(rows) == 1_502


def test_a_single_line_with_an_open_quote_in_mid_file_does_not_take_the_next_row_along():
    text = HEADER + GOOD + '"a" b"\n' + GOOD.replace("emp-1", "emp-2") + "\n"
    first, second = parse_csv(text.encode())
    assert first.defect.code == "unterminated_quote"
    assert second.defect is None


@given(st.lists(st.text(max_size=30).filter(lambda text: "\0" not in text), min_size=1, max_size=5))
def test_whatever_a_proper_writer_quotes_is_read_back(memos):
    quoted = [
        GOOD.replace("emp-1", f"emp-{number}") + '"' + memo.replace('"', '""') + '"'
        for number, memo in enumerate(memos)
    ]
    rows = parse_csv((HEADER + "\n".join(quoted)).encode("utf-8", "replace"))
    assert [row.cells["memo"] for row in rows] == [
        memo.encode("utf-8", "replace").decode() for memo in memos
    ]
    assert all(row.defect is None for row in rows)


@given(st.binary(max_size=300))
def test_any_bytes_after_the_header_are_rows_or_an_input_error(data):
    try:
        rows = parse_csv(HEADER.encode() + data)
    except InputError:
        return
    book = validate_rows(rows, chains=CHAINS)
    assert book.rows == len(rows) == len(book.problems)


def test_blank_lines_inside_an_open_quote_are_not_rows():
    rows = parse_csv((HEADER + GOOD + '"oops\n\n \n' + GOOD + "\n").encode())
    assert [row.line for row in rows] == [2, 5]
