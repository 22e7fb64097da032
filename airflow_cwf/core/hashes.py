"""Hash functions by the names the standards give them."""

import hashlib
import hmac

from Crypto.Hash import keccak


def keccak256(data: bytes) -> bytes:
    """Return Ethereum's Keccak-256 (not FIPS 202) of `data`."""
    return keccak.new(digest_bits=256, data=data).digest()


def sha3_256(data: bytes) -> bytes:
    """Return SHA3-256 (FIPS 202) of `data`; EVIDENCE's `H`."""
    return hashlib.sha3_256(data).digest()


def hmac_sha256(secret: bytes, message: bytes) -> bytes:
    """Return HMAC-SHA-256 (RFC 2104) of `message`."""
    return hmac.digest(secret, message, "sha256")
