from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cwf.core.errors import ConfigError, PolicyError
from airflow_cwf.core.fees import (
    HISTORY_BLOCKS,
    PERCENTILES,
    STRATEGIES,
    FeeCapError,
    ceil_div,
    fast_gas_of,
    is_congested,
    parse_strategy,
    quote_fees,
    quote_price,
)
from airflow_cwf.core.gas_price import FastGas, congested, when
from airflow_cwf.core.transactions import FeeHistory

GWEI = 10**9


def history(*, base=10 * GWEI, tips=(1, 2, 3), ratios=(0.5, 0.5, 0.5), next_base=None):
    """One block per tip; the percentiles 10, 50, 90 pay tip, 2 * tip, 3 * tip."""
    return FeeHistory(
        newest_block=100,
        base_fees=(base,) * len(tips) + (base if next_base is None else next_base,),
        gas_used_ratios=tuple(ratios),
        percentiles=PERCENTILES,
        rewards=tuple((tip, 2 * tip, 3 * tip) for tip in tips),
    )


@st.composite
def histories(draw):
    blocks = draw(st.integers(1, 25))
    amounts = st.integers(0, 10**13)
    return FeeHistory(
        newest_block=draw(st.integers(0, 10**9)),
        base_fees=tuple(draw(st.lists(amounts, min_size=blocks + 1, max_size=blocks + 1))),
        gas_used_ratios=tuple(draw(st.lists(st.floats(0, 1), min_size=blocks, max_size=blocks))),
        percentiles=PERCENTILES,
        rewards=tuple(
            tuple(sorted(draw(st.tuples(amounts, amounts, amounts)))) for _ in range(blocks)
        ),
    )


def test_the_four_strategies_are_the_documented_ones():
    assert list(STRATEGIES) == ["optimal", "fast", "eco", "custom"]
    assert PERCENTILES == (10, 50, 90)
    assert max(plan.blocks for plan in STRATEGIES.values()) == HISTORY_BLOCKS


@pytest.mark.parametrize(
    ("name", "max_fee", "tip"),
    [("eco", 20 * GWEI + 2, 2), ("optimal", 20 * GWEI + 4, 4), ("fast", 30 * GWEI + 6, 6)],
)
def test_a_quote_is_the_multiplied_base_fee_plus_the_median_tip(name, max_fee, tip):
    quote = quote_fees(history(), STRATEGIES[name], cap=None)
    assert (quote.max_fee_per_gas, quote.max_priority_fee_per_gas) == (max_fee, tip)
    assert quote.block == 100


def test_the_next_base_fee_counts_not_the_last():
    quote = quote_fees(history(next_base=12 * GWEI), STRATEGIES["eco"], cap=None)
    assert quote.max_fee_per_gas == 24 * GWEI + 2


def test_an_odd_multiplier_is_rounded_up():
    plan = replace(STRATEGIES["eco"], base_fee_multiplier=(3, 2))
    assert quote_fees(history(base=7), plan, cap=None).max_fee_per_gas == 11 + 2
    assert (ceil_div(7 * 3, 2), ceil_div(6, 2), ceil_div(0, 5)) == (11, 3, 0)


def test_empty_blocks_do_not_pull_the_tip_to_zero():
    sparse = history(tips=(0, 0, 5, 0), ratios=(0.0, 0.0, 0.3, 0.0))
    assert quote_fees(sparse, STRATEGIES["eco"], cap=None).max_priority_fee_per_gas == 5


def test_a_chain_of_empty_blocks_gets_the_least_tip():
    idle = history(tips=(0, 0), ratios=(0.0, 0.0))
    assert quote_fees(idle, STRATEGIES["fast"], cap=None).max_priority_fee_per_gas == 1


def test_a_strategy_reads_no_more_blocks_than_its_plan_says():
    tips = (1000,) * 10 + (1,) * 5
    long = history(tips=tips, ratios=(0.5,) * 15)
    assert quote_fees(long, STRATEGIES["fast"], cap=None).max_priority_fee_per_gas == 3
    assert quote_fees(long, STRATEGIES["eco"], cap=None).max_priority_fee_per_gas == 1000


def test_a_quote_above_the_cap_is_clamped_and_the_tip_with_it():
    quote = quote_fees(history(tips=(30 * GWEI,) * 3), STRATEGIES["eco"], cap=15 * GWEI)
    assert quote.max_fee_per_gas == 15 * GWEI
    assert quote.max_priority_fee_per_gas == 15 * GWEI


def test_a_cap_at_the_next_base_fee_is_still_a_quote():
    assert quote_fees(history(), STRATEGIES["eco"], cap=10 * GWEI).max_fee_per_gas == 10 * GWEI


def test_a_cap_below_the_next_base_fee_is_an_error_with_both_figures():
    with pytest.raises(FeeCapError, match="Nothing was sent") as caught:
        quote_fees(history(), STRATEGIES["eco"], cap=10 * GWEI - 1)
    assert (caught.value.cap, caught.value.base_fee) == (10 * GWEI - 1, 10 * GWEI)
    assert isinstance(caught.value, PolicyError)


def test_a_history_without_the_plans_percentile_is_refused():
    with pytest.raises(ConfigError, match="percentile 10"):
        quote_fees(replace(history(), percentiles=(11, 50, 90)), STRATEGIES["eco"], cap=None)


def test_a_price_is_what_is_paid_in_all():
    quote = quote_price(history(), 12 * GWEI, cap=None)
    assert (quote.max_fee_per_gas, quote.max_priority_fee_per_gas) == (12 * GWEI, 2 * GWEI)


def test_a_price_at_the_base_fee_tips_one_wei_and_a_lower_one_is_refused():
    assert quote_price(history(), 10 * GWEI, cap=None).max_priority_fee_per_gas == 1
    with pytest.raises(FeeCapError):
        quote_price(history(), 10 * GWEI - 1, cap=None)


def test_fast_gas_is_next_base_fee_plus_the_fast_tip():
    assert fast_gas_of(history(next_base=11 * GWEI)) == 11 * GWEI + 6


@pytest.mark.parametrize(
    ("ratios", "next_base", "expected"),
    [
        ((0.5,) * 6, 100, False),
        ((0.0,) + (1.0,) * 5, 100, True),
        ((0.9,) * 5, 100, False),
        ((1.0, 0.5, 0.5, 0.5, 0.5), 112, False),
        ((0.5,) * 5, 113, True),
        ((0.5,), 100, False),
    ],
)
def test_congestion_is_full_blocks_or_a_risen_base_fee(ratios, next_base, expected):
    past = history(base=100, tips=(1,) * len(ratios), ratios=ratios, next_base=next_base)
    assert is_congested(past) is expected


def test_a_base_fee_of_a_few_wei_is_not_congestion_by_rounding():
    assert not is_congested(history(base=7, next_base=8))


@pytest.mark.parametrize("name", ["eco", "fast", "optimal"])
def test_a_named_strategy_quotes_by_its_plan(name):
    assert parse_strategy(name).quote(history(), cap=None) == quote_fees(
        history(), STRATEGIES[name], cap=None
    )


def test_a_custom_strategy_quotes_by_its_rule_and_the_congestion():
    strategy = parse_strategy("custom", when(congested, FastGas * 2, FastGas))
    calm = strategy.quote(history(tips=(GWEI,) * 3), cap=None)
    busy = strategy.quote(history(tips=(GWEI,) * 3, ratios=(1.0,) * 3), cap=None)
    assert (calm.max_fee_per_gas, busy.max_fee_per_gas) == (13 * GWEI, 26 * GWEI)
    assert strategy.quote(history(), cap=11 * GWEI).max_fee_per_gas == 10 * GWEI + 6


@pytest.mark.parametrize("rule", [FastGas, 30 * GWEI, lambda fast: fast + 1])
def test_custom_takes_a_rule_a_number_or_a_function(rule):
    assert parse_strategy("custom", rule).gas_price is rule


@pytest.mark.parametrize(
    ("name", "gas_price", "words"),
    [
        ("turbo", None, "optimal, fast, eco, custom"),
        ("custom", None, "needs gas_price"),
        ("eco", FastGas, "goes with the gas strategy `custom`"),
        ("custom", 1.5, "not a gas price"),
        ("custom", 0, "not a gas price"),
        ("custom", True, "not a gas price"),
    ],
)
def test_a_strategy_that_does_not_fit_is_a_value_error_that_says_so(name, gas_price, words):
    with pytest.raises(ConfigError, match=words) as caught:
        parse_strategy(name, gas_price)
    assert isinstance(caught.value, ValueError)


@given(histories(), st.sampled_from(sorted(STRATEGIES)), st.none() | st.integers(0, 10**14))
def test_every_quote_is_within_its_bounds_or_refused(past, name, cap):
    base = past.base_fees[-1]
    try:
        quote = quote_fees(past, STRATEGIES[name], cap=cap)
    except FeeCapError:
        assert cap is not None
        assert cap < max(base, 1)
        return
    assert 1 <= quote.max_priority_fee_per_gas <= quote.max_fee_per_gas
    assert quote.max_fee_per_gas >= base
    assert cap is None or quote.max_fee_per_gas <= cap


@given(histories())
def test_a_hastier_strategy_never_offers_less_on_the_same_blocks(past):
    recent = replace(
        past,
        base_fees=past.base_fees[-min(6, len(past.base_fees)) :],
        gas_used_ratios=past.gas_used_ratios[-5:],
        rewards=past.rewards[-5:],
    )
    eco, optimal, fast = (
        quote_fees(recent, STRATEGIES[name], cap=None) for name in ("eco", "optimal", "fast")
    )
    assert (
        eco.max_priority_fee_per_gas
        <= optimal.max_priority_fee_per_gas
        <= fast.max_priority_fee_per_gas
    )
    assert eco.max_fee_per_gas <= optimal.max_fee_per_gas <= fast.max_fee_per_gas


@given(histories(), st.integers(1, 10**6))
def test_a_higher_base_fee_never_lowers_a_quote(past, more):
    raised = replace(past, base_fees=(*past.base_fees[:-1], past.base_fees[-1] + more))
    low, high = (quote_fees(each, STRATEGIES["eco"], cap=None) for each in (past, raised))
    assert low.max_fee_per_gas < high.max_fee_per_gas
    assert fast_gas_of(past) + more == fast_gas_of(raised)


@given(histories(), st.fractions(Fraction(1), Fraction(5)))
def test_a_custom_rule_of_at_least_one_is_always_payable(past, ratio):
    quote = parse_strategy("custom", FastGas * ratio).quote(past, cap=None)
    assert quote.max_fee_per_gas >= past.base_fees[-1] + 1
