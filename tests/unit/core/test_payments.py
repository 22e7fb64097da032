import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cwf.core.chains import Chain, Token
from airflow_cwf.core.errors import InputError
from airflow_cwf.core.payments import (
    Payment,
    RawRow,
    RowDefect,
    normalize_reference,
    parse_payroll_id,
    payment_key,
    validate_rows,
)

USDC = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
LOCK = "0x" + "fe" * 20
ALICE, BOB = "0x" + "a1" * 20, "0x" + "b0" * 20
CHAINS = {
    "ethereum": Chain(
        "ethereum",
        "eip155:1",
        "ETH",
        12,
        tokens={"USDC": Token("USDC", USDC, 6)},
        batch_payment=LOCK,
    ),
    "polygon": Chain("polygon", "eip155:137", "POL", 2),
    "hub": Chain("hub", "cosmos:cosmoshub-4", "ATOM", 6),
}


def row(line, reference, *, address=ALICE, defect=None, **cells):
    cells = {
        "reference": reference,
        "chain": "ethereum",
        "address": address,
        "amount": "5",
        "currency": "USDC",
    } | cells
    return RawRow(line, cells, defect)


def validate(*rows):
    book = validate_rows(rows, chains=CHAINS)
    assert book.rows == len(rows) == len(book.payments) + len(book.problems)
    return book


def codes(book):
    return {problem.line: problem.code for problem in book.problems}


def test_a_good_row_becomes_a_payment_in_smallest_units():
    cells = {"chain": " Ethereum", "currency": "usdc", "amount": "1.50 ", "subject": "p-1"}
    book = validate(row(2, " emp-1 ", address=ALICE.upper(), **cells))
    assert book.payments == (
        Payment("emp-1", "ethereum", ALICE, 1_500_000, "USDC", "p-1", None, 2),
    )


def test_us_dollars_are_paid_in_usdc():
    assert validate(row(2, "emp-1", currency="USD")).payments[0].token == "USDC"


def test_two_rows_with_one_reference_pay_nobody():
    book = validate(row(2, "emp-1"), row(3, "emp-2"), row(4, "emp-1", address=BOB))
    assert [payment.line for payment in book.payments] == [3]
    assert codes(book) == {2: "conflicting_reference", 4: "conflicting_reference"}
    assert all("lines 2, 4 share" in problem.reason for problem in book.problems)


def test_of_identical_rows_the_first_pays():
    book = validate(row(2, "emp-1"), row(3, "EMP-1", amount="5.00"), row(4, "emp-1"))
    assert [payment.line for payment in book.payments] == [2]
    assert codes(book) == {3: "duplicate_row", 4: "duplicate_row"}


@pytest.mark.parametrize("field", ["amount", "subject", "memo"])
def test_a_difference_in_any_field_makes_rows_different(field):
    book = validate(row(2, "emp-1"), row(3, "emp-1", **{field: "7"}))
    assert not book.payments


def test_a_readable_row_does_not_pay_beside_an_unreadable_one_of_its_reference():
    shape = RowDefect("field_count", "it has 2 fields; the header has 5")
    for other in (row(3, "emp-1", address="0x12"), row(3, "emp-1", defect=shape)):
        book = validate(row(2, "emp-1"), other)
        assert not book.payments
        assert codes(book) == {2: "conflicting_reference", 3: "conflicting_reference"}
        assert ";" in book.problems[1].reason


def test_repeated_unreadable_rows_keep_their_own_reason():
    book = validate(row(2, "emp-1", amount="0"), row(3, "emp-1", amount="0"))
    assert codes(book) == {2: "zero", 3: "zero"}


@pytest.mark.parametrize(
    "look_alike",
    ["EMP-1", "emp-1 ", "\uff25\uff4d\uff50\uff0d\uff11", "emp\u200b-1", "\u00a0emp-1", "emp\a-1"],
)
def test_look_alike_references_are_one_reference(look_alike):
    book = validate(row(2, "emp-1"), row(3, look_alike, address=BOB))
    assert not book.payments
    assert set(codes(book).values()) == {"conflicting_reference"}


def test_a_conflict_of_many_rows_names_the_first_lines_only():
    book = validate(*(row(line, "emp-1", amount=str(line)) for line in range(2, 1_002)))
    assert "2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 990 more" in book.problems[0].reason


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ({"reference": ""}, "empty_reference"),
        ({"reference": " \u00a0"}, "empty_reference"),
        ({"reference": "x" * 129}, "reference_too_long"),
        ({"reference": "a\x1b[2Jb"}, "reference_control_character"),
        ({"reference": "a\u202eb"}, "reference_control_character"),
        ({"chain": "bitcoin"}, "unknown_chain"),
        ({"chain": "hub"}, "chain_unsupported"),
        ({"address": "vitalik.eth"}, "ens_unsupported"),
        ({"address": USDC}, "token_address"),
        ({"address": LOCK}, "token_address"),
        ({"currency": "EUR"}, "fx_unsupported"),
        ({"currency": "DOGE"}, "currency_unsupported"),
        ({"chain": "polygon"}, "currency_unsupported"),
        ({"amount": "1,000"}, "ambiguous_separator"),
    ],
)
def test_each_rule_reports_its_code(cells, code):
    reference = cells.pop("reference", "emp-1")
    (problem,) = validate(row(2, reference, **cells)).problems
    assert problem.code == code


def test_several_faults_of_a_row_are_one_problem_with_all_reasons():
    (problem,) = validate(row(2, "emp-1", address="", amount="-1")).problems
    assert problem.code == "empty"
    assert "address" in problem.reason
    assert "amount" in problem.reason


def test_reasons_say_what_is_known_and_hold_no_address_or_amount():
    cells = {"chain": "mars", "amount": "1e77"}
    (problem,) = validate(row(2, "emp-1", address=ALICE + "00", **cells)).problems
    assert "known: ethereum, hub, polygon" in problem.reason
    assert ALICE[2:] not in problem.reason
    assert "1e77" not in problem.reason


def test_an_escape_sequence_in_a_reference_does_not_reach_the_terminal():
    (problem,) = validate(row(2, "a\x1b[2Jb")).problems
    assert problem.reference == "a\N{REPLACEMENT CHARACTER}[2Jb"


def test_rows_without_reference_stand_alone():
    assert codes(validate(row(2, ""), row(3, ""))) == {2: "empty_reference", 3: "empty_reference"}


def test_missing_optional_cells_are_none():
    (payment,) = validate(row(2, "emp-1", subject=" ", memo="")).payments
    assert payment.subject is None
    assert payment.memo is None


@given(st.text(max_size=20))
def test_normalizing_a_reference_twice_changes_nothing_more(text):
    once = normalize_reference(text)
    assert normalize_reference(once) == once


@given(st.text(max_size=20))
def test_case_makes_no_other_reference(text):
    assert normalize_reference(text.casefold()) == normalize_reference(text)


def test_a_key_names_payroll_and_reference():
    assert payment_key("2026-Q3", " Emp/1") == "payroll/2026-q3/emp/1"


@pytest.mark.parametrize("text", ["2026-q3", "a", "x" * 64, "Q3_2026.final"])
def test_payroll_ids_are_short_names(text):
    assert parse_payroll_id(text) == text


@pytest.mark.parametrize(
    "text",
    ["", " ", "None", "null", "x" * 65, "a/b", "..", "-", "a b", "2026-q3\n", "q\N{DIGIT THREE}é"],
)
def test_other_payroll_ids_are_refused(text):
    with pytest.raises(InputError, match="cannot name a payroll"):
        parse_payroll_id(text)
