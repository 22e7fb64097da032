"""Publish: store a record, or a batch of them, as CAR files, and pin them where a node is set."""

from collections.abc import Sequence

from airflow_cwf.actions.run_folder import CAR, METADATA, run_path
from airflow_cwf.core.anchor_log import WaitingRecord
from airflow_cwf.core.evidence.batch_car import batch_blocks
from airflow_cwf.core.evidence.batch_document import Batch
from airflow_cwf.core.evidence.canonical import canonical_bytes
from airflow_cwf.core.evidence.car import car_pieces, record_car
from airflow_cwf.core.evidence.cid import Cid, raw_cid
from airflow_cwf.core.evidence.record import parse_document, record_of
from airflow_cwf.core.runtime import Runtime


async def publish_record(record: bytes, *, run: str, workflow_id: str, runtime: Runtime) -> Cid:
    """Store a record's CAR, pin it if a node is configured, and return its CID.

    Raises:
        StorageError: the node did not take it, or gives back other bytes.
    """
    cid = raw_cid(record)
    car = record_car(record)
    runtime.artifacts.write(run_path(run, workflow_id, CAR), car)
    if runtime.storage is not None:
        await runtime.storage.pin(cid, car)
    return cid


async def publish_batch(
    batch: Batch, records: Sequence[WaitingRecord], *, runtime: Runtime
) -> bytes:
    """Store a batch's CAR, pin it, and return the sha2-256 of its directory: what is appended."""
    files = {f"0x{r.workflow_id}": read_record(r, runtime) for r in records}
    blocks = batch_blocks(batch, files)
    root = blocks[0].cid
    car = b"".join(car_pieces(root, blocks))
    runtime.artifacts.write(f"batches/{root}.car", car)
    if runtime.storage is not None:
        await runtime.storage.pin(root, car)
    return root.digest


def read_record(record: WaitingRecord, runtime: Runtime) -> bytes:
    """Return a record's bytes out of its stored metadata."""
    data = runtime.artifacts.read(run_path(record.run, record.workflow_id, METADATA))
    return canonical_bytes(record_of(parse_document(data)))
