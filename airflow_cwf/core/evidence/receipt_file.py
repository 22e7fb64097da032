"""`cwf-receipt-file/1`: one receipt for its payee, complete in itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.canonical import canonical_bytes, leaf_hash, parse_canonical
from airflow_cwf.core.evidence.forms import (
    Form,
    check_form,
    exactly,
    is_count,
    is_digest,
    list_of,
    nullable,
)
from airflow_cwf.core.evidence.merkle import inclusion_path, verify_inclusion
from airflow_cwf.core.evidence.receipts import Receipt, as_receipt
from airflow_cwf.core.evidence.record import record_of
from airflow_cwf.core.evidence.steps import Step

FORMAT: Final = "cwf-receipt-file/1"
MAX_RECEIPT_FILE_BYTES: Final = 2 * 2**20


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping)


_FORM: Final[Form] = {
    "format": exactly(FORMAT),
    "receipt": _is_object,
    "step": is_count,
    "index": is_count,
    "size": is_count,
    "path": list_of(is_digest),
    "record": _is_object,
    "anchor": nullable(_is_object),
}


@dataclass(frozen=True, slots=True)
class ReceiptFile:
    """One receipt and its place under a step of a record."""

    receipt: Receipt
    step: int
    index: int
    size: int
    path: tuple[bytes, ...]
    """Siblings from leaf to the step's root over its receipts, 32 bytes each."""
    record: bytes
    """Canonical bytes of the record."""
    anchor: Mapping[str, object] | None


def receipt_file(
    receipts: Sequence[Mapping[str, object]],
    *,
    index: int,
    step: int,
    document: Mapping[str, object],
) -> bytes:
    """Return the file for the payee of one receipt.

    Args:
        receipts: all receipts of the step's agent, in order.
        index: which of them.
        step: the agent's step.
        document: metadata or record; of metadata, `anchor` comes along.

    Raises:
        VerificationError: check 10; there is no such receipt.
    """
    path = inclusion_path([leaf_hash(receipt) for receipt in receipts], index)
    value = {
        "format": FORMAT,
        "receipt": receipts[index],
        "step": step,
        "index": index,
        "size": len(receipts),
        "path": [f"0x{part.hex()}" for part in path],
        "record": record_of(document),
        "anchor": document.get("anchor"),
    }
    return canonical_bytes(value)


def parse_receipt_file(data: bytes) -> ReceiptFile:
    """Read a receipt file; its record is for `record.parse_document` to read.

    Raises:
        VerificationError: check 1; bounds, JSON, canonical bytes or a member out of form.
    """
    document = parse_canonical(data, max_bytes=MAX_RECEIPT_FILE_BYTES)
    check_form(document, _FORM, where="The receipt file")
    return ReceiptFile(
        receipt=as_receipt(document["receipt"], where="The receipt"),
        step=cast("int", document["step"]),
        index=cast("int", document["index"]),
        size=cast("int", document["size"]),
        path=tuple(bytes.fromhex(part[2:]) for part in cast("list[str]", document["path"])),
        record=canonical_bytes(document["record"]),
        anchor=cast("Mapping[str, object] | None", document["anchor"]),
    )


def verify_receipt(file: ReceiptFile, steps: Sequence[Mapping[str, object]]) -> None:
    """Verify that the receipt stands under its step, at its place and with its status.

    Raises:
        VerificationError: check 10.
    """
    if file.step >= len(steps):
        raise VerificationError("The receipt names a step that does not exist.", check=10)
    step = cast("Step", steps[file.step])
    if file.size != step["settled"] + step["failed"] + step["unresolved"]:
        message = "The receipt file's `size` is not the number of the step's receipts."
        raise VerificationError(message, check=10)
    verify_inclusion(
        leaf_hash(file.receipt),
        index=file.index,
        size=file.size,
        path=file.path,
        root=bytes.fromhex(step["receipts"][2:]),
    )
    counts = {"settled": step["settled"], "failed": step["failed"]}
    if counts.get(file.receipt["status"], step["unresolved"]) < 1:
        raise VerificationError("The step counts no receipt of this status.", check=10)
