"""EVM addresses as people write them, parsed once at the edge.

Inside the package an address is a lower-case `0x` string; the mixed-case form of EIP-55 is a
checksum and exists only for reading and printing.
"""

import re
import unicodedata
from typing import Final

from airflow_cwf.core.hashes import keccak256
from airflow_cwf.core.transactions import ZERO_ADDRESS

__all__ = ["AddressError", "parse_evm_address", "to_checksum_address"]

_EVM: Final = re.compile(r"0[xX][0-9a-fA-F]{40}")
_BARE: Final = re.compile(r"[0-9a-fA-F]{40}")
_HEX: Final = re.compile(r"0[xX][0-9a-fA-F]*")
_ENS: Final = re.compile(r"[^\s.]+(\.[^\s.]+)+")
_FILLERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
"""Letters and marks by category, yet drawn as nothing."""


class AddressError(ValueError):
    """A text is not an address that money may be sent to.

    `code` is stable and for programs, `reason` is for people. Neither quotes the text: addresses
    of payees stay out of logs.
    """

    def __init__(self, reason: str, *, code: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


def parse_evm_address(text: str) -> str:
    """Return the lower-case `0x` form of a 20-byte address.

    One case throughout is accepted as it is; mixed case must match the checksum of EIP-55.

    Raises:
        AddressError: with code `empty`, `invisible_character`, `ens_unsupported`,
            `missing_prefix`, `wrong_length`, `not_hex`, `bad_checksum` or `zero_address`.
    """
    if not _EVM.fullmatch(text):
        raise _explain(text)
    digits = text[2:]
    address = "0x" + digits.lower()
    if address == ZERO_ADDRESS:
        raise AddressError("it is the zero address; money sent there is lost", code="zero_address")
    if not (digits.islower() or digits.isupper() or digits.isdigit()) and (
        digits != to_checksum_address(address)[2:]
    ):
        raise AddressError(
            "its checksum (EIP-55, the pattern of capitals) does not match; a character is "
            "mistyped or its case was changed",
            code="bad_checksum",
        )
    return address


def to_checksum_address(address: str) -> str:
    """Return the mixed-case form of a lower-case address (EIP-55)."""
    digits = address[2:].lower()
    nibbles = keccak256(digits.encode("ascii")).hex()
    pairs = zip(digits, nibbles, strict=False)  # 40 digits, 64 nibbles
    return "0x" + "".join(digit.upper() if nibble >= "8" else digit for digit, nibble in pairs)


def _explain(text: str) -> AddressError:
    if not text.strip():
        return AddressError("it is empty", code="empty")
    hidden = next((char for char in text if _is_invisible(char)), None)
    if hidden is not None:
        name = unicodedata.name(hidden, "control character")
        return AddressError(
            f"it holds an invisible character (U+{ord(hidden):04X}, {name.lower()}); "
            "type the address again instead of pasting it",
            code="invisible_character",
        )
    if _ENS.fullmatch(text):
        return AddressError(
            "names (ENS) are not resolved, because their owner can point them elsewhere; "
            "write the 0x address",
            code="ens_unsupported",
        )
    if _BARE.fullmatch(text):
        return AddressError("the 0x in front is missing", code="missing_prefix")
    if _HEX.fullmatch(text):
        return AddressError(
            f"it has {len(text) - 2} hexadecimal digits; an address has 40", code="wrong_length"
        )
    return AddressError("it is not 0x and 40 hexadecimal digits (0-9, a-f)", code="not_hex")


def _is_invisible(char: str) -> bool:
    """Tell blanks, controls, bidi marks, zero-width and byte-order marks."""
    return unicodedata.category(char)[0] in "CZ" or char in _FILLERS
