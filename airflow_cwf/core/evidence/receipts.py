"""Receipts: what became of one item. Private; only the root over an agent's receipts is public.

An agent's receipts stand in order of (scope, item), scopes by their UTF-8 bytes.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypedDict, Unpack, cast

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.canonical import canonical_bytes, leaf_hash, parse_canonical
from airflow_cwf.core.evidence.forms import (
    Form,
    check_form,
    exactly,
    is_caip2,
    is_count,
    is_decimal,
    is_name,
    is_salt,
    is_text,
    list_of,
    nullable,
    one_of,
)
from airflow_cwf.core.evidence.merkle import tree_root

RECEIPT_TYPE: Final = "cwf-receipt/1"
FILE_FORMAT: Final = "cwf-receipts/1"
MAX_FILE_BYTES: Final = 64 * 2**20
"""Some 100,000 receipts of one agent."""
SETTLED: Final = "settled"
FAILED: Final = "failed"
UNRESOLVED: Final = "unresolved"

_FORM: Final[Form] = {
    "type": exactly(RECEIPT_TYPE),
    "salt": is_salt,
    "key": is_text,
    "scope": is_text,
    "item": is_count,
    "chain": nullable(is_caip2),
    "asset": nullable(is_name),
    "payer": nullable(is_name),
    "payee": nullable(is_name),
    "amount": nullable(is_decimal),
    "status": one_of(SETTLED, FAILED, UNRESOLVED),
    "reason": nullable(is_text),
    "tx_hash": nullable(is_name),
    "log": nullable(is_count),
}
_FILE_FORM: Final[Form] = {
    "format": exactly(FILE_FORMAT),
    "step": is_count,
    "receipts": list_of(lambda value: isinstance(value, Mapping)),
}
_EVM_HASH: Final = re.compile(r"0x[0-9a-f]{64}")
_EVM_ACCOUNT: Final = re.compile(r"(eip155:[0-9]+):0x[0-9a-f]{40}")
"""CAIP-10, lower case."""
_EVM_ASSET: Final = re.compile(r"(eip155:[0-9]+)/(?:erc20:0x[0-9a-f]{40}|slip44:[0-9]+)")
"""CAIP-19, lower case."""


class ReceiptFields(TypedDict):
    """Arguments of `make_receipt`; None where there is nothing to say."""

    salt: str
    """16 random bytes as `0x` hex, one per receipt, stored before this first use."""
    key: str
    """The business key."""
    scope: str
    item: int
    """Index in the scope."""
    chain: str | None
    """CAIP-2"""
    asset: str | None
    """CAIP-19: `eip155:1/erc20:0x...`"""
    payer: str | None
    """CAIP-10: `eip155:1:0x...`, lower case."""
    payee: str | None
    """CAIP-10"""
    amount: str | None
    """Decimal text in the asset's smallest unit."""
    status: str
    """`settled`, `failed` or `unresolved`."""
    reason: str | None
    tx_hash: str | None
    log: int | None
    """Place of the transfer among the logs of its own transaction, from 0; None off eip155."""


class Receipt(ReceiptFields):
    """One item's receipt."""

    type: str


@dataclass(frozen=True, slots=True)
class ReceiptsFile:
    """All receipts of the agent at `step`, in the order of the file."""

    step: int
    receipts: Sequence[Receipt]


def make_receipt(**fields: Unpack[ReceiptFields]) -> dict[str, object]:
    """Build the receipt of one item.

    Raises:
        VerificationError: check 1; a member is out of form.
    """
    receipt: dict[str, object] = {"type": RECEIPT_TYPE, **fields}
    as_receipt(receipt, where="The receipt")
    return receipt


def as_receipt(value: object, *, where: str) -> Receipt:
    """Check a receipt's form and return the same object with its types.

    Raises:
        VerificationError: check 1; says which member.
    """
    check_form(value, _FORM, where=where)
    canonical_bytes(value)
    receipt = cast("Receipt", value)
    if receipt["chain"] is not None and receipt["chain"].startswith("eip155:"):
        _check_evm(receipt, chain=receipt["chain"], where=where)
    elif receipt["log"] is not None:
        raise VerificationError(f"{where}: `log` must be null off eip155 chains.", check=1)
    return receipt


def in_order(receipts: Iterable[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """Return receipts in order of (scope, item).

    Raises:
        VerificationError: check 10; one item has two receipts.
    """
    ordered = sorted(receipts, key=position)
    require_order(ordered)
    return ordered


def require_order(receipts: Sequence[Mapping[str, object]]) -> None:
    """Check that receipts stand in order of (scope, item), each item once.

    Raises:
        VerificationError: check 10.
    """
    positions = [position(receipt) for receipt in receipts]
    if any(left >= right for left, right in pairwise(positions)):
        raise VerificationError("An item has two receipts, or they are out of order.", check=10)


def position(receipt: Mapping[str, object]) -> tuple[bytes, int]:
    """Return what a receipt is sorted by: the scope's UTF-8 bytes, then the item's index."""
    typed = cast("Receipt", receipt)
    return typed["scope"].encode("utf-8"), typed["item"]


def receipts_root(receipts: Sequence[Mapping[str, object]]) -> bytes:
    """Return the root over an agent's receipts, which stand in order; `H("")` for none."""
    return tree_root([leaf_hash(receipt) for receipt in receipts])


def count_statuses(receipts: Iterable[Mapping[str, object]]) -> dict[str, int]:
    """Return how many receipts say settled, failed and unresolved."""
    counts = Counter(cast("Receipt", receipt)["status"] for receipt in receipts)
    return {status: counts[status] for status in (SETTLED, FAILED, UNRESOLVED)}


def receipts_file(*, step: int, receipts: Sequence[Mapping[str, object]]) -> bytes:
    """Return the `cwf-receipts/1` file of all receipts, in order, of the agent at `step`."""
    return canonical_bytes({"format": FILE_FORMAT, "step": step, "receipts": receipts})


def parse_receipts_file(data: bytes) -> ReceiptsFile:
    """Read a `cwf-receipts/1` file.

    Raises:
        VerificationError: check 1; bounds, JSON, canonical bytes or a member out of form.
    """
    document = parse_canonical(data, max_bytes=MAX_FILE_BYTES)
    check_form(document, _FILE_FORM, where="The receipts file")
    items = cast("list[object]", document["receipts"])
    receipts = [
        as_receipt(item, where=f"Receipt {number} of a receipts file")
        for number, item in enumerate(items)
    ]
    return ReceiptsFile(step=cast("int", document["step"]), receipts=receipts)


def _check_evm(receipt: Receipt, *, chain: str, where: str) -> None:
    """Check that hash, accounts and asset have EVM's text and name the receipt's own chain."""
    if receipt["tx_hash"] is not None and not _EVM_HASH.fullmatch(receipt["tx_hash"]):
        raise VerificationError(f"{where}: `tx_hash` is not in its form.", check=1)
    named = (
        ("asset", receipt["asset"], _EVM_ASSET),
        ("payer", receipt["payer"], _EVM_ACCOUNT),
        ("payee", receipt["payee"], _EVM_ACCOUNT),
    )
    for member, text, form in named:
        if text is None:
            continue
        match = form.fullmatch(text)
        if match is None or match[1] != chain:
            raise VerificationError(f"{where}: `{member}` is not in its form.", check=1)
