"""What the platform allows. A DAG may tighten a policy, never widen it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from airflow_cwf.core.errors import ConfigError

BUDGET_UNITS: Final = 10**6
"""Budgets count 10^-6 of a token, whatever its decimals."""
GWEI: Final = 10**9
AMOUNT: Final = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,9})?")
"""Decimals as people write them: no sign, exponent or separator, and exact in `Decimal`."""
MEMBERS: Final = frozenset({"max_per_run", "max_fee_per_gas_gwei", "require_approval"})


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits that are checked before anything is signed."""

    max_per_run: Mapping[str, int] = field(default_factory=dict)
    """By token symbol, in 10^-6 of the token; a token that is not listed has no cap but the
    approved plan itself."""
    max_fee_per_gas: int | None = None
    """Wei per gas that no quote may pass."""
    require_approval: bool = False
    """Whether a plan must carry a person's approval before anything is signed."""


def parse_policy(text: str, *, source: str) -> Policy:
    """Parse a policy document.

    Example: `{"max_per_run": {"USDC": "250000"}, "max_fee_per_gas_gwei": "150",
    "require_approval": true}`; amounts are decimal strings.

    Raises:
        ConfigError: unknown members (a misspelt limit must not be no limit), bad amounts.
    """
    try:
        document: dict[str, Any] = json.loads(text, object_pairs_hook=_members)
        _check_members(document)
        caps = {
            symbol: _scaled(amount, BUDGET_UNITS)
            for symbol, amount in document.get("max_per_run", {}).items()
        }
        fee = document.get("max_fee_per_gas_gwei")
        fee_cap = None if fee is None else _scaled(fee, GWEI)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        message = f"The policy in {source} cannot be read: {error}. Nothing is signed without it."
        raise ConfigError(message) from error
    return Policy(
        max_per_run=caps,
        max_fee_per_gas=fee_cap,
        require_approval=document.get("require_approval", False),
    )


def _check_members(document: Mapping[str, Any]) -> None:
    unknown = sorted(set(document) - MEMBERS)
    if unknown:
        message = f"unknown members {', '.join(unknown)}"
        raise ValueError(message)
    if not isinstance(document.get("require_approval", False), bool):
        message = "`require_approval` is true or false"
        raise TypeError(message)


def _members(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    """Refuse a member that stands twice: the second would silently be the limit."""
    members = dict(pairs)
    if len(members) != len(pairs):
        message = "a member stands twice"
        raise ValueError(message)
    return members


def _scaled(text: object, factor: int) -> int:
    if not isinstance(text, str):
        message = f"amounts are decimal strings, not {text!r}"
        raise TypeError(message)
    if AMOUNT.fullmatch(text) is None:
        message = f"{text!r} is not an amount"
        raise ValueError(message)
    value = Decimal(text) * factor
    if value != value.to_integral_value():
        message = f"{text!r} has more decimals than are counted"
        raise ValueError(message)
    return int(value)
