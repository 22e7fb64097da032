"""What to pay for gas: strategies as data, quotes as a pure function of the fee history.

EIP-1559 (https://eips.ethereum.org/EIPS/eip-1559): a transaction pays the block's base fee plus a
tip, and states the most it pays in all. The cap is a limit, not a cost: only base fee plus tip is
paid. All amounts are wei per gas.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from airflow_cwf.core.errors import ConfigError, PolicyError
from airflow_cwf.core.gas_price import GasPrice, PriceRule, evaluate
from airflow_cwf.core.transactions import FeeHistory, FeeQuote


class FeeCapError(PolicyError):
    """The most that may be paid is below what the next block asks; waiting may help.

    `cap` and `base_fee` are in wei per gas.
    """

    def __init__(self, message: str, *, cap: int, base_fee: int) -> None:
        super().__init__(message)
        self.cap = cap
        self.base_fee = base_fee


class StrategyError(ConfigError, ValueError):
    """A strategy that does not exist, or one that does not fit the gas price given with it."""


@dataclass(frozen=True, slots=True)
class FeePlan:
    """How a strategy reads the market."""

    percentile: int
    """Of the tips paid in each block, by gas."""
    base_fee_multiplier: tuple[int, int]
    """The cap allows the next base fee times this ratio; a full block raises it by 1/8."""
    blocks: int
    """How many of the last blocks are read."""


STRATEGIES: Final[Mapping[str, FeePlan]] = MappingProxyType(
    {
        "optimal": FeePlan(percentile=50, base_fee_multiplier=(2, 1), blocks=10),
        "fast": FeePlan(percentile=90, base_fee_multiplier=(3, 1), blocks=5),
        "eco": FeePlan(percentile=10, base_fee_multiplier=(2, 1), blocks=20),
        # The price comes from a rule; the plan is what its `FastGas` means.
        "custom": FeePlan(percentile=90, base_fee_multiplier=(3, 1), blocks=5),
    }
)
PERCENTILES: Final = tuple(sorted({plan.percentile for plan in STRATEGIES.values()}))
"""What to ask a node for, so that one history serves every strategy."""
HISTORY_BLOCKS: Final = max(plan.blocks for plan in STRATEGIES.values())
"""As `PERCENTILES`."""

MIN_TIP: Final = 1
CONGESTION_BLOCKS: Final = 5
CONGESTED_RATIO: Final = (9, 10)
CONGESTED_RISE: Final = (9, 8)


@dataclass(frozen=True, slots=True)
class GasStrategy:
    """A strategy by name, with its rule if it is `custom`."""

    name: str
    plan: FeePlan
    gas_price: PriceRule | None = None

    def quote(self, history: FeeHistory, *, cap: int | None) -> FeeQuote:
        """Return the fees of a transaction signed now; see `quote_fees` and `quote_price`."""
        if self.gas_price is None:
            return quote_fees(history, self.plan, cap=cap)
        price = evaluate(
            self.gas_price, fast_gas=fast_gas_of(history), congested=is_congested(history)
        )
        return quote_price(history, price, cap=cap)


def parse_strategy(name: str, gas_price: PriceRule | None = None) -> GasStrategy:
    """Return the strategy `name`.

    Args:
        name: `optimal`, `fast`, `eco` or `custom`.
        gas_price: the rule of `custom`, which no other strategy takes.

    Raises:
        StrategyError: an unknown name, or a rule missing or too many.
    """
    if name not in STRATEGIES:
        known = ", ".join(STRATEGIES)
        raise StrategyError(f"{name!r} is not a gas strategy; there are {known}.")
    if name == "custom" and gas_price is None:
        raise StrategyError("The gas strategy `custom` needs gas_price=..., e.g. FastGas * 1.1.")
    if name != "custom" and gas_price is not None:
        raise StrategyError(
            f"gas_price goes with the gas strategy `custom`, not with {name!r}; give one of them."
        )
    if gas_price is not None and not _is_rule(gas_price):
        raise StrategyError(f"{gas_price!r} is not a gas price; write e.g. FastGas * 1.1.")
    return GasStrategy(name=name, plan=STRATEGIES[name], gas_price=gas_price)


def quote_fees(history: FeeHistory, plan: FeePlan, *, cap: int | None) -> FeeQuote:
    """Return what a transaction signed now should offer.

    The tip is the median, over the plan's blocks that were not empty, of the plan's percentile;
    the cap is the next base fee times the plan's multiplier, plus the tip.

    Args:
        history: must hold the plan's percentile.
        plan: see `STRATEGIES`.
        cap: the most that may be paid in all; the quote is clamped to it.

    Raises:
        FeeCapError: `cap` is below the next base fee, so no quote could be included.
        ConfigError: the history does not hold the plan's percentile.
    """
    times, over = plan.base_fee_multiplier
    tip = _median_tip(history, plan)
    limit = ceil_div(history.base_fees[-1] * times, over) + tip
    return _clamped(history, limit=limit, tip=tip, cap=cap)


def quote_price(history: FeeHistory, price: int, *, cap: int | None) -> FeeQuote:
    """Return an offer of `price` in all: what is above the next base fee goes to the tip.

    Raises:
        FeeCapError: `price` or `cap` is below the next base fee.
    """
    tip = price - history.base_fees[-1]
    return _clamped(history, limit=price, tip=tip, cap=cap)


def fast_gas_of(history: FeeHistory) -> int:
    """Return what `FastGas` is where no oracle is read: next base fee and tip of `fast`."""
    return history.base_fees[-1] + _median_tip(history, STRATEGIES["fast"])


def is_congested(history: FeeHistory) -> bool:
    """Return whether the last 5 blocks were over 9/10 full, or the base fee rose by over 1/8.

    The rise is from the first of these blocks to the next one; one full block alone is no more
    than 1/8.
    """
    ratios = history.gas_used_ratios[-CONGESTION_BLOCKS:]
    full_part, full_whole = CONGESTED_RATIO
    rise_part, rise_whole = CONGESTED_RISE
    is_full = sum(ratios) * full_whole > full_part * len(ratios)
    oldest = history.base_fees[-len(ratios) - 1]
    # A base fee of a few wei moves in steps of more than 1/8 (EIP-1559 rounds up to 1 wei).
    has_risen = history.base_fees[-1] * rise_whole > max(oldest, rise_whole) * rise_part
    return is_full or has_risen


def ceil_div(value: int, by: int) -> int:
    """Return `value / by` rounded up; `by` is positive."""
    return -(-value // by)


def _median_tip(history: FeeHistory, plan: FeePlan) -> int:
    try:
        column = history.percentiles.index(plan.percentile)
    except ValueError as error:
        raise ConfigError(
            f"The fee history was asked without the percentile {plan.percentile}."
        ) from error
    # An empty block reports tips of zero, which says nothing about the market.
    tips = sorted(
        rewards[column]
        for rewards, used in zip(
            history.rewards[-plan.blocks :], history.gas_used_ratios[-plan.blocks :], strict=True
        )
        if used > 0
    )
    return max(MIN_TIP, tips[len(tips) // 2]) if tips else MIN_TIP


def _clamped(history: FeeHistory, *, limit: int, tip: int, cap: int | None) -> FeeQuote:
    base_fee = history.base_fees[-1]
    most = limit if cap is None else min(limit, cap)
    if most < max(base_fee, MIN_TIP):
        raise FeeCapError(
            f"The next block asks {base_fee} wei per gas and at most {most} may be paid. Nothing "
            f"was sent; wait for lower fees or raise the limit.",
            cap=most,
            base_fee=base_fee,
        )
    return FeeQuote(
        max_fee_per_gas=most,
        max_priority_fee_per_gas=min(max(tip, MIN_TIP), most),
        block=history.newest_block,
    )


def _is_rule(rule: object) -> bool:
    return isinstance(rule, GasPrice) or callable(rule) or (type(rule) is int and rule > 0)
