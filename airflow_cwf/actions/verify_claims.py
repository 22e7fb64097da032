"""Check 10: outputs and receipts are those that the public steps commit to."""

from collections.abc import Mapping, Sequence
from typing import cast

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.canonical import leaf_hash
from airflow_cwf.core.evidence.metadata import require_distinct_agents, require_distinct_receipts
from airflow_cwf.core.evidence.outputs import commitment
from airflow_cwf.core.evidence.receipts import (
    ReceiptsFile,
    count_statuses,
    receipts_root,
    require_order,
)
from airflow_cwf.core.evidence.record import chain_number, chains_of, primary_chain, sum_totals
from airflow_cwf.core.evidence.steps import Step, require_agreement, require_one_chain


def check_claims(
    document: Mapping[str, object],
    *,
    outputs: Sequence[Mapping[str, object]] | None,
    files: Sequence[ReceiptsFile],
) -> str:
    """Compare outputs and receipts with the steps, the totals and one another.

    Args:
        document: a record or metadata whose steps held (check 3).
        outputs: all outputs in integers, or None for a bare record.
        files: receipts of some or all agents.

    Returns:
        What was shown, and what was not given.

    Raises:
        VerificationError: check 10; which output or file differs, by number only.
    """
    steps = cast("Sequence[Step]", document["steps"])
    if outputs is not None:
        _check_outputs(document, steps, outputs)
    for file in files:
        _check_file(file, steps)
        if outputs is not None:
            require_one_chain(outputs[file.step], file.receipts)
    if len({file.step for file in files}) != len(files):
        raise VerificationError("One agent's receipts are given twice.", check=10)
    require_distinct_receipts(outputs or [], [file.receipts for file in files])
    return _shown(steps, outputs, files)


def _check_outputs(
    document: Mapping[str, object],
    steps: Sequence[Step],
    outputs: Sequence[Mapping[str, object]],
) -> None:
    if len(outputs) != len(steps):
        raise VerificationError("There are not as many outputs as steps.", check=10)
    require_distinct_agents(outputs)
    for number, (output, step) in enumerate(zip(outputs, steps, strict=True)):
        if f"0x{leaf_hash(output).hex()}" != step["output"]:
            raise VerificationError(f"Output {number} is not the one its step names.", check=10)
        if f"0x{commitment(output):064x}" != step["commitment"]:
            message = f"The commitment of step {number} is not to its output's row."
            raise VerificationError(message, check=10)
        require_agreement(output, step)
    if document["totals"] != sum_totals(steps, outputs):
        raise VerificationError("`totals` are not the sums over the outputs.", check=10)
    _check_chains(document, steps, outputs)


def _check_chains(
    document: Mapping[str, object],
    steps: Sequence[Step],
    outputs: Sequence[Mapping[str, object]],
) -> None:
    """Check `chains` and `chain_id`; where no agent has a chain, one is claimed and that is all."""
    chains = cast("list[str]", document["chains"])
    primary = primary_chain(steps, outputs)
    if primary is None:
        agreed = len(chains) == 1
    else:
        agreed = chains == chains_of(outputs) and document["chain_id"] == chain_number(primary)
    if not agreed:
        raise VerificationError("`chains` or `chain_id` differ from the outputs'.", check=10)


def _check_file(file: ReceiptsFile, steps: Sequence[Step]) -> None:
    if file.step >= len(steps):
        raise VerificationError("A receipts file names a step that does not exist.", check=10)
    step = steps[file.step]
    require_order(file.receipts)
    if f"0x{receipts_root(file.receipts).hex()}" != step["receipts"]:
        message = f"The receipts given for step {file.step} do not lead to its root."
        raise VerificationError(message, check=10)
    counts = count_statuses(file.receipts)
    if counts != {status: step[status] for status in ("settled", "failed", "unresolved")}:
        message = f"The counts of step {file.step} are not those of its receipts."
        raise VerificationError(message, check=10)


def _shown(
    steps: Sequence[Step],
    outputs: Sequence[Mapping[str, object]] | None,
    files: Sequence[ReceiptsFile],
) -> str:
    opened = f"{len(outputs)} outputs" if outputs is not None else "outputs not given"
    given = {file.step for file in files}
    items = sum(len(file.receipts) for file in files)
    with_items = {
        number
        for number, step in enumerate(steps)
        if step["settled"] + step["failed"] + step["unresolved"]
    }
    missing = len(with_items - given)
    rest = f", receipts of {missing} agent(s) not given" if missing else ""
    return f"{opened}, {items} receipts of {len(given)} agent(s) are those of the steps{rest}"
