import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cwf.core.errors import ConfigError
from airflow_cwf.core.gas_price import (
    FastGas,
    congested,
    evaluate,
    gas_price_from_json,
    to_json,
    wei,
    when,
)

ratios = st.fractions(Fraction(1, 50), Fraction(50), max_denominator=10**6)
leaves = ratios.map(lambda ratio: FastGas * ratio) | st.integers(1, 10**15).map(wei)
rules = st.recursive(
    leaves, lambda inner: st.builds(when, st.just(congested), inner, inner), max_leaves=5
)


def price(rule, fast_gas=100, *, busy=False):
    return evaluate(rule, fast_gas=fast_gas, congested=busy)


@pytest.mark.parametrize("ratio", [1.1, "1.1", "11/10", Fraction(11, 10)])
def test_a_ratio_is_taken_as_it_is_written(ratio):
    assert to_json(FastGas * ratio) == {"fast_gas": "11/10"}
    assert ratio * FastGas == FastGas * ratio if not isinstance(ratio, str) else True


def test_a_decimal_ratio_is_exact_where_binary_fractions_are_not():
    assert price(FastGas * 1.1, 10**18) == 1_100_000_000_000_000_000
    assert int(10**18 * 1.1) != price(FastGas * 1.1, 10**18)


def test_prices_are_rounded_up_and_never_zero():
    assert price(FastGas * 1.1, 1) == 2
    assert price(FastGas * "1/3", 10) == 4
    assert price(FastGas, 0) == 1


def test_ratios_multiply_exactly():
    assert FastGas * 1.1 * 2 == FastGas * "11/5"
    assert when(congested, FastGas * 2, wei(7)) * 2 == when(congested, FastGas * 4, wei(14))


def test_when_chooses_by_the_condition():
    rule = when(congested, FastGas * 1.1, FastGas)
    assert (price(rule, busy=True), price(rule)) == (110, 100)


def test_a_branch_may_be_a_number_of_wei():
    assert price(when(congested, 500, FastGas), busy=True) == 500


def test_asking_the_condition_in_python_says_how_to_write_it():
    with pytest.raises(ConfigError, match=r"when\(congested, FastGas \* 1.1, FastGas\)"):
        bool(congested)


@pytest.mark.parametrize(
    "ratio",
    [0, -1, "-1.1", 1e-7, 101, float("nan"), float("inf"), True, None, "1.1x", "1/0", "1e99"],
)
def test_a_ratio_that_is_none_or_beyond_reason_is_refused(ratio):
    with pytest.raises(ConfigError):
        FastGas * ratio


@pytest.mark.parametrize("part", ["FastGas", None, 1.5, True, 0, -3])
def test_a_branch_that_is_not_a_rule_is_refused(part):
    with pytest.raises(ConfigError):
        when(congested, part, FastGas)


def test_only_congested_is_a_condition():
    with pytest.raises(ConfigError, match="congested"):
        when(True, FastGas, FastGas)


@pytest.mark.parametrize("price_of_wei", [0, -1, 1.0, "3", True, 2**129])
def test_a_fixed_price_is_a_positive_integer(price_of_wei):
    with pytest.raises(ConfigError):
        wei(price_of_wei)


def test_a_function_gives_the_price_from_the_fast_price():
    assert price(lambda fast_gas: fast_gas + 3) == 103


@pytest.mark.parametrize("result", [1.5, None, 0, -1, True, 2**200])
def test_a_function_that_returns_no_price_is_named(result):
    with pytest.raises(ConfigError, match="positive integer"):
        price(lambda _fast_gas: result)


def test_a_function_cannot_be_stored_and_the_error_says_what_can():
    with pytest.raises(ConfigError, match="library only"):
        to_json(lambda fast_gas: fast_gas)


def test_a_bare_number_is_stored_as_a_fixed_price():
    assert gas_price_from_json(to_json(5)) == wei(5)


@given(rules)
def test_a_rule_survives_json(rule):
    assert gas_price_from_json(json.loads(json.dumps(to_json(rule)))) == rule


@given(rules, st.integers(1, 10**15), st.booleans())
def test_a_price_is_a_positive_integer_within_one_wei_above_the_exact_one(rule, fast_gas, busy):
    exact = rule.at(fast_gas=fast_gas, congested=busy)
    assert 0 <= price(rule, fast_gas, busy=busy) - exact < 1


@given(rules, st.integers(1, 10**15), st.integers(0, 10**15), st.booleans())
def test_a_higher_fast_price_never_lowers_the_price(rule, fast_gas, more, busy):
    assert price(rule, fast_gas, busy=busy) <= price(rule, fast_gas + more, busy=busy)


def nested(depth):
    value = {"fast_gas": "1"}
    for _ in range(depth):
        value = {"when": "congested", "then": value, "else": {"fast_gas": "1"}}
    return value


def test_nesting_is_bounded():
    assert gas_price_from_json(nested(8))
    with pytest.raises(ConfigError):
        gas_price_from_json(nested(9))


@pytest.mark.parametrize(
    "value",
    [
        None,
        "FastGas",
        {},
        {"fast_gas": 1.1},
        {"fast_gas": "1.1"},
        {"fast_gas": "1/0"},
        {"fast_gas": "1000"},
        {"fast_gas": "1", "more": 1},
        {"wei": 5},
        {"wei": "-5"},
        {"wei": "0"},
        {"when": "full moon", "then": {"fast_gas": "1"}, "else": {"fast_gas": "1"}},
        {"when": "congested", "then": {"fast_gas": "1"}},
    ],
)
def test_a_stored_rule_that_is_not_one_is_refused(value):
    with pytest.raises(ConfigError):
        gas_price_from_json(value)
