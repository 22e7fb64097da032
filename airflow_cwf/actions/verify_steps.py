"""Check 3: the workflow id covers exactly these steps, and counts and totals are theirs."""

from collections.abc import Mapping, Sequence
from typing import cast

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.merkle import EMPTY_ROOT
from airflow_cwf.core.evidence.record import chain_number
from airflow_cwf.core.evidence.steps import Step, require_distinct, workflow_id

_NO_RECEIPTS = f"0x{EMPTY_ROOT.hex()}"


def check_steps(document: Mapping[str, object]) -> str:
    """Recompute workflow id, counts and the form of the chain id from the public steps.

    Args:
        document: a record or metadata in its form (check 1).

    Returns:
        What was shown.

    Raises:
        VerificationError: check 3; which value differs.
    """
    steps = cast("Sequence[Step]", document["steps"])
    require_distinct(steps)
    if document["workflow_id"] != f"0x{workflow_id(steps).hex()}":
        raise VerificationError("The steps do not lead to this workflow_id.", check=3)
    _check_counts(steps, cast("Mapping[str, object]", document["totals"]))
    numbers = {chain_number(chain) for chain in cast("list[str]", document["chains"])}
    if document["chain_id"] not in numbers:
        raise VerificationError("`chain_id` is the number of none of `chains`.", check=3)
    return f"{len(steps)} steps lead to the workflow id; counts add up to the totals"


def _check_counts(steps: Sequence[Step], totals: Mapping[str, object]) -> None:
    sums = {
        "n_agents": len(steps),
        "settled": sum(step["settled"] for step in steps),
        "failed": sum(step["failed"] for step in steps),
        "unresolved": sum(step["unresolved"] for step in steps),
    }
    for name, value in sums.items():
        if totals[name] != value:
            raise VerificationError(f"totals: `{name}` is not the sum over the steps.", check=3)
    if cast("int", totals["n_success"]) > len(steps):
        raise VerificationError("totals: more agents succeeded than there are.", check=3)
    for number, step in enumerate(steps):
        empty = step["settled"] + step["failed"] + step["unresolved"] == 0
        if empty != (step["receipts"] == _NO_RECEIPTS):
            message = f"Step {number}: its counts and the root over its receipts disagree."
            raise VerificationError(message, check=3)
