"""Steps: the public side of one agent, and the workflow id over all of them.

A step holds a commitment, two hashes and three counts: nothing about a person that is not behind
a salt.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypedDict, cast

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.canonical import leaf_hash
from airflow_cwf.core.evidence.forms import Form, exactly, is_count, is_digest
from airflow_cwf.core.evidence.merkle import tree_root
from airflow_cwf.core.evidence.outputs import Output, commitment
from airflow_cwf.core.evidence.poseidon import FIELD_ORDER
from airflow_cwf.core.evidence.receipts import (
    FAILED,
    SETTLED,
    UNRESOLVED,
    Receipt,
    count_statuses,
    receipts_root,
    require_order,
)

STEP_TYPE: Final = "cwf-step/1"
MAX_STEPS: Final = 2048

STEP_FORM: Final[Form] = {
    "type": exactly(STEP_TYPE),
    "commitment": is_digest,
    "output": is_digest,
    "receipts": is_digest,
    SETTLED: is_count,
    FAILED: is_count,
    UNRESOLVED: is_count,
}


class Step(TypedDict):
    """One agent's public step."""

    type: str
    commitment: str
    output: str
    receipts: str
    settled: int
    failed: int
    unresolved: int


def make_step(
    output: Mapping[str, object], receipts: Sequence[Mapping[str, object]]
) -> dict[str, object]:
    """Build the step over one output and its receipts in order of (scope, item).

    Raises:
        VerificationError: check 10; receipts out of order or of another chain than the output, or
            an error that contradicts them.
    """
    require_order(receipts)
    step: dict[str, object] = {
        "type": STEP_TYPE,
        "commitment": f"0x{commitment(output):064x}",
        "output": f"0x{leaf_hash(output).hex()}",
        "receipts": f"0x{receipts_root(receipts).hex()}",
        **count_statuses(receipts),
    }
    require_agreement(output, step)
    require_one_chain(output, receipts)
    return step


def workflow_id(steps: Sequence[Mapping[str, object]]) -> bytes:
    """Return `tree(leaf(step_0), ..., leaf(step_n-1))`, the workflow's name, 32 bytes.

    Raises:
        VerificationError: check 3; no steps or more than 2,048.
    """
    if not 1 <= len(steps) <= MAX_STEPS:
        raise VerificationError(f"A workflow has 1 to {MAX_STEPS} steps.", check=3)
    return tree_root([leaf_hash(step) for step in steps])


def require_distinct(steps: Sequence[Mapping[str, object]]) -> None:
    """Check that no two steps share a commitment or an output, and commitments are in the field.

    Raises:
        VerificationError: check 3.
    """
    typed = cast("Sequence[Step]", steps)
    if any(not 0 < int(step["commitment"], 16) < FIELD_ORDER for step in typed):
        raise VerificationError("A commitment lies outside the field of the proof.", check=3)
    for member in ("commitment", "output"):
        if len({step[member] for step in steps}) != len(steps):
            raise VerificationError(f"Two steps have the same {member}.", check=3)


def require_agreement(output: Mapping[str, object], step: Mapping[str, object]) -> None:
    """Check that an output without an error has no failed and no unresolved item.

    Raises:
        VerificationError: check 10.
    """
    counts = cast("Step", step)
    error = cast("Output", output)["error"]
    if error is None and counts["failed"] + counts["unresolved"]:
        message = "An agent's error is null although items failed or stay unresolved."
        raise VerificationError(message, check=10)


def require_one_chain(
    output: Mapping[str, object], receipts: Sequence[Mapping[str, object]]
) -> None:
    """Check that receipts name no other chain than the one of their agent.

    Raises:
        VerificationError: check 10.
    """
    chain = cast("Output", output)["chain"]
    named = {cast("Receipt", receipt)["chain"] for receipt in receipts}
    if chain is not None and not named <= {chain, None}:
        raise VerificationError("A receipt names another chain than its agent's.", check=10)
