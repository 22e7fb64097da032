"""One row of a payments file: from cells of text to a payment, or all that stands against it."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from airflow_cwf.core.addresses import AddressError, parse_evm_address
from airflow_cwf.core.chains import Chain, Token
from airflow_cwf.core.money import AmountError, parse_amount

__all__ = [
    "MAX_REFERENCE_LENGTH",
    "OPTIONAL_COLUMNS",
    "REQUIRED_COLUMNS",
    "TOKEN_OF_CURRENCY",
    "Payment",
    "RawRow",
    "RowDefect",
    "RowReader",
    "is_hidden",
    "normalize_reference",
    "to_printable",
    "trim_cells",
]

REQUIRED_COLUMNS: Final = ("reference", "chain", "address", "amount", "currency")
OPTIONAL_COLUMNS: Final = ("subject", "memo")
MAX_REFERENCE_LENGTH: Final = 128
TOKEN_OF_CURRENCY: Final[Mapping[str, str]] = MappingProxyType({"USD": "USDC"})
"""Currencies that are paid in a token of another name, one to one."""

_FOREIGN: Final = re.compile(
    "AED|ARS|AUD|BRL|CAD|CHF|CNY|COP|CZK|DKK|EUR|GBP|HKD|HUF|IDR|ILS|INR|JPY|KES|KRW|MXN|MYR|NGN|"
    "NOK|NZD|PHP|PLN|RON|SAR|SEK|SGD|THB|TRY|TWD|UAH|USD|VND|ZAR"
)
"""ISO 4217 codes that people write; paying them out takes a conversion."""
_BLANKS: Final = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Payment:
    """One transfer that a file asks for."""

    reference: str
    """As written, without surrounding blanks; `payment_key` makes the business key of it."""
    chain: str
    """A name of the chain table."""
    payee: str
    """Lower-case `0x` address."""
    amount: int
    """Smallest units of `token`."""
    token: str
    """A symbol of the chain's entry."""
    subject: str | None
    """Who the personal data is about, for erasure."""
    memo: str | None
    line: int
    """Where the row begins in the file, from 1."""


@dataclass(frozen=True, slots=True)
class RowDefect:
    """What is wrong with a row. `code` is stable, `reason` is for people."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row as text: cells by lower-case column name.

    A row with a `defect` never pays; its cells serve only to name it in reports and to find other
    rows under the same reference.
    """

    line: int
    cells: Mapping[str, str]
    defect: RowDefect | None = None


@dataclass(frozen=True, slots=True)
class _Payout:
    """A chain as rows look at it."""

    chain: Chain
    tokens: Mapping[str, Token]
    """By symbol in capitals."""
    contracts: frozenset[str]
    """Addresses that swallow what is sent to them."""


def normalize_reference(text: str) -> str:
    """Return the form in which look-alikes are equal: NFKC, case folded, no outer blanks.

    `Emp-1`, ` emp-1 ` and `emp-1` in full-width letters are one reference.
    """
    if text.isascii():
        return text.lower().strip()
    # Folding alone leaves some letters in two spellings (The Unicode Standard, 3.13, D146).
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", text).casefold()).casefold()
    return unicodedata.normalize("NFKC", folded).strip()


def is_hidden(char: str) -> bool:
    """Tell characters that are drawn as nothing or steer the text around them."""
    return unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def to_printable(text: str) -> str:
    """Return a reference as it may stand on a terminal: at most 128 printable characters."""
    shown = text[:MAX_REFERENCE_LENGTH]
    if shown.isprintable():
        return shown
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in shown)


def trim_cells(row: RawRow) -> dict[str, str]:
    """Return every known column's cell without surrounding ASCII blanks; absent ones are empty."""
    return {
        column: row.cells.get(column, "").strip(_BLANKS)
        for column in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
    }


class RowReader:
    """Reads rows against one allow-list of chains and tokens."""

    def __init__(
        self, chains: Mapping[str, Chain], *, token_of_currency: Mapping[str, str]
    ) -> None:
        self._payouts = {name.casefold(): _payout(chain) for name, chain in chains.items()}
        self._known = ", ".join(sorted(chain.name for chain in chains.values()))
        self._currencies = token_of_currency

    def read(self, line: int, cells: Mapping[str, str]) -> Payment | list[RowDefect]:
        """Return the payment in trimmed cells, or everything that stands against it."""
        found = list(_reference_defects(cells["reference"]))
        payout = self._find_chain(cells["chain"], found)
        payee = _parse_payee(cells["address"], payout, found)
        token = self._find_token(cells["currency"], payout, found)
        amount = _parse_units(cells["amount"], token, found)
        if found or payout is None or token is None:
            return found
        return Payment(
            reference=cells["reference"],
            chain=payout.chain.name,
            payee=payee,
            amount=amount,
            token=token.symbol,
            subject=cells["subject"] or None,
            memo=cells["memo"] or None,
            line=line,
        )

    def _find_chain(self, text: str, found: list[RowDefect]) -> _Payout | None:
        payout = self._payouts.get(text.casefold())
        if payout is None:
            reason = f"{_quoted(text)} is not a known chain (known: {self._known})"
            found.append(RowDefect("unknown_chain", reason))
        elif not payout.chain.caip2.startswith("eip155:"):
            reason = f"payments on {payout.chain.name} are not supported yet"
            found.append(RowDefect("chain_unsupported", reason))
        return payout

    def _find_token(
        self, text: str, payout: _Payout | None, found: list[RowDefect]
    ) -> Token | None:
        if payout is None:
            return None
        currency = text.upper()
        token = payout.tokens.get(self._currencies.get(currency, currency).upper())
        if token is None and _FOREIGN.fullmatch(currency) and currency not in self._currencies:
            reason = (
                f"paying {currency} takes a currency conversion, which comes in a later version; "
                "write the amount in a token such as USDC"
            )
            found.append(RowDefect("fx_unsupported", reason))
        elif token is None:
            listed = ", ".join(sorted(payout.chain.tokens)) or "none"
            reason = (
                f"{_quoted(text)} is not an allow-listed token on {payout.chain.name} "
                f"(listed: {listed})"
            )
            found.append(RowDefect("currency_unsupported", reason))
        return token


def _payout(chain: Chain) -> _Payout:
    contracts = {token.address for token in chain.tokens.values()}
    if chain.batch_payment:
        contracts.add(chain.batch_payment)
    tokens = {symbol.upper(): token for symbol, token in chain.tokens.items()}
    return _Payout(chain, tokens, frozenset(contracts))


def _reference_defects(reference: str) -> Iterator[RowDefect]:
    if not normalize_reference(reference):
        yield RowDefect("empty_reference", "it has no reference")
    if len(reference) > MAX_REFERENCE_LENGTH:
        reason = f"its reference is longer than {MAX_REFERENCE_LENGTH} characters"
        yield RowDefect("reference_too_long", reason)
    if not reference.isprintable() and any(is_hidden(char) for char in reference):
        reason = "its reference holds a control or invisible character"
        yield RowDefect("reference_control_character", reason)


def _parse_payee(text: str, payout: _Payout | None, found: list[RowDefect]) -> str:
    try:
        payee = parse_evm_address(text)
    except AddressError as error:
        found.append(RowDefect(error.code, f"the address cannot be paid: {error.reason}"))
        return ""
    if payout is not None and payee in payout.contracts:
        reason = "the address is a token's or the payment contract's own; money sent there is lost"
        found.append(RowDefect("token_address", reason))
    return payee


def _parse_units(text: str, token: Token | None, found: list[RowDefect]) -> int:
    if token is None:
        return 0
    try:
        return parse_amount(text, decimals=token.decimals)
    except AmountError as error:
        found.append(RowDefect(error.code, f"the amount cannot be paid: {error.reason}"))
        return 0


def _quoted(text: str) -> str:
    return repr(to_printable(text)[:40])
