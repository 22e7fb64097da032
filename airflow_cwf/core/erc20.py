"""Calls of ERC-20 tokens, and what their refusals mean.

https://eips.ethereum.org/EIPS/eip-20; permits: https://eips.ethereum.org/EIPS/eip-2612.
"""

from enum import Enum
from typing import Final

from airflow_cwf.core.abi import WORD, address_word, selector, uint_word
from airflow_cwf.core.hashes import keccak256

_BALANCE_OF: Final = selector("balanceOf(address)")
_ALLOWANCE: Final = selector("allowance(address,address)")
_TRANSFER_FROM: Final = selector("transferFrom(address,address,uint256)")
_NONCES: Final = selector("nonces(address)")
_DOMAIN_SEPARATOR: Final = selector("DOMAIN_SEPARATOR()")
_PERMIT: Final = selector("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)")
_PERMIT_TYPE: Final = keccak256(
    b"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)


class Refusal(Enum):
    """Whose fault it is that a token refuses a transfer."""

    PAYEE = "payee"
    """The payee may not hold the token: a business reason, no re-send helps."""
    TREASURY = "treasury"
    """Payer, allowance or the token as a whole: never the item's fault."""
    UNKNOWN = "unknown"
    """Nothing known matches: sent singly, and the chain decides."""


PAYER_REFUSED: Final = "the token refuses the payer"
"""How a reason begins when even a transfer of nothing to the payer itself is refused."""

REFUSALS: Final[tuple[tuple[str, Refusal], ...]] = (
    (PAYER_REFUSED, Refusal.TREASURY),
    # Circle FiatTokenV2_2 (circlefin/stablecoin-evm, contracts/v1)
    ("blacklistable: account is blacklisted", Refusal.PAYEE),
    ("pausable: paused", Refusal.TREASURY),
    ("erc20: transfer amount exceeds balance", Refusal.TREASURY),
    ("erc20: transfer amount exceeds allowance", Refusal.TREASURY),
    ("erc20: insufficient allowance", Refusal.TREASURY),  # OpenZeppelin 4.x
    # Custom errors of OpenZeppelin 5 and ERC-6093, by selector
    ("0xe450d38c", Refusal.TREASURY),  # ERC20InsufficientBalance
    ("0xfb8f41b2", Refusal.TREASURY),  # ERC20InsufficientAllowance
    ("0xd93c0665", Refusal.TREASURY),  # EnforcedPause
    ("0xec442f05", Refusal.PAYEE),  # ERC20InvalidReceiver
)
"""Case-insensitive parts of revert reasons, with their meaning."""


def classify_refusal(reason: str) -> Refusal:
    """Return what a token's revert reason means."""
    text = reason.lower()
    return next((meaning for part, meaning in REFUSALS if part in text), Refusal.UNKNOWN)


def encode_balance_of(account: str) -> bytes:
    """Return calldata of `balanceOf(account)`."""
    return _BALANCE_OF + address_word(account)


def encode_allowance(owner: str, spender: str) -> bytes:
    """Return calldata of `allowance(owner, spender)`."""
    return _ALLOWANCE + address_word(owner) + address_word(spender)


def encode_transfer_from(payer: str, payee: str, amount: int) -> bytes:
    """Return calldata of `transferFrom(payer, payee, amount)`."""
    return _TRANSFER_FROM + address_word(payer) + address_word(payee) + uint_word(amount)


def encode_nonces(owner: str) -> bytes:
    """Return calldata of EIP-2612's `nonces(owner)`."""
    return _NONCES + address_word(owner)


def encode_domain_separator() -> bytes:
    """Return calldata of EIP-2612's `DOMAIN_SEPARATOR()`."""
    return _DOMAIN_SEPARATOR


def permit_digest(
    *, domain_separator: bytes, owner: str, spender: str, value: int, nonce: int, deadline: int
) -> bytes:
    """Return the EIP-712 digest that `owner` signs for an EIP-2612 permit."""
    struct = keccak256(
        _PERMIT_TYPE
        + address_word(owner)
        + address_word(spender)
        + uint_word(value)
        + uint_word(nonce)
        + uint_word(deadline)
    )
    return keccak256(b"\x19\x01" + domain_separator + struct)


def encode_permit(
    *, owner: str, spender: str, value: int, deadline: int, signature: tuple[int, int, int]
) -> bytes:
    """Return calldata of EIP-2612's `permit`.

    Args:
        owner: who allows.
        spender: who may spend.
        value: the allowance, smallest unit.
        deadline: Unix seconds until which the permit may be submitted.
        signature: `(y_parity, r, s)` over `permit_digest`.
    """
    y_parity, r, s = signature
    return (
        _PERMIT
        + address_word(owner)
        + address_word(spender)
        + uint_word(value)
        + uint_word(deadline)
        + uint_word(27 + y_parity)
        + uint_word(r)
        + uint_word(s)
    )


def decode_uint(data: bytes) -> int:
    """Return the uint256 that a call gave back.

    Raises:
        ValueError: not 32 bytes; a codeless address answers with none.
    """
    if len(data) != WORD:
        message = f"{len(data)} bytes where a number belongs"
        raise ValueError(message)
    return int.from_bytes(data)
