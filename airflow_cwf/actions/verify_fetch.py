"""Targets that are no single file: a batch, a CID, the transaction of an append.

What a node or a store gives back is believed only as far as a CID names it.
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import chain
from typing import Final

from airflow_cwf.actions.verify import unreadable, verify
from airflow_cwf.actions.verify_anchor import final_transaction
from airflow_cwf.actions.verify_batch import BatchSource, verify_batch
from airflow_cwf.actions.verify_report import State, UnknownError, VerificationReport, lines_of
from airflow_cwf.actions.verify_subject import Terms, format_of
from airflow_cwf.core.anchors import appended_events
from airflow_cwf.core.errors import ChainError, ConfigError, StorageError, VerificationError
from airflow_cwf.core.evidence import batch_document
from airflow_cwf.core.evidence.batch_car import BATCH_FILE, BatchFile, read_batch_car
from airflow_cwf.core.evidence.batch_document import MAX_BATCH_RECORDS, Batch, parse_batch
from airflow_cwf.core.evidence.car import MAX_BLOCK_BYTES, is_car, read_car
from airflow_cwf.core.evidence.cid import DAG_PB, RAW, Cid
from airflow_cwf.core.evidence.record import MAX_METADATA_BYTES
from airflow_cwf.core.evidence.unixfs import MAX_DIRECTORY_BYTES, parse_directory
from airflow_cwf.core.ports import ContentStore

_HEAD_BYTES: Final = 64
"""More than the header of a CAR with one root."""
_NO_BATCH: Final = VerificationError("The file is neither batch.json nor a batch CAR.", check=1)
_NO_EVIDENCE: Final = VerificationError("The CID names neither a record nor a batch.", check=2)
_NO_STORE: Final = "Nothing is fetched without an IPFS node: name one with --ipfs URL."


async def verify_file(
    data: Iterable[bytes],
    terms: Terms,
    *,
    store: ContentStore | None = None,
    tx_hash: str | None = None,
) -> VerificationReport:
    """Verify whatever lies in a file: record, metadata, receipt file, either CAR, `batch.json`.

    Args:
        data: the file in pieces; a batch CAR is never held as a whole.
        terms: what the verifier brings along.
        store: where the records of a bare `batch.json` are fetched.
        tx_hash: the append's transaction, if that was asked for: then the file must be a batch.
    """
    head, rest = _split(data)
    try:
        if is_batch_car(head):
            root, entries, files = read_batch_car(chain([head], rest))
            source = BatchSource(files=_each(files), root=root, entries=entries)
            return await verify_batch(source, terms, tx_hash=tx_hash)
        target = _whole(head, rest)
        if format_of(target) == batch_document.FORMAT:
            batch = parse_batch(target)
            return await _verify_document(batch, terms, store=store, tx_hash=tx_hash)
        if tx_hash is None:
            return await verify(target, terms)
        return unreadable(_NO_BATCH)
    except VerificationError as error:
        return unreadable(error)
    except UnknownError as error:
        return _unknown(2, str(error))


def batch_json(data: Iterable[bytes]) -> bytes:
    """Return the bytes of `batch.json` out of a batch CAR, or those of the file itself.

    Raises:
        VerificationError: a CAR that cannot be read or that holds no batch.
    """
    head, rest = _split(data)
    if not is_batch_car(head):
        return _whole(head, rest)
    _, _, files = read_batch_car(chain([head], rest))
    for file in files:
        if file.name == BATCH_FILE:
            return file.data
    raise VerificationError("The directory holds no batch.json.", check=1)


def is_batch_car(head: bytes) -> bool:
    """Tell by the first bytes whether a file is the CAR of a directory."""
    if not is_car(head):
        return False
    try:
        root, _ = read_car([head], max_blocks=0)
    except VerificationError:
        return False
    return root.codec == DAG_PB


async def verify_cid(cid: Cid, terms: Terms, *, store: ContentStore | None) -> VerificationReport:
    """Verify the record or batch of a CID, fetched from the verifier's own IPFS node."""
    try:
        if cid.codec == DAG_PB:
            return await verify_batch(await _directory(cid, store), terms)
        if cid.codec != RAW:
            return unreadable(_NO_EVIDENCE)
        data = await _read(cid, store, max_bytes=MAX_BLOCK_BYTES)
        if format_of(data) == batch_document.FORMAT:
            return await _verify_document(parse_batch(data), terms, store=store, tx_hash=None)
        return await verify(data, terms, cid=cid)
    except VerificationError as error:
        return unreadable(error)
    except UnknownError as error:
        return _unknown(2, str(error))


async def verify_append(
    tx_hash: str, terms: Terms, *, store: ContentStore | None
) -> VerificationReport:
    """Verify every record of the batch that a transaction appended, fetched by its CID.

    The transaction is looked for on the chains of the trusted contracts that have a node.
    """
    try:
        batch = await _find_batch(tx_hash, terms)
        return await verify_batch(await _directory(batch, store), terms, tx_hash=tx_hash)
    except VerificationError as error:
        return unreadable(error)
    except UnknownError as error:
        return _unknown(12, str(error))


async def _verify_document(
    batch: Batch, terms: Terms, *, store: ContentStore | None, tx_hash: str | None
) -> VerificationReport:
    """Verify a batch of which only `batch.json` is at hand."""
    if store is None:
        source = BatchSource(files=_each(iter(())), batch=batch, complete=False)
    else:
        source = BatchSource(files=_records(batch, store), batch=batch)
    return await verify_batch(source, terms, tx_hash=tx_hash)


async def _find_batch(tx_hash: str, terms: Terms) -> Cid:
    """Return the directory that the transaction's one append names."""
    if terms.offline or not terms.chains:
        raise UnknownError("A transaction is not looked up without a node: --rpc CHAIN=URL.")
    reasons = []
    for caip2 in terms.chains:
        try:
            return await _appended_batch(tx_hash, caip2, terms)
        except UnknownError as error:
            reasons.append(str(error))
    raise UnknownError(reasons[0])


async def _appended_batch(tx_hash: str, caip2: str, terms: Terms) -> Cid:
    contracts = {name for name in terms.trust.contracts if name.startswith(f"{caip2}:")}
    if not contracts:
        raise UnknownError(f"{caip2}: no contract is listed in the trust file.")
    try:
        client = terms.chains[caip2]
        logs = (await final_transaction(tx_hash, chain=caip2, client=client)).logs
    except ChainError as error:
        raise UnknownError(f"The node for {caip2} gave no usable answer.") from error
    events = [
        event
        for name in sorted(contracts)
        for event in appended_events(logs, contract=name.rpartition(":")[2])
    ]
    if not events:
        raise VerificationError("The transaction appends to no trusted contract.", check=12)
    if len(events) > 1:
        raise UnknownError("The transaction appends several batches; name the one with --batch.")
    return Cid(DAG_PB, events[0].call.batch)


async def _directory(cid: Cid, store: ContentStore | None) -> BatchSource:
    data = await _read(cid, store, max_bytes=MAX_DIRECTORY_BYTES)
    entries = parse_directory(data)
    if len(entries) > MAX_BATCH_RECORDS + 1:
        raise VerificationError("The directory holds more files than a batch.", check=1)

    async def files() -> AsyncIterator[BatchFile]:
        for entry in entries:
            block = await _read(entry.cid, store, max_bytes=MAX_BLOCK_BYTES)
            if len(block) != entry.size:
                raise VerificationError("A file has another length than its link.", check=1)
            yield BatchFile(entry.name, block)

    return BatchSource(files=files(), root=cid, entries=entries)


async def _records(batch: Batch, store: ContentStore) -> AsyncIterator[BatchFile]:
    for cid in batch.records:
        yield BatchFile("", await _read(cid, store, max_bytes=MAX_BLOCK_BYTES))


async def _read(cid: Cid, store: ContentStore | None, *, max_bytes: int) -> bytes:
    if store is None:
        raise UnknownError(_NO_STORE)
    try:
        return await store.read(cid, max_bytes=max_bytes)
    except (StorageError, ConfigError) as error:
        raise UnknownError(f"{cid} could not be fetched: {error}") from error


async def _each(files: Iterator[BatchFile]) -> AsyncIterator[BatchFile]:
    for file in files:
        yield file


def _split(data: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return enough of the beginning to tell what a file is, and the rest."""
    pieces = iter(data)
    head = b""
    while len(head) < _HEAD_BYTES and (piece := next(pieces, None)) is not None:
        head += piece
    return head, pieces


def _whole(head: bytes, rest: Iterator[bytes]) -> bytes:
    """Return all bytes, or at least one more than any reader takes."""
    data = bytearray(head)
    while len(data) <= MAX_METADATA_BYTES and (piece := next(rest, None)) is not None:
        data += piece
    return bytes(data)


def _unknown(number: int, text: str) -> VerificationReport:
    return VerificationReport(lines=lines_of({number: (State.UNKNOWN, text)}))
