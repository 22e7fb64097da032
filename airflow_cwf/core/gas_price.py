"""Rules for a gas price, as data: `FastGas * 1.1`, `when(congested, FastGas * 1.1, FastGas)`.

A rule is evaluated at every quote, so it follows the market. It is data because it must travel
through Airflow's metadata and be read again by another process; ratios are exact, `1.1` is 11/10.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, NoReturn

from airflow_cwf.core.errors import ConfigError

MAX_RATIO: Final = 100
"""A rule asks for at most this many times the fast price, and at least for one part in it."""
MAX_WEI: Final = 2**128
MAX_DEPTH: Final = 8
"""How deeply `when` may be nested in JSON."""

_DECIMAL: Final = re.compile(r"\d{1,20}(?:\.\d{1,20})?(?:e[-+]?\d{1,2})?")
_RATIO: Final = re.compile(r"\d{1,40}(?:/\d{1,40})?")

Ratio = int | float | str | Fraction


class GasPrice(ABC):
    """A rule that gives a gas price; see `FastGas`, `when` and `wei`."""

    __slots__ = ()

    @abstractmethod
    def at(self, *, fast_gas: int, congested: bool) -> Fraction:
        """Return the price in wei per gas, unrounded."""

    @abstractmethod
    def scaled(self, ratio: Fraction) -> "GasPrice":
        """Return this rule times `ratio`."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return the rule as JSON values; `gas_price_from_json` reads it back."""

    def __mul__(self, ratio: Ratio) -> "GasPrice":
        return self.scaled(exact_ratio(ratio))

    def __rmul__(self, ratio: Ratio) -> "GasPrice":
        return self * ratio


@dataclass(frozen=True, slots=True)
class FastGasTimes(GasPrice):
    """The fast price times a ratio."""

    ratio: Fraction

    def __post_init__(self) -> None:
        if not Fraction(1, MAX_RATIO) <= self.ratio <= MAX_RATIO:
            raise ConfigError(
                f"A gas price of FastGas * {self.ratio} is not between 1/{MAX_RATIO} and "
                f"{MAX_RATIO} times the fast price."
            )

    def at(self, *, fast_gas: int, congested: bool) -> Fraction:
        """Return `fast_gas` times the ratio."""
        return fast_gas * self.ratio

    def scaled(self, ratio: Fraction) -> GasPrice:
        """Return the rule with the product of both ratios."""
        return FastGasTimes(self.ratio * ratio)

    def to_json(self) -> dict[str, Any]:
        """Return `{"fast_gas": "11/10"}`."""
        return {"fast_gas": str(self.ratio)}


@dataclass(frozen=True, slots=True)
class FixedPrice(GasPrice):
    """A price that does not follow the market."""

    price: Fraction
    """Wei per gas."""

    def __post_init__(self) -> None:
        if not 0 < self.price <= MAX_WEI:
            raise ConfigError(f"A fixed gas price of {self.price} wei is out of range.")

    def at(self, *, fast_gas: int, congested: bool) -> Fraction:
        """Return the price itself."""
        return self.price

    def scaled(self, ratio: Fraction) -> GasPrice:
        """Return the price times `ratio`."""
        return FixedPrice(self.price * ratio)

    def to_json(self) -> dict[str, Any]:
        """Return `{"wei": "30000000000"}`, as text because JSON's numbers are not exact."""
        return {"wei": str(self.price)}


@dataclass(frozen=True, slots=True)
class Condition:
    """A fact about the chain that a rule may ask for; there is one, `congested`."""

    name: str

    def __bool__(self) -> NoReturn:
        raise ConfigError(
            f"`{self.name}` is known only when a price is quoted. Write "
            f"when({self.name}, FastGas * 1.1, FastGas) instead of `... if {self.name} else ...`."
        )


@dataclass(frozen=True, slots=True)
class When(GasPrice):
    """One of two rules, by a condition."""

    condition: Condition
    then: GasPrice
    otherwise: GasPrice

    def at(self, *, fast_gas: int, congested: bool) -> Fraction:
        """Return what the rule that applies returns."""
        chosen = self.then if congested else self.otherwise
        return chosen.at(fast_gas=fast_gas, congested=congested)

    def scaled(self, ratio: Fraction) -> GasPrice:
        """Return both rules times `ratio`."""
        return When(self.condition, self.then.scaled(ratio), self.otherwise.scaled(ratio))

    def to_json(self) -> dict[str, Any]:
        """Return `{"when": "congested", "then": ..., "else": ...}`."""
        return {
            "when": self.condition.name,
            "then": self.then.to_json(),
            "else": self.otherwise.to_json(),
        }


FastGas: Final = FastGasTimes(Fraction(1))
"""The price that gets a transaction in quickly; times a number it is another rule."""
congested: Final = Condition("congested")
"""Whether the chain is congested at the time of the quote, by `fees.is_congested`."""

PriceFunction = Callable[[int], int]
"""From the fast price to the price, both wei per gas. Works in one process only."""
PriceRule = GasPrice | int | PriceFunction


def wei(price: int) -> GasPrice:
    """Return the rule of a fixed price in wei per gas.

    Raises:
        ConfigError: not a positive integer.
    """
    if type(price) is not int:
        raise ConfigError(f"A fixed gas price is an integer of wei, not {price!r}.")
    return FixedPrice(Fraction(price))


def when(condition: Condition, then: GasPrice | int, otherwise: GasPrice | int) -> GasPrice:
    """Return the rule that is `then` while `condition` holds and `otherwise` while not.

    Raises:
        ConfigError: a part is not a condition or not a rule.
    """
    if condition != congested:
        raise ConfigError("The one condition that a gas price may ask for is `congested`.")
    return When(congested, _rule(then), _rule(otherwise))


def evaluate(rule: PriceRule, *, fast_gas: int, congested: bool) -> int:
    """Return the price in wei per gas, rounded up, at least 1.

    Args:
        rule: a rule, a fixed price in wei, or a function of the fast price.
        fast_gas: the fast price now, wei per gas.
        congested: whether the chain is congested now.

    Raises:
        ConfigError: a function returned something that is not a positive integer.
    """
    if isinstance(rule, GasPrice | int):
        price = _rule(rule).at(fast_gas=fast_gas, congested=congested)
        return max(1, -(-price.numerator // price.denominator))
    result = rule(fast_gas)
    if type(result) is not int or not 0 < result <= MAX_WEI:
        raise ConfigError(
            f"The gas price function returned {result!r}; it must return a positive integer of wei."
        )
    return result


def to_json(rule: PriceRule) -> dict[str, Any]:
    """Return a rule as JSON values.

    Raises:
        ConfigError: `rule` is a function, which cannot travel to another process.
    """
    if isinstance(rule, GasPrice | int):
        return _rule(rule).to_json()
    raise ConfigError(
        "A function as gas price works in the library only; a DAG needs a rule that can be stored, "
        "such as FastGas * 1.1 or when(congested, FastGas * 1.1, FastGas)."
    )


def gas_price_from_json(value: object) -> GasPrice:
    """Return the rule that `to_json` wrote.

    Raises:
        ConfigError: it is not such a rule.
    """
    return _from_json(value, depth=0)


def exact_ratio(ratio: Ratio) -> Fraction:
    """Return a ratio exactly as it is written: 1.1 is 11/10, not the nearest binary fraction.

    Raises:
        ConfigError: not a positive number.
    """
    if isinstance(ratio, Fraction):
        return ratio
    written = repr(ratio) if type(ratio) in {int, float} else ratio
    if isinstance(written, str) and _DECIMAL.fullmatch(written):
        return Fraction(written)
    if isinstance(written, str) and _RATIO.fullmatch(written):
        return _fraction(written)
    raise ConfigError(f"{ratio!r} is not a ratio; write FastGas * 1.1, or a Fraction.")


def _rule(part: object) -> GasPrice:
    if isinstance(part, GasPrice):
        return part
    if type(part) is int:
        return wei(part)
    raise ConfigError(f"{part!r} is not a gas price rule; write FastGas * 1.1, or an int of wei.")


def _from_json(value: object, *, depth: int) -> GasPrice:
    match value:
        case {"fast_gas": str(ratio), **rest} if not rest and _RATIO.fullmatch(ratio):
            return FastGasTimes(_fraction(ratio))
        case {"wei": str(price), **rest} if not rest and _RATIO.fullmatch(price):
            return FixedPrice(_fraction(price))
        case {"when": congested.name, "then": then, "else": other, **rest} if (
            not rest and depth < MAX_DEPTH
        ):
            return When(
                congested, _from_json(then, depth=depth + 1), _from_json(other, depth=depth + 1)
            )
    kind = ", ".join(map(str, value)) if isinstance(value, Mapping) else type(value).__name__
    raise ConfigError(f"The stored gas price rule cannot be read ({kind[:80]}).")


def _fraction(text: str) -> Fraction:
    try:
        return Fraction(text)
    except ZeroDivisionError as error:
        raise ConfigError(f"{text} divides by zero.") from error
