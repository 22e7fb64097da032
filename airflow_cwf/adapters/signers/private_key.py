"""A secp256k1 key in this process's memory."""

from typing import NoReturn

from coincurve import PrivateKey

from airflow_cwf.core.errors import SignerError
from airflow_cwf.core.hashes import keccak256

_KEY_BYTES = 32


class PrivateKeySigner:
    """Signs digests with one key; implements `Signer`.

    The key leaves this object neither through `repr` nor through copying or serialising it.

    Args:
        key: the 32 bytes of the key.

    Raises:
        SignerError: not 32 bytes, zero, or not below the order of the curve.
    """

    __slots__ = ("_address", "_key")

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY_BYTES:
            raise SignerError(f"A private key has {_KEY_BYTES} bytes, not {len(key)}.")
        try:
            self._key = PrivateKey(key)
        except ValueError:
            # Not chained: nothing that has seen the key may be printed.
            message = "The private key is zero or not below the order of secp256k1."
            raise SignerError(message) from None
        self._address = (
            "0x" + keccak256(self._key.public_key.format(compressed=False)[1:])[12:].hex()
        )

    @classmethod
    def from_hex(cls, text: str) -> "PrivateKeySigner":
        """Return the signer of a key written as 64 hex digits, with or without `0x`.

        Raises:
            SignerError: the text is not such a key; the text is not repeated.
        """
        try:
            key = bytes.fromhex(text.strip().removeprefix("0x"))
        except ValueError:
            message = "The private key is not written as 64 hex digits."
            raise SignerError(message) from None
        return cls(key)

    @property
    def address(self) -> str:
        """Lower-case EVM address of the key."""
        return self._address

    def sign_digest(self, digest: bytes) -> tuple[int, int, int]:
        """Return `(y_parity, r, s)` with low s over exactly these 32 bytes (RFC 6979, EIP-2).

        Raises:
            SignerError: `digest` is not 32 bytes.
        """
        if len(digest) != _KEY_BYTES:
            raise SignerError(f"A digest has {_KEY_BYTES} bytes, not {len(digest)}.")
        signature = self._key.sign_recoverable(digest, hasher=None)
        return signature[64], int.from_bytes(signature[:32]), int.from_bytes(signature[32:64])

    def __repr__(self) -> str:
        return f"PrivateKeySigner({self._address})"

    def __reduce__(self) -> NoReturn:
        raise SignerError(f"The key of {self._address} is not copied or serialised.")
