"""`anchor`: where a record stands in its submitter's log, and which append put it there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from airflow_cwf.core.anchors import AppendCall, Head
from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.batch_document import LogId, growth_of
from airflow_cwf.core.evidence.cid import DAG_PB, Cid, parse_cid
from airflow_cwf.core.evidence.forms import (
    Form,
    check_form,
    is_caip2,
    is_count,
    is_digest,
    is_evm_address,
    is_text,
    list_of,
)
from airflow_cwf.core.evidence.log import LogGrowth

ANCHOR_FORM: Final[Form] = {
    "chain": is_caip2,
    "contract": is_evm_address,
    "submitter": is_evm_address,
    "tx_hash": is_digest,
    "block": is_count,
    "position": is_count,
    "path": list_of(is_digest),
    "size": is_count,
    "root": is_digest,
    "old_size": is_count,
    "old_root": is_digest,
    "consistency": list_of(is_digest),
    "batch": is_text,
}
_EIP155: Final = re.compile(r"eip155:[0-9]+")


@dataclass(frozen=True, slots=True)
class AnchorEntry:
    """A record's place in a log, as its holder claims it."""

    log: LogId
    growth: LogGrowth
    position: int
    path: tuple[bytes, ...]
    """Siblings from leaf to root, 32 bytes each."""
    batch: Cid
    """Directory of the batch that was appended."""
    tx_hash: str
    block: int

    @property
    def call(self) -> AppendCall:
        """The call of `append` that the claim speaks of."""
        growth = self.growth
        return AppendCall(
            old=Head(growth.old_size, growth.old_root),
            new=Head(growth.size, growth.root),
            batch=self.batch.digest,
        )


def parse_anchor(value: object) -> AnchorEntry:
    """Read the `anchor` of a metadata or a receipt file.

    Raises:
        VerificationError: check 1; a member is out of form.
    """
    check_form(value, ANCHOR_FORM, where="`anchor`")
    members = cast("Mapping[str, object]", value)
    batch = parse_cid(members["batch"])
    if batch.codec != DAG_PB:
        raise VerificationError("`anchor`: `batch` is not the CID of a directory.", check=1)
    chain = cast("str", members["chain"])
    if not _EIP155.fullmatch(chain):
        raise VerificationError("`anchor`: `chain` is not an eip155 chain.", check=1)
    return AnchorEntry(
        log=LogId(chain, cast("str", members["contract"]), cast("str", members["submitter"])),
        growth=growth_of(members),
        position=cast("int", members["position"]),
        path=tuple(bytes.fromhex(part[2:]) for part in cast("list[str]", members["path"])),
        batch=batch,
        tx_hash=cast("str", members["tx_hash"]),
        block=cast("int", members["block"]),
    )


def log_of(anchor_to: object) -> LogId | None:
    """Return the log that a core's `anchor_to` names, its form checked before; None for null."""
    if anchor_to is None:
        return None
    members = cast("Mapping[str, str]", anchor_to)
    return LogId(members["chain"], members["contract"], members["submitter"])
