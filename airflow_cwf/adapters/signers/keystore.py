"""Keystore files, version 3 (https://ethereum.org/developers/docs/data-structures-and-encoding/web3-secret-storage).

A file is untrusted until its password opens it: its cost parameters are bounded before any work,
because scrypt takes as much memory as the file asks for.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from airflow_cwf.adapters.signers.private_key import PrivateKeySigner
from airflow_cwf.core.errors import SignerError

MAX_FILE_CHARACTERS: Final = 64 * 1024
MAX_SCRYPT_BYTES: Final = 512 * 1024 * 1024
"""128 * n * r. geth's standard (n = 2^18, r = 8) takes 256 MiB."""
MAX_SCRYPT_WORK: Final = 2**24
"""n * r * p; geth's standard is 2^21."""
MAX_PBKDF2_ROUNDS: Final = 10_000_000
STANDARD_SCRYPT_N: Final = 2**18

_HEX: Final = re.compile(r"(?:0x)?([0-9a-fA-F]{2})*")
_ADDRESS: Final = re.compile(r"(?:0x)?([0-9a-fA-F]{40})")
_KEY_BYTES: Final = 32


def open_keystore(text: str, password: str) -> PrivateKeySigner:
    """Return the signer of a keystore file's text.

    Raises:
        SignerError: malformed, too costly, another password than the file's ("locked keystore"),
            or a key that is not the one of the address written in the file.
    """
    keystore = _parsed(text)
    named = _named_address(keystore)
    account = _eth_account()
    try:
        key = bytes(account.decrypt(keystore, password))
    except (ValueError, TypeError, KeyError, NotImplementedError):
        # Not chained: the cause's frames hold the password.
        message = (
            f"Locked keystore: the password does not open the key of {named or 'this file'}. "
            f"Nothing was signed; check the password of the signer connection."
        )
        raise SignerError(message) from None
    signer = PrivateKeySigner(key)
    if named and signer.address != named:
        raise SignerError(f"The keystore names {named} but holds the key of {signer.address}.")
    return signer


def write_keystore(key: bytes, password: str, *, scrypt_n: int = STANDARD_SCRYPT_N) -> str:
    """Return the text of a keystore file for `key`; `scrypt_n` is its cost, a power of two.

    Raises:
        SignerError: `key` is not a key.
    """
    PrivateKeySigner(key)
    account = _eth_account()

    return json.dumps(account.encrypt(key, password, kdf="scrypt", iterations=scrypt_n), indent=2)


def _eth_account() -> Any:  # noqa: ANN401 - the package has no types
    """Import eth_account, half a second, only when a key is opened.

    It imports py_ecc, which raises Python's recursion limit for the whole process so far that
    deeply nested JSON would crash the interpreter; the limit is put back.
    """
    limit = sys.getrecursionlimit()
    try:
        from eth_account import Account
    finally:
        sys.setrecursionlimit(limit)
    return Account


def _parsed(text: str) -> dict[str, Any]:
    if len(text) > MAX_FILE_CHARACTERS:
        raise _malformed("it is too long")
    try:
        document = json.loads(text)
        keystore = _lower_case(document) if isinstance(document, dict) else None
    except (ValueError, RecursionError):
        # Not chained: the cause holds the whole text, and what was pasted may be a bare key.
        raise _malformed("it is not JSON") from None
    if keystore is None:
        raise _malformed("it is not a JSON object")
    if keystore.get("version") != 3:  # noqa: PLR2004
        raise _malformed("its version is not 3")
    _check_crypto(_member(keystore, "crypto"))
    return keystore


def _check_crypto(crypto: Mapping[str, Any]) -> None:
    if crypto.get("cipher") != "aes-128-ctr":
        raise _malformed("its cipher is not aes-128-ctr")
    _check_hex(crypto, "ciphertext", size=_KEY_BYTES)
    _check_hex(crypto, "mac", size=_KEY_BYTES)
    _check_hex(_member(crypto, "cipherparams"), "iv", size=16)
    check = _KDF_CHECKS.get(str(crypto.get("kdf")))
    if check is None:
        raise _malformed("its key derivation is neither scrypt nor pbkdf2")
    params = _member(crypto, "kdfparams")
    _check_hex(params, "salt", size=None)
    if params.get("dklen") != _KEY_BYTES:
        raise _malformed("its dklen is not 32")
    check(params)


def _check_scrypt(params: Mapping[str, Any]) -> None:
    n, r, p = (_positive(params, name) for name in ("n", "r", "p"))
    if n & (n - 1) or n == 1:
        raise _malformed("scrypt's n is not a power of two")
    if 128 * n * r > MAX_SCRYPT_BYTES or n * r * p > MAX_SCRYPT_WORK:
        raise _malformed("opening it would take more memory or time than any wallet's file")


def _check_pbkdf2(params: Mapping[str, Any]) -> None:
    if _positive(params, "c") > MAX_PBKDF2_ROUNDS:
        raise _malformed("opening it would take more time than any wallet's file")
    if params.get("prf") != "hmac-sha256":
        raise _malformed("its prf is not hmac-sha256")


_KDF_CHECKS: Final[Mapping[str, Callable[[Mapping[str, Any]], None]]] = {
    "scrypt": _check_scrypt,
    "pbkdf2": _check_pbkdf2,
}


def _lower_case(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return `members` with lower-case names; some wallets write `Crypto`."""
    return {
        name.lower(): _lower_case(value) if isinstance(value, dict) else value
        for name, value in members.items()
    }


def _named_address(keystore: Mapping[str, Any]) -> str | None:
    found = _ADDRESS.fullmatch(str(keystore.get("address", "")))
    return "0x" + found[1].lower() if found else None


def _member(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = members.get(name)
    if not isinstance(value, dict):
        raise _malformed(f"`{name}` is missing")
    return value


def _check_hex(members: Mapping[str, Any], name: str, *, size: int | None) -> None:
    value = members.get(name)
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise _malformed(f"`{name}` is not hex")
    if size is not None and len(value.removeprefix("0x")) != 2 * size:
        raise _malformed(f"`{name}` has not {size} bytes")


def _positive(members: Mapping[str, Any], name: str) -> int:
    value = members.get(name)
    if type(value) is not int or value < 1:
        raise _malformed(f"`{name}` is not a positive integer")
    return value


def _malformed(why: str) -> SignerError:
    return SignerError(f"The text is not a keystore file (version 3): {why}.")
