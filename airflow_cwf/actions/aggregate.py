"""Aggregate a run: every expected agent's output, from the journal, into one stored metadata."""

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_cwf.actions.conclude import Ending, conclude
from airflow_cwf.core.agents import Agent, AgentContext
from airflow_cwf.core.evidence.metadata import AgentEvidence, Metadata, build_metadata
from airflow_cwf.core.journal import WorkflowRow
from airflow_cwf.core.schemas import WorkflowMetadata

RECORDED = "recorded"
METADATA = "metadata.json"
REJECTED = "the plan was rejected"


@dataclass(frozen=True, slots=True)
class Aggregated:
    """A run's stored metadata, and where it lies."""

    metadata: WorkflowMetadata
    data: bytes
    artifact: str
    """Place of the metadata's file, for people."""
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
    if row is not None and row.workflow_id == metadata.workflow_id.removeprefix("0x"):
        data, artifact = runtime.artifacts.read(_path(context.run, METADATA)), row.artifact
    else:
        data = metadata.data
        artifact = runtime.artifacts.write(_path(context.run, METADATA), data)
        runtime.journal.runs.save_workflow(_row(metadata, artifact, context))
    receipts = _save_receipts(metadata, context) if auto_save else ()
    left = missing if rejected_by is None else ()
    model = WorkflowMetadata.from_bytes(data)
    return Aggregated(model, data, artifact, receipts, left, rejected_by)


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
        created_at=int(context.runtime.clock.now()),
    )


def _row(metadata: Metadata, artifact: str, context: AgentContext) -> WorkflowRow:
    supersedes = metadata.document["supersedes"]
    return WorkflowRow(
        workflow_id=metadata.workflow_id.removeprefix("0x"),
        run=context.run,
        state=RECORDED,
        core_digest=metadata.core_digest.removeprefix("0x"),
        artifact=artifact,
        supersedes=supersedes.removeprefix("0x") if isinstance(supersedes, str) else None,
        created_at=context.runtime.clock.now(),
    )


def _save_receipts(metadata: Metadata, context: AgentContext) -> tuple[str, ...]:
    return tuple(
        context.runtime.artifacts.write(_path(context.run, f"receipts-{step:02d}.json"), data)
        for step, data in enumerate(metadata.receipts_files)
    )


def _path(run: str, name: str) -> str:
    """Return a relative path for a run; a run's name may hold anything but path separators."""
    folder = "/".join(part.replace(":", "-").replace("+", "-") for part in run.split("/"))
    return f"runs/{folder}/{name}"
