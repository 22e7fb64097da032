"""What ties a proof and a signature to one core and one destination.

The binding is a public signal of the proof, so it is one number below 2^248; a contract can make
it again from `msg.sender`. The signature says who submitted.
"""

from collections.abc import Mapping
from typing import Final, cast

from airflow_cwf.core.abi import address_word, bytes32_word, uint_word
from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.hashes import keccak256

BINDING_SHIFT: Final = 8
"""256 - 248 bits: every binding is below the order of BN254's scalar field."""

_PERSONAL_MESSAGE: Final = b"\x19Ethereum Signed Message:\n32"
"""EIP-191, version 0x45 (`E`), for a message of 32 bytes."""
_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Number of points of secp256k1 (SEC 2, section 2.4.1)."""
_SIGNATURE_BYTES: Final = 65
_DIGEST_BYTES: Final = 32
_V_OFFSET: Final = 27


def binding(core_digest: bytes, *, anchor_to: Mapping[str, object] | None) -> int:
    """Return `keccak(abi.encode(chainid, contract, submitter, coreDigest)) >> 8`.

    Args:
        core_digest: 32 bytes.
        anchor_to: the core's member, its form checked; None puts three zeros into the preimage.

    Raises:
        VerificationError: check 6; the chain is no eip155 chain.
        ValueError: `core_digest` is not 32 bytes.
    """
    if anchor_to is None:
        destination = bytes(3 * 32)
    else:
        destination = (
            uint_word(_eip155_id(cast("str", anchor_to["chain"])))
            + address_word(cast("str", anchor_to["contract"]))
            + address_word(cast("str", anchor_to["submitter"]))
        )
    return int.from_bytes(keccak256(destination + bytes32_word(core_digest))) >> BINDING_SHIFT


def signing_digest(core_digest: bytes) -> bytes:
    """Return the 32 bytes that the submitter's key signs (EIP-191, `personal_sign`).

    Raises:
        ValueError: `core_digest` is not 32 bytes.
    """
    return keccak256(_PERSONAL_MESSAGE + bytes32_word(core_digest))


def encode_signature(y_parity: int, r: int, s: int) -> str:
    """Return a record's `signature`: `0x` hex of r || s || v with v = 27 or 28.

    Args:
        y_parity: 0 or 1, as `Signer.sign_digest` gives it.
        r: from 1 to the order - 1.
        s: low, from 1 to half the order (EIP-2).

    Raises:
        ValueError: one of them is out of range.
    """
    if y_parity not in {0, 1} or not _is_low(r, s):
        raise ValueError("A record's signature has y parity 0 or 1, r below the order and low s.")
    return "0x" + (r.to_bytes(32) + s.to_bytes(32) + bytes([_V_OFFSET + y_parity])).hex()


def recover_submitter(core_digest: bytes, *, signature: str) -> str:
    """Return the lower-case address whose key made `signature` over `core_digest`.

    Any well-formed signature has some signer: compare the answer with the one expected.

    Raises:
        VerificationError: check 9; not 65 bytes, v not 27 or 28, r or s out of range, a high s,
            or no key can have made it.
    """
    r, s, y_parity = _parts(signature)
    compact = r.to_bytes(32) + s.to_bytes(32) + bytes([y_parity])
    from coincurve import PublicKey

    try:
        key = PublicKey.from_signature_and_message(
            compact, signing_digest(core_digest), hasher=None
        )
    except ValueError as error:
        raise _no_signature() from error
    return "0x" + keccak256(key.format(compressed=False)[1:])[12:].hex()


def verify_signature(core_digest: bytes, *, signature: str, submitter: str) -> None:
    """Verify that the submitter's key signed the core.

    Raises:
        VerificationError: check 9.
    """
    if recover_submitter(core_digest, signature=signature) != submitter:
        raise VerificationError("The signature is not the submitter's.", check=9)


def _eip155_id(chain: str) -> int:
    namespace, _, reference = chain.partition(":")
    if namespace != "eip155" or not (reference.isascii() and reference.isdigit()):
        raise VerificationError("`anchor_to` names a chain that is not eip155.", check=6)
    return int(reference)


def _parts(signature: str) -> tuple[int, int, int]:
    """Return r, s and y parity."""
    try:
        raw = bytes.fromhex(signature.removeprefix("0x"))
    except ValueError as error:
        raise _no_signature() from error
    if len(raw) != _SIGNATURE_BYTES or f"0x{raw.hex()}" != signature:
        raise _no_signature()
    r, s = int.from_bytes(raw[:32]), int.from_bytes(raw[32:64])
    y_parity = raw[64] - _V_OFFSET
    if y_parity not in {0, 1} or not _is_low(r, s):
        raise _no_signature()
    return r, s, y_parity


def _is_low(r: int, s: int) -> bool:
    return 0 < r < _ORDER and 0 < s <= _ORDER // 2


def _no_signature() -> VerificationError:
    return VerificationError(
        "The signature is not r || s || v of 65 bytes with low s and v = 27 or 28.", check=9
    )
