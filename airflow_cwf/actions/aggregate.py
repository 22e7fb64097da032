"""Aggregate a run: every expected agent's output, from the journal, into one stored metadata."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from airflow_cwf.actions.conclude import Ending, conclude
from airflow_cwf.actions.run_folder import METADATA, run_path
from airflow_cwf.core.agents import Agent, AgentContext
from airflow_cwf.core.anchor_log import RecordState
from airflow_cwf.core.chains import Chain
from airflow_cwf.core.contracts import anchor_address
from airflow_cwf.core.errors import ConfigError
from airflow_cwf.core.evidence.metadata import (
    AgentEvidence,
    Metadata,
    ProofPlan,
    build_metadata,
)
from airflow_cwf.core.evidence.record import is_proved, parse_document
from airflow_cwf.core.evidence.statement import circuits_for
from airflow_cwf.core.journal_rows import WorkflowRow
from airflow_cwf.core.runtime import Runtime
from airflow_cwf.core.schemas import WorkflowMetadata

REJECTED = "the plan was rejected"


@dataclass(frozen=True, slots=True)
class Aggregated:
    """A run's stored metadata, and where it lies."""

    metadata: WorkflowMetadata
    row: WorkflowRow
    """The journal's row; `artifact` is the place of the metadata's file, for people."""
    receipts: tuple[str, ...]
    """Places of the receipts' files, one per agent, in order of the steps."""
    missing: tuple[str, ...]
    """Expected agents that left no output."""
    rejected_by: str | None
    """Who rejected the run's plan; then no agent is missing."""


def aggregate(
    agents: Sequence[Agent], *, context: AgentContext, auto_save: bool = True
) -> Aggregated:
    """Build, store and return the metadata of a run.

    Aggregating again with equal outputs and receipts returns the stored one; with different
    ones it makes a new one that names the old one in `supersedes`.

    Args:
        agents: all that were expected, whether they ran or not.
        context: the run.
        auto_save: whether receipts are stored too; metadata and journal always are.
    """
    runtime = context.runtime
    known = runtime.journal.runs.agents(context.run)
    missing = tuple(
        agent.agent_name
        for agent in agents
        if agent.agent_name not in known or known[agent.agent_name].output is None
    )
    rejected_by = _rejected_by(context)
    ending = None if rejected_by is None else Ending(trouble=REJECTED)
    evidence = [
        conclude(agent, context=context, ending=ending if agent.agent_name in missing else None)
        for agent in agents
    ]
    row = runtime.journal.runs.workflow(context.run)
    metadata = _build(evidence, context, supersedes=None if row is None else row.workflow_id)
    if row is None or row.workflow_id != metadata.workflow_id.removeprefix("0x"):
        row = _save(metadata, context)
    else:
        row = _keep(row, _build(evidence, context, supersedes=row.supersedes), context)
    data = runtime.artifacts.read(run_path(context.run, metadata.workflow_id, METADATA))
    receipts = _save_receipts(metadata, context) if auto_save else ()
    left = missing if rejected_by is None else ()
    model = WorkflowMetadata.from_bytes(data)
    return Aggregated(model, row, receipts, left, rejected_by)


def _rejected_by(context: AgentContext) -> str | None:
    runs = context.runtime.journal.runs
    run = runs.run(context.run)
    if run is None or run.plan_digest is None:
        return None
    answer = runs.approval(run.plan_digest)
    return answer.approver if answer is not None and not answer.approved else None


def _build(
    evidence: Sequence[AgentEvidence], context: AgentContext, *, supersedes: str | None
) -> Metadata:
    runs = context.runtime.journal.runs
    return build_metadata(
        evidence,
        screening=[
            {"list": entry.source, "published": entry.published, "sha256": f"0x{entry.sha256}"}
            for entry in runs.screenings(context.run)
        ],
        supersedes=None if supersedes is None else f"0x{supersedes}",
        plan=_proof_plan(len(evidence), context.runtime),
        created_at=int(context.runtime.clock.now()),
    )


def _proof_plan(agents: int, runtime: Runtime) -> ProofPlan:
    """Name circuits, keys and destination: they stand in the core, before there is a proof.

    Where this version has no circuit of the size, none is named, and proving says so.
    """
    circuits = circuits_for(agents)
    if not all(circuit in runtime.circuits for circuit in circuits):
        circuits = ()
    return ProofPlan(
        circuits=circuits,
        verification_keys=[runtime.circuits[name].verification_key for name in circuits],
        anchor_to=anchor_destination(runtime),
    )


def anchor_destination(runtime: Runtime) -> dict[str, str] | None:
    """Return the `anchor_to` of this runtime's records: chain, contract, and the signer's log."""
    name = runtime.anchor_chain
    if name is None:
        return None
    chain = runtime.chains.get(name)
    if chain is None or not _is_evm(chain):
        known = ", ".join(sorted(n for n, c in runtime.chains.items() if _is_evm(c)))
        message = (
            f"The anchor chain {name!r} is no EVM chain of the chain table ({known}). Correct "
            "`[cwf] anchor_chain` or CWF_ANCHOR_CHAIN; what was paid stays paid."
        )
        raise ConfigError(message)
    return {
        "chain": chain.caip2,
        "contract": anchor_address(runtime.workflow_anchor),
        "submitter": runtime.signer.address,
    }


def _is_evm(chain: Chain) -> bool:
    return chain.caip2.startswith("eip155:")


def _keep(row: WorkflowRow, anew: Metadata, context: AgentContext) -> WorkflowRow:
    """Keep the stored record, unless it is bound for where it can no longer go.

    A record that has no position yet is made anew under its workflow id if submitter, contract or
    chain have changed, or if it waits for a proof by a key that is no longer the one.
    """
    runtime = context.runtime
    path = run_path(row.run, row.workflow_id, METADATA)
    stored = parse_document(runtime.artifacts.read(path))
    if not _is_bound_elsewhere(stored, anew.document):
        return row
    core_digest = anew.core_digest.removeprefix("0x")
    # First out of the queue, then the file: a batch never holds a record that is being changed.
    if not runtime.journal.anchors.withdraw(row.workflow_id, core_digest=core_digest):
        return row
    runtime.artifacts.write(path, anew.data)
    return replace(row, state=RecordState.RECORDED, core_digest=core_digest)


def _is_bound_elsewhere(stored: Mapping[str, object], anew: Mapping[str, object]) -> bool:
    if anew["anchor_to"] is not None and anew["anchor_to"] != stored["anchor_to"]:
        return True
    keys = ("circuits", "verification_keys")
    return not is_proved(stored) and any(stored[name] != anew[name] for name in keys)


def _save(metadata: Metadata, context: AgentContext) -> WorkflowRow:
    """Store the file, then the row: a row never names a file that is not there."""
    runtime = context.runtime
    path = run_path(context.run, metadata.workflow_id, METADATA)
    supersedes = metadata.document["supersedes"]
    row = WorkflowRow(
        workflow_id=metadata.workflow_id.removeprefix("0x"),
        run=context.run,
        state=RecordState.RECORDED,
        core_digest=metadata.core_digest.removeprefix("0x"),
        artifact=runtime.artifacts.write(path, metadata.data),
        supersedes=supersedes.removeprefix("0x") if isinstance(supersedes, str) else None,
        created_at=runtime.clock.now(),
    )
    runtime.journal.runs.save_workflow(row)
    return row


def _save_receipts(metadata: Metadata, context: AgentContext) -> tuple[str, ...]:
    return tuple(
        context.runtime.artifacts.write(
            run_path(context.run, metadata.workflow_id, f"receipts-{step:02d}.json"), data
        )
        for step, data in enumerate(metadata.receipts_files)
    )
