"""Amounts of money: decimal text outside, integers of the smallest unit inside. No floats."""

import re
from typing import Final

__all__ = ["MAX_UNITS", "AmountError", "format_amount", "parse_amount"]

MAX_UNITS: Final = 2**96 - 1
"""The most that one item of `BatchPayment` can carry (uint96)."""

_DECIMAL: Final = re.compile(r"(0|[1-9][0-9]*)(?:\.([0-9]+))?")
_MAX_DIGITS: Final = len(str(MAX_UNITS))

_EXPLANATIONS: Final = tuple(
    (re.compile(pattern), code, reason)
    for pattern, code, reason in (
        (r"\s*", "empty", "it is empty"),
        (r"(?s:.*\s.*)", "blank_inside", "it holds a blank"),
        (
            r"(?s:.*[^\x00-\x7f].*)",
            "not_ascii",
            "it holds a character other than the digits 0-9 and one decimal point",
        ),
        (r"-.*", "negative", "it is negative"),
        (r"(?i:\+?(nan|inf(inity)?))", "not_finite", "it is not a number"),
        (r"(?i:\+?[0-9.]+e[+-]?[0-9]+)", "exponent", "it is in exponent form; write it out"),
        (
            r"[0-9]*([.,'_][0-9]*)*[,'_][0-9.,'_]*|[0-9]*\.[0-9]*\.[0-9.]*",
            "ambiguous_separator",
            "its separators are ambiguous; write 1234.50, without thousands separators",
        ),
        (r"0[0-9]+(\.[0-9]*)?", "leading_zero", "it begins with a needless zero"),
    )
)
"""Why a text that is not a plain decimal is refused; the first row that matches speaks."""


class AmountError(ValueError):
    """A text is not an amount that can be paid.

    `code` is stable and for programs, `reason` is for people; neither quotes the amount.
    """

    def __init__(self, reason: str, *, code: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


def parse_amount(text: str, *, decimals: int) -> int:
    """Return a decimal text as a positive integer of smallest units.

    The one form taken is `123` or `123.45`, in ASCII digits with a decimal point: whatever could
    be read in two ways is refused, and nothing is ever rounded.

    Args:
        text: without surrounding blanks.
        decimals: of the token; 6 for USDC on most chains.

    Raises:
        AmountError: with code `empty`, `blank_inside`, `not_ascii`, `negative`, `not_finite`,
            `exponent`, `ambiguous_separator`, `leading_zero`, `not_a_number`,
            `too_many_decimals`, `too_large` (over uint96) or `zero`.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise _explain(text)
    whole, fraction = match[1], match[2] or ""
    if len(fraction) > decimals:
        raise AmountError(
            f"it has {len(fraction)} decimals; the token has {decimals}", code="too_many_decimals"
        )
    if len(whole) > _MAX_DIGITS:
        raise _too_large()
    units = int(whole + fraction.ljust(decimals, "0"))
    if units > MAX_UNITS:
        raise _too_large()
    if units == 0:
        raise AmountError("it is zero", code="zero")
    return units


def format_amount(units: int, *, decimals: int) -> str:
    """Return smallest units as the shortest decimal text; `parse_amount` reads it back."""
    sign = "-" if units < 0 else ""
    whole, fraction = divmod(abs(units), 10**decimals)
    digits = f"{fraction:0{decimals}d}".rstrip("0") if fraction else ""
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def _explain(text: str) -> AmountError:
    for pattern, code, reason in _EXPLANATIONS:
        if pattern.fullmatch(text):
            return AmountError(reason, code=code)
    return AmountError("it is not a plain decimal number such as 1234.50", code="not_a_number")


def _too_large() -> AmountError:
    return AmountError("it is larger than one payment can carry (2^96 - 1)", code="too_large")
