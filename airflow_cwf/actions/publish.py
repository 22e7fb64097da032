"""Publish: store a record, or a batch of them, as CAR files, and pin them where a node is set."""

from collections.abc import Sequence

from airflow_cwf.core.anchor_log import WaitingRecord
from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.batch_car import batch_blocks
from airflow_cwf.core.evidence.batch_document import Batch
from airflow_cwf.core.evidence.car import car_pieces, read_record_car, record_car
from airflow_cwf.core.evidence.cid import Cid, raw_cid
from airflow_cwf.core.runtime import Runtime


async def publish_record(record: bytes, *, runtime: Runtime) -> Cid:
    """Store a record's CAR under its CID, pin it if a node is configured, and return its CID.

    Under its CID, because two workers that prove one run make two records of it: neither may
    take the other's bytes away.

    Raises:
        StorageError: the node did not take it, or gives back other bytes.
    """
    cid = raw_cid(record)
    car = record_car(record)
    runtime.artifacts.write(_place(str(cid)), car)
    if runtime.storage is not None:
        await runtime.storage.pin(cid, car)
    return cid


async def publish_batch(
    batch: Batch, records: Sequence[WaitingRecord], *, runtime: Runtime
) -> bytes:
    """Store a batch's CAR, pin it, and return the sha2-256 of its directory: what is appended."""
    files = {f"0x{r.workflow_id}": read_record(r.cid, runtime) for r in records}
    blocks = batch_blocks(batch, files)
    root = blocks[0].cid
    car = b"".join(car_pieces(root, blocks))
    runtime.artifacts.write(f"batches/{root}.car", car)
    if runtime.storage is not None:
        await runtime.storage.pin(root, car)
    return root.digest


def read_record(cid: str, runtime: Runtime) -> bytes:
    """Return a published record's bytes.

    Raises:
        VerificationError: check 2; the stored file holds another record than its name says.
    """
    record = read_record_car(read_car_of(cid, runtime))
    if str(raw_cid(record)) != cid:
        message = f"The stored file of record {cid} holds another record."
        raise VerificationError(message, check=2)
    return record


def read_car_of(cid: str, runtime: Runtime) -> bytes:
    """Return the stored CAR of a published record."""
    return runtime.artifacts.read(_place(cid))


def _place(cid: str) -> str:
    return f"records/{cid}.car"
