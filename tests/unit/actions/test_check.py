from pathlib import Path

import pytest

from airflow_cwf.actions.check import PaymentSum, check_payments
from airflow_cwf.core.chains import parse_chains
from airflow_cwf.core.errors import InputError

ROOT = Path(__file__).parents[3]
VECTORS = ROOT / "tests/vectors/payments"
CHAINS = parse_chains((ROOT / "airflow_cwf/data/chains.json").read_text())


def check(name):
    return check_payments((VECTORS / name).read_bytes(), chains=CHAINS)


def test_a_clean_file_is_summed_per_chain_and_token():
    result = check("good.csv")
    assert result.is_clean
    assert result.sums == (
        PaymentSum("arbitrum", "USDC", decimals=6, payments=1, amount=1),
        PaymentSum("ethereum", "USDC", decimals=6, payments=1, amount=100_000_000),
        PaymentSum("polygon", "USDC", decimals=6, payments=1, amount=2_500_500_000),
    )


def test_tokens_of_one_chain_are_summed_apart():
    data = (VECTORS / "good.csv").read_bytes()
    data += b"emp-4,ethereum,0x" + b"a1" * 20 + b",7,EURC,,\n"
    sums = {
        (each.chain, each.token): each.amount for each in check_payments(data, chains=CHAINS).sums
    }
    assert sums["ethereum", "EURC"] == 7_000_000
    assert sums["ethereum", "USDC"] == 100_000_000


def test_rows_that_would_not_pay_are_in_no_sum():
    result = check("conflicting-rows.csv")
    assert not result.is_clean
    assert [each.payments for each in result.sums] == [1]


def test_a_file_without_any_payable_row_has_no_sums():
    assert check("amounts.csv").sums == ()


def test_an_unreadable_file_raises():
    with pytest.raises(InputError):
        check("empty.csv")
