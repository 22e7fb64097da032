"""Aggregate a run: every expected agent's output, from the journal, into one stored metadata."""

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_cwf.actions.conclude import Ending, conclude
from airflow_cwf.actions.run_folder import METADATA, run_path
from airflow_cwf.core.agents import Agent, AgentContext
from airflow_cwf.core.anchor_log import RecordState
from airflow_cwf.core.contracts import anchor_address
from airflow_cwf.core.evidence.metadata import (
    AgentEvidence,
    Metadata,
    ProofPlan,
    build_metadata,
)
from airflow_cwf.core.evidence.statement import circuits_for
from airflow_cwf.core.journal import WorkflowRow
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
    metadata = _build(evidence, context)
    row = runtime.journal.runs.workflow(context.run)
    if row is None or row.workflow_id != metadata.workflow_id.removeprefix("0x"):
        row = _save(metadata, context)
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


def _build(evidence: Sequence[AgentEvidence], context: AgentContext) -> Metadata:
    """Build the metadata; one that differs from the stored one names it in `supersedes`."""
    runs = context.runtime.journal.runs
    stored = runs.workflow(context.run)
    return build_metadata(
        evidence,
        screening=[
            {"list": entry.source, "published": entry.published, "sha256": f"0x{entry.sha256}"}
            for entry in runs.screenings(context.run)
        ],
        supersedes=None if stored is None else f"0x{stored.workflow_id}",
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
    if runtime.anchor_chain is None:
        return None
    return {
        "chain": runtime.chains[runtime.anchor_chain].caip2,
        "contract": anchor_address(runtime.workflow_anchor),
        "submitter": runtime.signer.address,
    }


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
