"""Content identifiers: the name of some bytes is their hash.

Only the forms that this package writes are read: CIDv1, one of three codecs, sha2-256, in text
base32 of lower-case letters without padding. One CID has one text and one binary form.

https://github.com/multiformats/cid, https://github.com/multiformats/multibase
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from airflow_cwf.core.errors import VerificationError

RAW: Final = 0x55
"""The bytes are what they are: a record, a batch."""
DAG_PB: Final = 0x70
"""A UnixFS directory or a file of several blocks."""
DAG_CBOR: Final = 0x71
CID_BYTES: Final = 36
"""Version, codec, hash function, its length, 32 bytes: each of the four is a varint below 128."""

_CODECS: Final = frozenset({RAW, DAG_PB, DAG_CBOR})
_VERSION: Final = 1
_SHA2_256: Final = bytes([0x12, 32])
_DIGEST_BYTES: Final = 32
_TEXT: Final = re.compile(r"b[a-z2-7]{58}")
_PADDING: Final = "=" * 6


@dataclass(frozen=True, slots=True)
class Cid:
    """A CIDv1 with sha2-256; `str()` gives its base32 text."""

    codec: int
    """`RAW`, `DAG_PB` or `DAG_CBOR`."""
    digest: bytes
    """sha2-256 of the bytes it names, 32 bytes."""

    def __post_init__(self) -> None:
        if self.codec not in _CODECS or len(self.digest) != _DIGEST_BYTES:
            message = "A CID has one of three codecs and a digest of 32 bytes."
            raise ValueError(message)

    @property
    def binary(self) -> bytes:
        """The 36 bytes of its binary form."""
        return bytes([_VERSION, self.codec]) + _SHA2_256 + self.digest

    def __str__(self) -> str:
        return "b" + base64.b32encode(self.binary).decode("ascii").rstrip("=").lower()


@dataclass(frozen=True, slots=True)
class Block:
    """Bytes under the name that somebody gave them; see `require_named`."""

    cid: Cid
    data: bytes


def cid_of(data: bytes, *, codec: int) -> Cid:
    """Return the CID of `data` as a block of `codec`."""
    return Cid(codec, hashlib.sha256(data).digest())


def raw_cid(data: bytes) -> Cid:
    """Return `CIDv1(raw, sha2-256, data)`, the CID of a record's or a batch's bytes."""
    return cid_of(data, codec=RAW)


def parse_cid(text: object, *, check: int = 1) -> Cid:
    """Return the CID that `text` writes.

    Args:
        text: hostile until proved otherwise.
        check: number that a refusal carries.

    Raises:
        VerificationError: another version, base, codec, hash function or length, or a text that is
            not the CID's one text.
    """
    if not isinstance(text, str) or not _TEXT.fullmatch(text):
        raise _no_cid(check)
    cid = cid_from_binary(base64.b32decode(text[1:].upper() + _PADDING), check=check)
    if str(cid) != text:  # bits set in the last, half used letter
        raise _no_cid(check)
    return cid


def is_cid(value: object) -> bool:
    """Tell whether it is the text of a CID of a raw block, as forms want to know it."""
    try:
        return parse_cid(value).codec == RAW
    except VerificationError:
        return False


def cid_from_binary(data: bytes, *, check: int = 1) -> Cid:
    """Return the CID whose binary form `data` is.

    Raises:
        VerificationError: it is none, or of another version, codec, hash function or length.
    """
    head = data[:4]
    if len(data) != CID_BYTES or head[0] != _VERSION or head[2:] != _SHA2_256:
        raise _no_cid(check)
    if head[1] not in _CODECS:
        raise _no_cid(check)
    return Cid(head[1], data[4:])


def require_named(block: Block) -> None:
    """Check that the block's CID is that of its bytes.

    Raises:
        VerificationError: check 2; the bytes are others.
    """
    if cid_of(block.data, codec=block.cid.codec) != block.cid:
        raise VerificationError("The bytes are not those that their CID names.", check=2)


def _no_cid(check: int) -> VerificationError:
    return VerificationError(
        "There is no CID of the form used here (CIDv1, base32, raw or dag-pb, sha2-256).",
        check=check,
    )
