"""Aggregate a run: every expected agent's output, from the journal, into one stored metadata."""

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_cwf.actions.conclude import conclude
from airflow_cwf.core.agents import Agent, AgentContext
from airflow_cwf.core.evidence.metadata import AgentEvidence, Metadata, build_metadata
from airflow_cwf.core.journal import WorkflowRow
from airflow_cwf.core.schemas import WorkflowMetadata

RECORDED = "recorded"


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
    evidence = [conclude(agent, context=context) for agent in agents]
    metadata = _build(evidence, context)
    artifact = runtime.artifacts.write(_path(context.run, "metadata.json"), metadata.data)
    receipts = _save_receipts(metadata, context) if auto_save else ()
    runtime.journal.runs.save_workflow(
        WorkflowRow(
            workflow_id=metadata.workflow_id.removeprefix("0x"),
            run=context.run,
            state=RECORDED,
            core_digest=metadata.core_digest.removeprefix("0x"),
            artifact=artifact,
            supersedes=_supersedes(metadata),
            created_at=float(int(runtime.clock.now())),
        )
    )
    model = WorkflowMetadata.from_bytes(metadata.data)
    return Aggregated(model, metadata.data, artifact, receipts, missing)


def _build(evidence: Sequence[AgentEvidence], context: AgentContext) -> Metadata:
    """Build the metadata; if its steps are those of the stored one, return that one again."""
    runs = context.runtime.journal.runs
    stored = runs.workflow(context.run)
    screening = [
        {"list": entry.source, "published": entry.published, "sha256": f"0x{entry.sha256}"}
        for entry in runs.screenings(context.run)
    ]
    now = context.runtime.clock.now()

    def build(*, supersedes: str | None, created_at: float) -> Metadata:
        return build_metadata(
            evidence, screening=screening, supersedes=supersedes, created_at=int(created_at)
        )

    if stored is None:
        return build(supersedes=None, created_at=now)
    again = build(
        supersedes=stored.supersedes and f"0x{stored.supersedes}", created_at=stored.created_at
    )
    if again.workflow_id == f"0x{stored.workflow_id}":
        return again
    return build(supersedes=f"0x{stored.workflow_id}", created_at=now)


def _supersedes(metadata: Metadata) -> str | None:
    value = metadata.document["supersedes"]
    return value.removeprefix("0x") if isinstance(value, str) else None


def _save_receipts(metadata: Metadata, context: AgentContext) -> tuple[str, ...]:
    return tuple(
        context.runtime.artifacts.write(_path(context.run, f"receipts-{step:02d}.json"), data)
        for step, data in enumerate(metadata.receipts_files)
    )


def _path(run: str, name: str) -> str:
    """Return a relative path for a run; a run's name may hold anything but path separators."""
    folder = "/".join(part.replace(":", "-").replace("+", "-") for part in run.split("/"))
    return f"runs/{folder}/{name}"
