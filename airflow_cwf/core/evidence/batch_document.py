"""`cwf-batch/1`: what one append added to a submitter's log, stored before it is sent.

The object stands as `batch.json` in the batch's directory beside its records. It holds no leaf
but the new ones; with its consistency proof that is enough to check that exactly they were added.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.canonical import canonical_bytes, parse_canonical
from airflow_cwf.core.evidence.cid import Cid, is_cid, parse_cid
from airflow_cwf.core.evidence.forms import (
    Form,
    check_form,
    exactly,
    is_caip2,
    is_count,
    is_digest,
    is_evm_address,
    list_of,
)
from airflow_cwf.core.evidence.log import LogGrowth, grow, log_leaves, verify_appended

FORMAT: Final = "cwf-batch/1"
MAX_BATCH_RECORDS: Final = 1_000
MAX_BATCH_BYTES: Final = 2**20

BATCH_FORM: Final[Form] = {
    "format": exactly(FORMAT),
    "chain": is_caip2,
    "contract": is_evm_address,
    "submitter": is_evm_address,
    "old_size": is_count,
    "old_root": is_digest,
    "size": is_count,
    "root": is_digest,
    "consistency": list_of(is_digest),
    "records": list_of(is_cid),
}


@dataclass(frozen=True, slots=True)
class LogId:
    """Whose log it is; equal to a record's `anchor_to`."""

    chain: str
    """CAIP-2 id of an eip155 chain."""
    contract: str
    """Lower-case address of `WorkflowAnchor`."""
    submitter: str
    """Lower-case address."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch whose own members agree: the append adds exactly its records."""

    log: LogId
    growth: LogGrowth
    records: tuple[Cid, ...]
    """CIDs in the order of their positions, from `growth.old_size` on."""
    data: bytes = field(repr=False)
    """Canonical bytes of `batch.json`."""

    @property
    def intent_key(self) -> str:
        """The journal's key: a batch is resumed under it, never composed anew."""
        log = self.log
        return f"anchor/{log.chain}/{log.contract}/{log.submitter}/{self.growth.old_size}"


def compose_batch(log: LogId, *, leaves: Sequence[bytes], records: Sequence[Cid]) -> Batch:
    """Return the batch that appends `records` to a log.

    Args:
        log: whose it is.
        leaves: leaf hashes of the log as the contract's head has it.
        records: CIDs of the waiting records, 1 to 1,000, each once.

    Raises:
        VerificationError: check 1; none, too many, one twice, or `log` is out of form.
    """
    growth = grow([*leaves, *log_leaves(records)], old_size=len(leaves))
    document = {
        "format": FORMAT,
        "chain": log.chain,
        "contract": log.contract,
        "submitter": log.submitter,
        "old_size": growth.old_size,
        "old_root": _hex(growth.old_root),
        "size": growth.size,
        "root": _hex(growth.root),
        "consistency": [_hex(part) for part in growth.consistency],
        "records": [str(record) for record in records],
    }
    return parse_batch(canonical_bytes(document))


def parse_batch(data: bytes) -> Batch:
    """Read `batch.json` and check it against itself.

    Raises:
        VerificationError: check 1, bounds, JSON, canonical bytes, form, number of records, one
            twice; check 11, the append does not lead from the old head to the new one by adding
            exactly these records.
    """
    document = parse_canonical(data, max_bytes=MAX_BATCH_BYTES)
    check_form(document, BATCH_FORM, where="The batch")
    records = tuple(parse_cid(text) for text in cast("list[str]", document["records"]))
    if not 1 <= len(records) <= MAX_BATCH_RECORDS or len(set(records)) != len(records):
        message = f"A batch holds 1 to {MAX_BATCH_RECORDS} records, each once."
        raise VerificationError(message, check=1)
    log = LogId(
        chain=cast("str", document["chain"]),
        contract=cast("str", document["contract"]),
        submitter=cast("str", document["submitter"]),
    )
    if not log.chain.startswith("eip155:"):
        raise VerificationError("A batch is anchored on an eip155 chain.", check=1)
    growth = growth_of(document)
    verify_appended(records, growth=growth)
    return Batch(log=log, growth=growth, records=records, data=data)


def growth_of(members: Mapping[str, object]) -> LogGrowth:
    """Return the append that a batch or an `anchor` tells of; their forms were checked before."""
    return LogGrowth(
        old_size=cast("int", members["old_size"]),
        old_root=_bytes(members["old_root"]),
        size=cast("int", members["size"]),
        root=_bytes(members["root"]),
        consistency=tuple(_bytes(part) for part in cast("list[str]", members["consistency"])),
    )


def _hex(data: bytes) -> str:
    return f"0x{data.hex()}"


def _bytes(text: object) -> bytes:
    return bytes.fromhex(cast("str", text)[2:])
