"""Advance a run's record as far as it will go: recorded, proved, published, anchored.

Each step can be repeated: what it made is stored before the next one begins, and a step that
finds its work done goes on. Money has moved before any of this; a failure here costs no payment.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from airflow_cwf.actions.aggregate import anchor_destination
from airflow_cwf.actions.anchor import Anchoring, anchor
from airflow_cwf.actions.prove import prove
from airflow_cwf.actions.publish import publish_record, read_car_of, read_record
from airflow_cwf.actions.run_folder import CAR, METADATA, run_path
from airflow_cwf.core.anchor_log import BatchRow, WaitingRecord, log_name
from airflow_cwf.core.evidence.batch_car import batch_blocks
from airflow_cwf.core.evidence.batch_document import LogId, parse_batch
from airflow_cwf.core.evidence.canonical import canonical_bytes
from airflow_cwf.core.evidence.cid import parse_cid
from airflow_cwf.core.evidence.log import log_leaves, log_path
from airflow_cwf.core.evidence.outputs import VIEW_FLOATS
from airflow_cwf.core.evidence.record import is_proved, parse_document, record_of
from airflow_cwf.core.fees import GasStrategy, parse_strategy
from airflow_cwf.core.journal_rows import WorkflowRow
from airflow_cwf.core.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Anchored:
    """A batch that is final on chain."""

    tx_hash: str
    block: int
    records: int


async def prove_and_publish(row: WorkflowRow, runtime: Runtime) -> str:
    """Prove a recorded run, store its CAR, queue it for its log, and return its CID.

    Raises:
        ProverError: no accepted key, no Node, or the prover failed; clearing the task tries
            again, and what was paid stays paid.
        StorageError: the storage node did not take the record.
    """
    path = run_path(row.run, row.workflow_id, METADATA)
    document = parse_document(runtime.artifacts.read(path))
    if not is_proved(document):
        document = await prove(document, runtime)
        _write(path, document, runtime)
    cid = await publish_record(canonical_bytes(record_of(document)), runtime=runtime)
    log = _log_of(document)
    chosen = runtime.journal.anchors.publish(
        row.workflow_id, cid=str(cid), log=None if log is None else log_name(log)
    )
    if chosen != str(cid):  # another worker's proof of the same run came first
        _write(path, _with_record(document, chosen, runtime), runtime)
    runtime.artifacts.write(run_path(row.run, row.workflow_id, CAR), read_car_of(chosen, runtime))
    batch = runtime.journal.anchors.batch_of(row.workflow_id)
    if batch is not None and batch.tx_hash is not None and document["anchor"] is None:
        note_anchor(batch, runtime)  # anchored meanwhile, by a worker that took it along
    return chosen


async def anchor_waiting(work: Anchoring, runtime: Runtime) -> list[Anchored]:
    """Anchor all that waits, batch by batch, and note in each metadata where it stands.

    Raises:
        See `actions.anchor.anchor`.
    """
    done: list[Anchored] = []
    while (batch := await anchor(work, runtime)) is not None:
        note_anchor(batch, runtime)
        tx_hash, block = cast("str", batch.tx_hash), cast("int", batch.block)
        runtime.journal.anchors.close_batch(batch, tx_hash=tx_hash, block=block)
        done.append(Anchored(tx_hash, block, batch.size - batch.old_size))
    return done


async def anchor_all(
    runtime: Runtime, *, strategy: GasStrategy | None = None
) -> list[dict[str, Any]]:
    """Anchor all that waits for this runtime's own log; return the batches as plain data.

    Returns nothing if no anchor chain is set.
    """
    destination = anchor_destination(runtime)
    if destination is None or runtime.anchor_chain is None:
        return []
    work = Anchoring(
        runtime.anchor_chain, LogId(**destination), strategy or parse_strategy("optimal")
    )
    return [asdict(batch) for batch in await anchor_waiting(work, runtime)]


def note_anchor(row: BatchRow, runtime: Runtime) -> None:
    """Write `anchor` into the metadata of each record of a final batch; again changes nothing."""
    batch = parse_batch(row.document)
    known = runtime.journal.anchors.leaves(row.log)[: row.size]
    leaves = log_leaves([parse_cid(record.cid) for record in known])
    records = known[row.old_size :]
    files = {f"0x{r.workflow_id}": read_record(r.cid, runtime) for r in records}
    directory = batch_blocks(batch, files)[0].cid
    growth = batch.growth
    for record in records:
        position = cast("int", record.position)
        _write_anchor(
            record,
            {
                "chain": batch.log.chain,
                "contract": batch.log.contract,
                "submitter": batch.log.submitter,
                "tx_hash": row.tx_hash,
                "block": row.block,
                "position": position,
                "path": [f"0x{part.hex()}" for part in log_path(leaves, position)],
                "size": growth.size,
                "root": f"0x{growth.root.hex()}",
                "old_size": growth.old_size,
                "old_root": f"0x{growth.old_root.hex()}",
                "consistency": [f"0x{part.hex()}" for part in growth.consistency],
                "batch": str(directory),
            },
            runtime,
        )


def _write_anchor(record: WaitingRecord, anchor_: Mapping[str, object], runtime: Runtime) -> None:
    path = run_path(record.run, record.workflow_id, METADATA)
    stored = parse_document(runtime.artifacts.read(path))
    document = _with_record(stored, record.cid, runtime) | {"anchor": dict(anchor_)}
    if document != stored:
        _write(path, document, runtime)


def _with_record(document: Mapping[str, object], cid: str, runtime: Runtime) -> dict[str, object]:
    """Return a metadata that holds the published record, whoever proved it."""
    return dict(document) | parse_document(read_record(cid, runtime)) | {"cid": cid}


def _write(path: str, document: Mapping[str, object], runtime: Runtime) -> None:
    runtime.artifacts.write(path, canonical_bytes(document, float_members=VIEW_FLOATS))


def _log_of(document: Mapping[str, object]) -> LogId | None:
    to = cast("Mapping[str, str] | None", document["anchor_to"])
    return None if to is None else LogId(to["chain"], to["contract"], to["submitter"])
