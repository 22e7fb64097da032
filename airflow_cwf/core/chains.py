"""Chains as data: what a chain is called, what it is, and when it is final."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from airflow_cwf.core.addresses import AddressError, parse_evm_address
from airflow_cwf.core.errors import ConfigError

CAIP2: Final = re.compile(r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}")
"""https://standards.chainagnostic.org/CAIPs/caip-2"""


@dataclass(frozen=True, slots=True)
class Token:
    """A token that may be paid out on one chain."""

    symbol: str
    address: str
    """Lower-case `0x` address."""
    decimals: int


@dataclass(frozen=True, slots=True)
class Chain:
    """One chain of the allow-list."""

    name: str
    """What people call it in files and agents: `ethereum`."""
    caip2: str
    """`eip155:1`"""
    native: str
    """Symbol of the coin that pays fees; 18 decimals on every eip155 chain."""
    block_time_s: float
    finality_depth: int | None = None
    """None: the node's `finalized` tag decides. A number: that many blocks below the head."""
    genesis: str | None = None
    """Hash of block 0 where it is known beforehand; the journal pins it at first use anyway."""
    tokens: Mapping[str, Token] = field(default_factory=dict)
    batch_payment: str | None = None
    """Address of `BatchPayment` where it differs from the deterministic one."""
    posting: str | None = None
    """`arbitrum`: posting the bytes to the base chain is paid out of the gas limit."""

    @property
    def eip155_id(self) -> int:
        """The integer that stands in signatures (EIP-155)."""
        namespace, _, reference = self.caip2.partition(":")
        if namespace != "eip155":
            message = f"{self.caip2} is not an eip155 chain."
            raise ConfigError(message)
        return int(reference)

    def token(self, symbol: str) -> Token:
        """Return the allow-listed token `symbol`.

        Raises:
            ConfigError: the chain's entry does not list it.
        """
        try:
            return self.tokens[symbol]
        except KeyError:
            known = ", ".join(sorted(self.tokens)) or "none"
            message = f"{symbol} is not an allow-listed token on {self.name} (listed: {known})."
            raise ConfigError(message) from None


def parse_chains(
    text: str, *, base: Mapping[str, Chain] | None = None, source: str = "chains.json"
) -> dict[str, Chain]:
    """Parse a chain table, `{name: {caip2, native, block_time_s, tokens, ...}}`.

    Args:
        text: JSON text. An entry under a name that `base` has too may give only the members
            that differ; `tokens` are merged by symbol.
        base: the table that `text` extends.
        source: where the text stands, for the error message.

    Raises:
        ConfigError: with the entry and the member at fault.
    """
    chains = dict(base or {})
    try:
        table = json.loads(text)
        for name, entry in table.items():
            chains[name] = _parse_entry(name, entry, chains.get(name))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        message = f"{source} is not a chain table: {error!r}."
        raise ConfigError(message) from error
    return chains


def _parse_entry(name: str, entry: Mapping[str, Any], base: Chain | None) -> Chain:
    tokens = dict(base.tokens) if base else {}
    for symbol, token in entry.get("tokens", {}).items():
        tokens[symbol] = Token(symbol, _address(token["address"]), int(token["decimals"]))
    caip2 = entry.get("caip2", base.caip2 if base else None)
    if caip2 is None or not CAIP2.fullmatch(caip2):
        message = f"{name}: `caip2` is {caip2!r}"
        raise ValueError(message)
    contract = entry.get("batch_payment", base.batch_payment if base else None)
    return Chain(
        name=name,
        caip2=caip2,
        native=entry.get("native", base.native if base else "ETH"),
        block_time_s=float(entry.get("block_time_s", base.block_time_s if base else 12)),
        finality_depth=entry.get("finality_depth", base.finality_depth if base else None),
        genesis=entry.get("genesis", base.genesis if base else None),
        tokens=tokens,
        batch_payment=_address(contract) if contract else None,
        posting=entry.get("posting", base.posting if base else None),
    )


def _address(text: str) -> str:
    try:
        return parse_evm_address(text)
    except AddressError as error:
        raise ValueError(error.reason) from error
