import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cwf.core.money import MAX_UNITS, AmountError, format_amount, parse_amount


@pytest.mark.parametrize(
    ("text", "decimals", "units"),
    [
        ("1", 6, 1_000_000),
        ("0.000001", 6, 1),
        ("1234.50", 6, 1_234_500_000),
        ("7", 0, 7),
        ("0.1", 18, 10**17),
        ("79228162514264337593543.950335", 6, MAX_UNITS),
    ],
)
def test_decimal_text_becomes_smallest_units(text, decimals, units):
    assert parse_amount(text, decimals=decimals) == units


@given(st.integers(1, MAX_UNITS), st.integers(0, 36))
def test_formatting_and_parsing_are_inverse(units, decimals):
    text = format_amount(units, decimals=decimals)
    assert parse_amount(text, decimals=decimals) == units
    assert text == text.rstrip(".")
    assert "." not in text or not text.endswith("0")


@given(st.text(alphabet="0123456789.,'-+eE_ \u00a0\uff11NaInf", max_size=12), st.integers(0, 18))
def test_any_text_is_an_amount_or_an_amount_error(text, decimals):
    try:
        units = parse_amount(text, decimals=decimals)
    except AmountError:
        return
    assert 0 < units <= MAX_UNITS


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty"),
        (" ", "empty"),
        ("0", "zero"),
        ("0.000000", "zero"),
        ("-1", "negative"),
        ("-0", "negative"),
        ("nan", "not_finite"),
        ("NaN", "not_finite"),
        ("inf", "not_finite"),
        ("+Infinity", "not_finite"),
        ("1e3", "exponent"),
        ("1.5E-2", "exponent"),
        ("1,234", "ambiguous_separator"),
        ("1.234,50", "ambiguous_separator"),
        ("1,234.50", "ambiguous_separator"),
        ("1'234", "ambiguous_separator"),
        ("1_000", "ambiguous_separator"),
        ("1.234.567", "ambiguous_separator"),
        (",5", "ambiguous_separator"),
        ("1 234", "blank_inside"),
        ("1\u00a0234", "blank_inside"),
        ("1\n2", "blank_inside"),
        ("\uff11\uff12", "not_ascii"),
        ("\u0661", "not_ascii"),
        ("\u22125", "not_ascii"),
        ("+5", "not_a_number"),
        ("$5", "not_a_number"),
        ("5.", "not_a_number"),
        (".5", "not_a_number"),
        ("0x10", "not_a_number"),
        ("007", "leading_zero"),
        ("00.5", "leading_zero"),
        ("1.0000000", "too_many_decimals"),
        ("79228162514264337593543.950336", "too_large"),
        ("9" * 5000, "too_large"),
    ],
)
def test_whatever_could_be_read_in_two_ways_is_refused(text, code):
    with pytest.raises(AmountError) as caught:
        parse_amount(text, decimals=6)
    assert caught.value.code == code


def test_a_token_without_decimals_takes_whole_amounts_only():
    with pytest.raises(AmountError, match="the token has 0"):
        parse_amount("1.0", decimals=0)


def test_a_negative_difference_is_formatted_with_its_sign():
    assert format_amount(-1_500_000, decimals=6) == "-1.5"
    assert format_amount(0, decimals=6) == "0"
