"""Outputs: what one agent did, its row of numbers, and the commitment to that row. Private.

An output is hashed with integers, `fee` and `time_us`. In metadata the same output stands in the
float view, `gas_used` and `execution_time` (milliseconds), from which the integers come back
without loss because both stay below 2^52.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, NotRequired, TypedDict, Unpack, cast

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.canonical import canonical_bytes
from airflow_cwf.core.evidence.forms import (
    Form,
    check_form,
    exactly,
    is_caip2,
    is_figure,
    is_name,
    is_salt,
    list_of,
    nullable,
)
from airflow_cwf.core.evidence.poseidon import FIELD_ORDER, poseidon
from airflow_cwf.core.hashes import sha3_256

OUTPUT_TYPE: Final = "cwf-output/1"
OUTPUT_DEPTH: Final = 6
"""Objects and lists inside one another, the output itself included."""
VIEW_FLOATS: Final = frozenset({"execution_time"})

Row = tuple[int, int, int, int, int, int, int, int, int]
"""agent hi, lo, transaction hi, lo, fee, time_us, err, success, salt"""

_FORM: Final[Form] = {
    "type": exactly(OUTPUT_TYPE),
    "salt": is_salt,
    "agent_name": is_name,
    "agent_id": is_name,
    "chain": nullable(is_caip2),
    "tx_hash": nullable(is_name),
    "tx_hashes": list_of(is_name),
    "fee": is_figure,
    "time_us": is_figure,
    "error": nullable(is_name),
}
_VIEW_NAMES: Final = frozenset({"gas_used", "execution_time"})
_EVM_HASH: Final = re.compile(r"0x[0-9a-f]{64}")


class Output(TypedDict):
    """The members every output has; further ones stand beside them."""

    type: str
    salt: str
    agent_name: str
    agent_id: str
    chain: str | None
    tx_hash: str | None
    tx_hashes: list[str]
    fee: int
    time_us: int
    error: str | None


class OutputFields(TypedDict):
    """Arguments of `make_output`."""

    salt: str
    """16 random bytes as `0x` hex, stored before this first use, never made twice."""
    agent_name: str
    """Unique in the workflow; orders the steps."""
    agent_id: str
    """Unique in the workflow."""
    chain: str | None
    """CAIP-2 of the agent's one chain; None if the agent sends nothing."""
    tx_hash: str | None
    """The first of `tx_hashes`, or None."""
    tx_hashes: Sequence[str]
    """Settled transactions by nonce, in the chain's own text."""
    fee: int
    """All fees of the run in 10^-9 of the native coin; see `round_fee`."""
    time_us: int
    """From the first journalled start to the end, microseconds."""
    error: str | None
    """A reason without names or addresses; None exactly if nothing failed or stays open."""
    further: NotRequired[Mapping[str, object]]
    """More members: null, bool, int, str, list, object; no floats."""


def make_output(**fields: Unpack[OutputFields]) -> dict[str, object]:
    """Build the private output object of one agent.

    Raises:
        VerificationError: check 1; a member is out of form, or a further one takes a fixed name.
    """
    further = fields.pop("further", {})
    if taken := (_FORM.keys() | _VIEW_NAMES) & further.keys():
        names = ", ".join(sorted(taken))
        raise VerificationError(f"A further member takes a fixed name: {names}.", check=1)
    output: dict[str, object] = {
        "type": OUTPUT_TYPE,
        **fields,
        "tx_hashes": list(fields["tx_hashes"]),
        **further,
    }
    as_output(output, where="The output")
    return output


def as_output(value: Mapping[str, object], *, where: str) -> Output:
    """Check an output's form and return the same object with its types.

    Raises:
        VerificationError: check 1; says which member.
    """
    check_form(value, _FORM, where=where, further=True)
    if _VIEW_NAMES & value.keys():
        raise VerificationError(f"{where} has both its integers and their view.", check=1)
    canonical_bytes(value, max_depth=OUTPUT_DEPTH)
    output = cast("Output", value)
    hashes = output["tx_hashes"]
    if output["tx_hash"] != (hashes[0] if hashes else None):
        raise VerificationError(f"{where}: `tx_hash` is not the first of `tx_hashes`.", check=1)
    evm = output["chain"] is not None and output["chain"].startswith("eip155:")
    if evm and not all(_EVM_HASH.fullmatch(text) for text in hashes):
        raise VerificationError(f"{where}: `tx_hashes` is not in its form.", check=1)
    return output


def to_view(output: Mapping[str, object]) -> dict[str, object]:
    """Return the output as it stands in metadata: floats instead of the two integers.

    `gas_used` is an int, `execution_time` an int or a `Decimal` with up to three decimals.
    """
    typed = cast("Output", output)
    view = {name: item for name, item in output.items() if name not in {"fee", "time_us"}}
    milliseconds, rest = divmod(typed["time_us"], 1000)
    exact = Decimal(typed["time_us"]) / 1000 if rest else milliseconds
    return view | {"gas_used": typed["fee"], "execution_time": exact}


def from_view(view: Mapping[str, object], *, where: str) -> dict[str, object]:
    """Return the output behind a view that was read from metadata.

    Raises:
        VerificationError: check 1; a number is missing, or holds a fraction of a unit.
    """
    if {"fee", "time_us"} & view.keys():
        raise VerificationError(f"{where} has both its integers and their view.", check=1)
    output = {name: item for name, item in view.items() if name not in _VIEW_NAMES}
    output["fee"] = view.get("gas_used")
    output["time_us"] = _microseconds(view.get("execution_time"))
    as_output(output, where=where)
    return output


def round_fee(total: int, *, unit: int = 10**9) -> int:
    """Round a sum in the chain's smallest unit up, once, to 10^-9 of its native coin.

    Args:
        total: all fees of one agent in one run, in the smallest unit (wei).
        unit: smallest units in 10^-9 native coin: 10^9 for 18 decimals, 1 for lamports.
    """
    return -(-total // unit)


def row(output: Mapping[str, object]) -> Row:
    """Return the nine numbers that the commitment hides.

    Raises:
        VerificationError: check 10; the error's number is 0 (2^-248), which would read as success.
    """
    typed = cast("Output", output)
    err = _error_number(typed["error"])
    return (
        *_halves(typed["agent_id"]),
        *((0, 0) if typed["tx_hash"] is None else _halves(typed["tx_hash"])),
        typed["fee"],
        typed["time_us"],
        err,
        int(err == 0),
        int(typed["salt"], 16),
    )


def commitment(output: Mapping[str, object]) -> int:
    """Return `P_9(row)`, from 1 to r - 1.

    Raises:
        VerificationError: check 10; the number is 0, which stands for padding.
    """
    number = poseidon(row(output))
    if not 0 < number < FIELD_ORDER:  # pragma: no cover - nobody knows such a row
        raise VerificationError("A commitment is 0; give the output another salt.", check=10)
    return number


def _halves(text: str) -> tuple[int, int]:
    digest = sha3_256(text.encode("utf-8"))
    return int.from_bytes(digest[:16], "big"), int.from_bytes(digest[16:], "big")


def _error_number(error: str | None) -> int:
    if error is None:
        return 0
    number = int.from_bytes(sha3_256(error.encode("utf-8")), "big") >> 8
    if number == 0:  # pragma: no cover - nobody knows such a text
        raise VerificationError("An error has the number 0; reword it.", check=10)
    return number


def _microseconds(milliseconds: object) -> object:
    """Return integer microseconds, or what was given if that is no time (the form refuses it)."""
    if isinstance(milliseconds, Decimal):
        return int(milliseconds * 1000)
    if isinstance(milliseconds, int) and not isinstance(milliseconds, bool):
        return milliseconds * 1000
    return milliseconds
