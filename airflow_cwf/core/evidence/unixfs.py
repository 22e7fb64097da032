"""The directory of a batch: a UnixFS node whose links hold every file of the batch.

CIDs inside JSON are not links, so a pin of `batch.json` alone would keep no record. The directory
links to all files, and one recursive pin of it keeps everything. It is a dag-pb block: per file a
link of CID, name and size, in byte order of the names, then the data `08 01` (a directory).

https://ipld.io/specs/codecs/dag-pb/spec/, https://specs.ipfs.tech/unixfs/
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NoReturn

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.car import read_varint, varint
from airflow_cwf.core.evidence.cid import CID_BYTES, RAW, Cid, cid_from_binary

MAX_DIRECTORY_BYTES: Final = 2**20

# Protocol buffers: field number << 3 | wire type (0 varint, 2 bytes).
_LINK: Final = 0x12
_DATA: Final = 0x0A
_LINK_CID: Final = 0x0A
_LINK_NAME: Final = 0x12
_LINK_SIZE: Final = 0x18
_DIRECTORY: Final = bytes([_DATA, 2, 0x08, 0x01])
_MAX_NAME_BYTES: Final = 255


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """One file: a name and the raw block that holds all of it."""

    name: str
    """ASCII, without a slash."""
    cid: Cid
    size: int
    """Length of the block in bytes, `Tsize`."""


def encode_directory(entries: Iterable[DirectoryEntry]) -> bytes:
    """Return the directory's dag-pb block; the order of `entries` does not matter.

    Raises:
        ValueError: a name stands twice or is no file name, or a block is not raw.
    """
    ordered = sorted(entries, key=lambda entry: entry.name)
    if any(left.name == right.name for left, right in pairwise(ordered)):
        raise ValueError("A directory names two files alike.")
    return b"".join(_field(_LINK, _link(entry)) for entry in ordered) + _DIRECTORY


def parse_directory(data: bytes) -> tuple[DirectoryEntry, ...]:
    """Return the entries of a directory block, in byte order of their names.

    Raises:
        VerificationError: check 1; too large, or not byte for byte what `encode_directory` gives:
            other fields, order, names or codecs.
    """
    if len(data) > MAX_DIRECTORY_BYTES:
        _refuse()
    if not data.endswith(_DIRECTORY):
        _refuse()
    entries: list[DirectoryEntry] = []
    source = _Fields(data[: -len(_DIRECTORY)])
    while source.has_more():
        entries.append(_read_link(source.content(_LINK)))
    try:
        encoded = encode_directory(entries)
    except ValueError as error:
        raise _refusal() from error
    if encoded != data:
        _refuse()
    return tuple(entries)


def _field(tag: int, content: bytes) -> bytes:
    return bytes([tag]) + varint(len(content)) + content


def _link(entry: DirectoryEntry) -> bytes:
    name = entry.name.encode("ascii") if entry.name.isascii() else b""
    if not name or len(name) > _MAX_NAME_BYTES or b"/" in name or entry.cid.codec != RAW:
        raise ValueError("A directory entry is a file name and a raw block.")
    size = bytes([_LINK_SIZE]) + varint(entry.size)
    return _field(_LINK_CID, entry.cid.binary) + _field(_LINK_NAME, name) + size


def _read_link(data: bytes) -> DirectoryEntry:
    source = _Fields(data)
    binary = source.content(_LINK_CID, limit=CID_BYTES)
    name = source.content(_LINK_NAME, limit=_MAX_NAME_BYTES)
    size = source.number(_LINK_SIZE)
    if source.has_more() or not name.isascii():
        _refuse()
    return DirectoryEntry(name.decode("ascii"), cid_from_binary(binary), size)


class _Fields:
    """Reads fields of a protobuf message in one fixed order.

    It may be lenient: what it read is encoded again and compared with the bytes.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def has_more(self) -> bool:
        return self._at < len(self._data)

    def content(self, tag: int, *, limit: int = MAX_DIRECTORY_BYTES) -> bytes:
        length = self.number(tag)
        part = self._data[self._at : self._at + length]
        if len(part) != length or length > limit:
            _refuse()
        self._at += length
        return part

    def number(self, tag: int) -> int:
        value = read_varint(self._byte) if self._byte() == tag else None
        if value is None:
            _refuse()
        return value

    def _byte(self) -> int:
        if not self.has_more():
            _refuse()
        self._at += 1
        return self._data[self._at - 1]


def _refuse() -> NoReturn:
    raise _refusal()


def _refusal() -> VerificationError:
    return VerificationError("The block is not the directory of a batch.", check=1)
