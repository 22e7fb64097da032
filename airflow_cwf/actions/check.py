"""Check a payments file without a chain: what it would pay, and what stands against it."""

from collections.abc import Mapping
from dataclasses import dataclass

from airflow_cwf.core.chains import Chain
from airflow_cwf.core.payment_files import parse_csv
from airflow_cwf.core.payments import Payment, PaymentBook, validate_rows

__all__ = ["PaymentCheck", "PaymentSum", "check_payments"]


@dataclass(frozen=True, slots=True)
class PaymentSum:
    """What one chain would pay out in one token."""

    chain: str
    token: str
    decimals: int
    payments: int
    amount: int
    """Smallest units."""


@dataclass(frozen=True, slots=True)
class PaymentCheck:
    """A checked file: its book and the sums of the rows that would pay."""

    book: PaymentBook
    sums: tuple[PaymentSum, ...]
    """By chain, then token."""

    @property
    def is_clean(self) -> bool:
        """Whether every row would pay."""
        return not self.book.problems


def check_payments(data: bytes, *, chains: Mapping[str, Chain]) -> PaymentCheck:
    """Read and validate a payments file, and add up what it would pay.

    Raises:
        InputError: the file cannot be read at all.
    """
    book = validate_rows(parse_csv(data), chains=chains)
    amounts: dict[tuple[str, str], list[Payment]] = {}
    for payment in book.payments:
        amounts.setdefault((payment.chain, payment.token), []).append(payment)
    sums = tuple(
        PaymentSum(
            chain=chain,
            token=token,
            decimals=chains[chain].token(token).decimals,
            payments=len(payments),
            amount=sum(payment.amount for payment in payments),
        )
        for (chain, token), payments in sorted(amounts.items())
    )
    return PaymentCheck(book=book, sums=sums)
