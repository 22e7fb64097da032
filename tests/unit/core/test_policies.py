import pytest

from airflow_cwf.core.errors import ConfigError
from airflow_cwf.core.policies import Policy, parse_policy


def test_a_policy_is_read_in_exact_units():
    text = (
        '{"max_per_run": {"USDC": "250000", "EURC": "0.000001"},'
        ' "max_fee_per_gas_gwei": "150.5", "require_approval": true}'
    )
    assert parse_policy(text, source="a test") == Policy(
        max_per_run={"USDC": 250_000_000_000, "EURC": 1},
        max_fee_per_gas=150_500_000_000,
        require_approval=True,
    )


def test_an_empty_policy_limits_nothing():
    assert parse_policy("{}", source="a test") == Policy()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "7",
        '"text"',
        "[" * 100_000,
        '{"max_per_rum": {}}',
        '{"max_per_run": []}',
        '{"max_per_run": null}',
        '{"require_approval": "yes"}',
        '{"require_approval": 1}',
        '{"max_per_run": {"USDC": "5"}, "max_per_run": {}}',
        '{"max_per_run": {"USDC": "5", "USDC": "500"}}',
        '{"require_approval": true, "require_approval": false}',
    ],
)
def test_a_policy_that_is_not_quite_one_is_no_policy(text):
    with pytest.raises(ConfigError, match=r"policy in a test cannot be read.*Nothing is signed"):
        parse_policy(text, source="a test")


@pytest.mark.parametrize(
    "amount",
    [
        '"-1"', '"+1"', '"1e9"', '"1e999999999"', '"NaN"', '"sNaN"', '"Infinity"', '""', '" 5"',
        '"5 "', '"1_000"', '"1,000"', '"0x10"', '".5"', '"5."', '"\u0665"', '"0.0000001"', "5",
        "5.0", "null", "true", '"12345678901234567890123456789.5"',
    ],
)  # fmt: skip
@pytest.mark.parametrize("member", ['{"max_per_run": {"USDC": %s}}'])
def test_what_is_not_a_plain_amount_is_no_limit_and_no_policy(member, amount):
    with pytest.raises(ConfigError, match="cannot be read"):
        parse_policy(member % amount, source="a test")


def test_a_fee_finer_than_a_wei_is_refused():
    assert parse_policy('{"max_fee_per_gas_gwei": "0.000000001"}', source="x").max_fee_per_gas == 1
    with pytest.raises(ConfigError):
        parse_policy('{"max_fee_per_gas_gwei": "0.0000000001"}', source="x")
