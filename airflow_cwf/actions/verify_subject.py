"""What is verified, read once and strictly (check 1), and what the verifier brings to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from airflow_cwf.actions.verify_report import RecordName
from airflow_cwf.core.anchors import Head
from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence import batch_document, receipt_file
from airflow_cwf.core.evidence.anchor_entry import AnchorEntry, parse_anchor
from airflow_cwf.core.evidence.batch_document import Batch, parse_batch
from airflow_cwf.core.evidence.canonical import canonical_bytes, parse_canonical
from airflow_cwf.core.evidence.car import is_car, read_record_car
from airflow_cwf.core.evidence.cid import Cid, raw_cid
from airflow_cwf.core.evidence.outputs import VIEW_FLOATS
from airflow_cwf.core.evidence.receipt_file import ReceiptFile, parse_receipt_file
from airflow_cwf.core.evidence.receipts import Receipt, ReceiptsFile, parse_receipts_file
from airflow_cwf.core.evidence.record import (
    MAX_METADATA_BYTES,
    core_digest,
    core_of,
    is_metadata,
    is_proved,
    outputs_of,
    parse_document,
    record_of,
)
from airflow_cwf.core.evidence.trust import NO_TRUST, Trust
from airflow_cwf.core.ports import ChainClient


@dataclass(frozen=True, slots=True)
class Terms:
    """What a verifier brings along, and what it accepts. Nothing here comes from the document."""

    receipts_files: Sequence[bytes] = ()
    """`cwf-receipts/1` files of this workflow."""
    batches: Sequence[bytes] = ()
    """`cwf-batch/1` objects of the same log, to walk to the head of `since`."""
    chains: Mapping[str, ChainClient] = field(default_factory=dict)
    """CAIP-2 to client, for checks 12 and 13."""
    natives: Mapping[str, str] = field(default_factory=dict)
    """CAIP-2 to the symbol of the coin that pays fees; a chain not listed has a coin of its own."""
    trust: Trust = NO_TRUST
    since: Head | None = None
    """A head of the log that the verifier saw before."""
    dev: bool = False
    """Accept development keys."""
    unsigned: bool = False
    """Accept records that name no destination, so that nobody signed them."""
    offline: bool = False
    """Leave checks 12 and 13 out."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One record and all that was given with it, every part in its form."""

    kind: str
    """How to call the target: record, metadata, receipt file."""
    document: Mapping[str, object]
    cid: Cid
    """Of the record's canonical bytes."""
    asked: Cid | None = None
    """The name that the bytes must have: the CID asked for, or the CAR's root."""
    outputs: Sequence[Mapping[str, object]] | None = None
    """None unless the target is a metadata."""
    receipt: ReceiptFile | None = None
    anchor: AnchorEntry | None = None
    files: Sequence[ReceiptsFile] = ()
    batches: Sequence[Batch] = ()

    @property
    def name(self) -> RecordName:
        """What the record is called."""
        return RecordName(
            workflow_id=cast("str", self.document["workflow_id"]),
            core_digest=f"0x{core_digest(core_of(self.document)).hex()}",
            cid=str(self.cid),
        )

    @property
    def proved(self) -> bool:
        """Whether the record carries a proof."""
        return is_proved(self.document)

    @property
    def receipts(self) -> list[Receipt]:
        """All receipts that were given, each once."""
        found = [receipt for file in self.files for receipt in file.receipts]
        if self.receipt is not None and self.receipt.receipt not in found:
            found.append(self.receipt.receipt)
        return found


def read_subject(target: bytes, terms: Terms, *, asked: Cid | None = None) -> Subject:
    """Read a record, a metadata, a receipt file or the CAR of a record.

    Args:
        target: hostile until proved otherwise.
        terms: their further files are read too.
        asked: the CID that was asked for.

    Raises:
        VerificationError: check 1, any of the files is out of form; check 2, a CID of the CAR is
            not that of its block; check 11, a batch file contradicts itself.
    """
    files = [parse_receipts_file(data) for data in terms.receipts_files]
    batches = [parse_batch(data) for data in terms.batches]
    kind, receipt = "", None
    if is_car(target):
        target = read_record_car(target)
        asked, kind = asked or raw_cid(target), "CAR of a "
    elif format_of(target) == receipt_file.FORMAT:
        receipt = parse_receipt_file(target)
        target, kind = receipt.record, "receipt file and "
    document = parse_document(target)
    private = is_metadata(document)
    if private and kind:
        raise VerificationError("A record is expected there, not a metadata.", check=1)
    anchor = document.get("anchor") if receipt is None else receipt.anchor
    return Subject(
        kind="metadata" if private else f"{kind}record",
        document=document,
        cid=raw_cid(canonical_bytes(record_of(document))),
        asked=asked,
        outputs=outputs_of(document) if private else None,
        receipt=receipt,
        anchor=_anchor(anchor, document),
        files=files,
        batches=batches,
    )


_FORMATS: Final = (receipt_file.FORMAT, batch_document.FORMAT)


def format_of(data: bytes) -> str | None:
    """Return the `format` of a receipt file or a batch; None for everything else.

    Raises:
        VerificationError: check 1; it looks like one of them and cannot be read.
    """
    if not any(f'"{name}"'.encode() in data for name in _FORMATS):
        return None
    document = parse_canonical(data, max_bytes=MAX_METADATA_BYTES, float_members=VIEW_FLOATS)
    name = document.get("format")
    return name if isinstance(name, str) and name in _FORMATS else None


def _anchor(value: object, document: Mapping[str, object]) -> AnchorEntry | None:
    if value is None:
        return None
    if not is_proved(document):
        raise VerificationError("There is no proof, yet `anchor` is not empty.", check=1)
    return parse_anchor(value)
