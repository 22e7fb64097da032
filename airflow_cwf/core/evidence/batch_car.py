"""The batch CAR: a directory of `batch.json` and each record, in one file under one root.

`append` puts the sha2-256 of the directory's block on the chain, `anchor.batch` is its CID: from
there every file of the batch is reached and checked.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.batch_document import MAX_BATCH_RECORDS, Batch
from airflow_cwf.core.evidence.car import read_car
from airflow_cwf.core.evidence.cid import DAG_PB, Block, Cid, cid_of, raw_cid
from airflow_cwf.core.evidence.forms import is_digest
from airflow_cwf.core.evidence.unixfs import DirectoryEntry, encode_directory, parse_directory

BATCH_FILE: Final = "batch.json"
_MAX_FILES: Final = MAX_BATCH_RECORDS + 1


@dataclass(frozen=True, slots=True)
class BatchFile:
    """One file of a batch, its bytes as its CID names them."""

    name: str
    data: bytes


def record_file(workflow_id: str) -> str:
    """Return the name of a record's file, `<workflow_id>.json`.

    Raises:
        ValueError: the id is not `0x` and 64 hex digits.
    """
    if not is_digest(workflow_id):
        raise ValueError("A workflow id is 0x and 64 hex digits.")
    return f"{workflow_id}.json"


def batch_blocks(batch: Batch, records: Mapping[str, bytes]) -> list[Block]:
    """Return the blocks of a batch: the directory first, then the files in byte order of names.

    Args:
        batch: the composed batch.
        records: canonical bytes of its records by workflow id.

    Raises:
        VerificationError: check 2; these are not the records of the batch.
    """
    files = {BATCH_FILE: batch.data}
    files |= {record_file(workflow_id): data for workflow_id, data in records.items()}
    entries = [DirectoryEntry(name, raw_cid(data), len(data)) for name, data in files.items()]
    require_files(entries, batch=batch)
    directory = encode_directory(entries)
    blocks = [Block(raw_cid(files[name]), files[name]) for name in sorted(files)]
    return [Block(cid_of(directory, codec=DAG_PB), directory), *blocks]


def require_files(entries: Iterable[DirectoryEntry], *, batch: Batch) -> None:
    """Check that a directory holds the batch and exactly its records.

    Which name a record has is checked where the record is read: it must be its workflow id.

    Raises:
        VerificationError: check 2.
    """
    found = {entry.name: entry.cid for entry in entries}
    own = found.pop(BATCH_FILE, None)
    if own != raw_cid(batch.data):
        raise VerificationError("The directory does not hold this batch.", check=2)
    if len(found) != len(batch.records) or set(found.values()) != set(batch.records):
        raise VerificationError("The directory holds other records than the batch.", check=2)


def read_batch_car(
    pieces: Iterable[bytes],
) -> tuple[Cid, tuple[DirectoryEntry, ...], Iterator[BatchFile]]:
    """Read a batch CAR: root and directory now, the files one by one in the order of the CAR.

    The CAR is known to be whole when the iterator has ended without an error.

    Args:
        pieces: the file, cut anywhere.

    Raises:
        VerificationError: check 1, framing, the directory's form, a block that it does not link
            to or that is missing; check 2, a CID that does not name its block. Also while
            iterating.
    """
    root, blocks = read_car(pieces, max_blocks=_MAX_FILES + 1)
    first = next(blocks, None)
    if first is None or root.codec != DAG_PB:
        raise VerificationError("The CAR is not that of a batch: no directory.", check=1)
    if first.cid != root:
        raise VerificationError("The CAR's first block is not its root.", check=2)
    entries = parse_directory(first.data)
    return root, entries, _files(entries, blocks)


def _files(entries: Iterable[DirectoryEntry], blocks: Iterator[Block]) -> Iterator[BatchFile]:
    waiting = {entry.cid: entry for entry in entries}
    for block in blocks:
        entry = waiting.pop(block.cid, None)
        if entry is None or entry.size != len(block.data):
            message = "The CAR holds a block that its directory does not link to."
            raise VerificationError(message, check=1)
        yield BatchFile(entry.name, block.data)
    if waiting:
        raise VerificationError("The CAR lacks a file that its directory links to.", check=1)
