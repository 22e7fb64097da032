"""CARv1: blocks of bytes in one file, each behind its CID.

    varint(58) {"roots": [cid], "version": 1} in dag-cbor
    then per block: varint(36 + length) cid bytes

Written with one root and CIDs of 36 bytes each, the only form that is read too. Everything outside
the CIDs is framing and fails check 1; a CID that does not name its block fails check 2. Readers
take the file in pieces, keep one block at a time, and never believe a length before the bound.

https://ipld.io/specs/transport/car/carv1/
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NoReturn

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.cid import (
    CID_BYTES,
    Block,
    Cid,
    cid_from_binary,
    raw_cid,
    require_named,
)
from airflow_cwf.core.evidence.record import MAX_RECORD_BYTES

MAX_BLOCK_BYTES: Final = 2**20
"""Nodes exchange blocks of up to 2 MiB (https://specs.ipfs.tech/bitswap-protocol/)."""
MAX_RECORD_CAR_BYTES: Final = 2 * 2**20

# dag-cbor sorts names by length first; tag 42 is a CID, behind a zero byte (its multibase).
_BEFORE_ROOT: Final = b"\xa2\x65roots\x81\xd8\x2a\x58\x25\x00"
_AFTER_ROOT: Final = b"\x67version\x01"
_HEADER_BYTES: Final = len(_BEFORE_ROOT) + CID_BYTES + len(_AFTER_ROOT)
_MAX_VARINT_BYTES: Final = 4
_MORE: Final = 0x80
_LOW_BITS: Final = 0x7F


def varint(value: int) -> bytes:
    """Return an unsigned varint, the shortest (https://github.com/multiformats/unsigned-varint)."""
    encoded = bytearray()
    while value >= _MORE:
        encoded.append(value & _LOW_BITS | _MORE)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def read_varint(next_byte: Callable[[], int]) -> int | None:
    """Read an unsigned varint of at most four bytes, 256 MiB: more than any length allowed.

    Args:
        next_byte: returns the next byte; may raise.

    Returns:
        The number, or None if it is longer or not in its shortest form.
    """
    value = 0
    for place in range(_MAX_VARINT_BYTES):
        byte = next_byte()
        value |= (byte & _LOW_BITS) << 7 * place
        if byte < _MORE:
            return value if byte or not place else None
    return None


def car_pieces(root: Cid, blocks: Iterable[Block]) -> Iterator[bytes]:
    """Yield a CAR file piece by piece: the header, then one piece per block, in their order."""
    yield varint(_HEADER_BYTES) + _BEFORE_ROOT + root.binary + _AFTER_ROOT
    for block in blocks:
        yield varint(CID_BYTES + len(block.data)) + block.cid.binary + block.data


def record_car(record: bytes) -> bytes:
    """Return `<workflow_id>.car`: one root, one raw block, the record's canonical bytes."""
    cid = raw_cid(record)
    return b"".join(car_pieces(cid, [Block(cid, record)]))


def read_car(
    pieces: Iterable[bytes], *, max_blocks: int, max_block_bytes: int = MAX_BLOCK_BYTES
) -> tuple[Cid, Iterator[Block]]:
    """Read a CAR of one root: the root now, the blocks one by one as they are asked for.

    A block is yielded only after its hash was found to be right. The file is known to be whole
    when the iterator has ended without an error.

    Args:
        pieces: the file, cut anywhere.
        max_blocks: a further block is refused.
        max_block_bytes: a longer block is refused before it is read.

    Raises:
        VerificationError: check 1, framing (cut off, a length out of bounds or not in its shortest
            form, another header); check 2, a CID that is not the block's, in a file whose framing
            is right to its end. Also while iterating.
    """
    source = _Source(pieces)
    if _length(source) != _HEADER_BYTES:
        _refuse("its header is not that of one root")
    header = source.take(_HEADER_BYTES)
    binary = header[len(_BEFORE_ROOT) : -len(_AFTER_ROOT)]
    if header != _BEFORE_ROOT + binary + _AFTER_ROOT:
        _refuse("its header is not that of one root")
    blocks = _blocks(source, max_blocks=max_blocks, max_block_bytes=max_block_bytes)
    return cid_from_binary(binary, check=2), blocks


def is_car(data: bytes) -> bool:
    """Tell by the first bytes whether a file is meant as a CAR rather than as JSON."""
    return data[:2] == varint(_HEADER_BYTES) + _BEFORE_ROOT[:1]


def read_record_car(data: bytes) -> bytes:
    """Return the record's bytes out of a CAR of one root and one raw block.

    Raises:
        VerificationError: check 1, framing, bounds, a second block, bytes behind the end; check 2,
            the root or the block's CID is not `CIDv1(raw, sha2-256)` of the block.
    """
    if len(data) > MAX_RECORD_CAR_BYTES:
        _refuse(f"it has more than {MAX_RECORD_CAR_BYTES} bytes")
    root, blocks = read_car([data], max_blocks=1, max_block_bytes=MAX_RECORD_BYTES)
    (record,) = [block.data for block in blocks] or _refuse("it holds no block")
    if root != raw_cid(record):
        raise VerificationError("The CAR's root is not the CID of its block.", check=2)
    return record


def _blocks(source: "_Source", *, max_blocks: int, max_block_bytes: int) -> Iterator[Block]:
    sections = _sections(source, max_blocks=max_blocks, max_block_bytes=max_block_bytes)
    for section in sections:
        try:
            block = Block(cid_from_binary(section[:CID_BYTES], check=2), section[CID_BYTES:])
            require_named(block)
        except VerificationError:
            # A wrong length looks like a wrong hash until what follows has been read.
            for _ in sections:
                pass
            raise
        yield block


def _sections(source: "_Source", *, max_blocks: int, max_block_bytes: int) -> Iterator[bytes]:
    """Yield CID and bytes of each block, judging framing alone."""
    count = 0
    while not source.is_at_end():
        length = _length(source)
        count += 1
        if count > max_blocks:
            _refuse(f"it has more than {max_blocks} blocks")
        if not CID_BYTES <= length <= CID_BYTES + max_block_bytes:
            _refuse(f"a block is shorter than its CID or longer than {max_block_bytes} bytes")
        yield source.take(length)


def _length(source: "_Source") -> int:
    length = read_varint(source.byte)
    if length is None:
        _refuse("a length is out of bounds or not in its shortest form")
    return length


class _Source:
    """Bytes on demand out of pieces of any size."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""
        self._at = 0

    def is_at_end(self) -> bool:
        while self._at == len(self._rest):
            piece = next(self._pieces, None)
            if piece is None:
                return True
            self._rest, self._at = piece, 0
        return False

    def take(self, count: int) -> bytes:
        taken: list[bytes] = []
        while count:
            if self.is_at_end():
                _refuse("it is cut off")
            part = self._rest[self._at : self._at + count]
            self._at += len(part)
            count -= len(part)
            taken.append(part)
        return b"".join(taken)

    def byte(self) -> int:
        return self.take(1)[0]


def _refuse(reason: str) -> NoReturn:
    raise VerificationError(f"The CAR is refused: {reason}.", check=1)
