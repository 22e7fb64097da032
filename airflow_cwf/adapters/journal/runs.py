"""Runs, approvals, preparations, outputs and workflows in SQL."""

import json
import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from airflow_cwf.adapters.journal import tables as t
from airflow_cwf.adapters.journal.database import Database
from airflow_cwf.core.journal_rows import (
    AgentRun,
    Approval,
    Prepared,
    RunRow,
    Screening,
    SpentFees,
    WorkflowRow,
)
from airflow_cwf.core.states import TransactionState


class SqlRunBook:
    """`core.journal.RunBook` over SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start_run(self, run: str, *, task: object, plan_digest: str | None, now: float) -> RunRow:
        """Begin or resume a run; a plan, once known, replaces the one it began with."""
        same = t.runs.c.run == run
        with self._database.writing() as connection:
            row = connection.execute(select(t.runs).where(same)).one_or_none()
            if row is None:
                connection.execute(
                    insert(t.runs).values(
                        run=run, task=json.dumps(task), plan_digest=plan_digest, started_at=now
                    )
                )
            elif plan_digest is not None and row.plan_digest != plan_digest:
                connection.execute(
                    update(t.runs)
                    .where(same)
                    .values(plan_digest=plan_digest, task=json.dumps(task))
                )
            row = connection.execute(select(t.runs).where(same)).one()
        return _run(row)

    def run(self, run: str) -> RunRow | None:
        """Return a run, or None if it never began."""
        with self._database.reading() as connection:
            row = connection.execute(select(t.runs).where(t.runs.c.run == run)).one_or_none()
        return None if row is None else _run(row)

    def save_screening(self, run: str, screening: Screening) -> None:
        """Note the list that a run screened against; the same one counts once."""
        same = (t.screenings.c.run == run) & (t.screenings.c.sha256 == screening.sha256)
        with self._database.writing() as connection:
            if connection.execute(select(t.screenings).where(same)).one_or_none() is None:
                connection.execute(
                    insert(t.screenings).values(
                        run=run,
                        sha256=screening.sha256,
                        source=screening.source,
                        published=screening.published,
                    )
                )

    def screenings(self, run: str) -> list[Screening]:
        """Return a run's lists, by digest."""
        query = (
            select(t.screenings).where(t.screenings.c.run == run).order_by(t.screenings.c.sha256)
        )
        with self._database.reading() as connection:
            return [
                Screening(row.source, row.published, row.sha256)
                for row in connection.execute(query)
            ]

    def start_agent(self, run: str, agent: str, *, spec: Mapping[str, Any], now: float) -> AgentRun:
        """Begin or resume an agent's part of a run; the first start and the salt are kept."""
        with self._database.writing() as connection:
            row = connection.execute(select(t.agent_runs).where(_is(run, agent))).one_or_none()
            if row is None:
                connection.execute(
                    insert(t.agent_runs).values(
                        run=run,
                        agent=agent,
                        spec=json.dumps(spec, sort_keys=True),
                        salt=secrets.token_hex(16),
                        started_at=now,
                    )
                )
                row = connection.execute(select(t.agent_runs).where(_is(run, agent))).one()
        return _agent_run(row)

    def finish_agent(
        self, run: str, agent: str, *, output: Mapping[str, Any], now: float
    ) -> AgentRun:
        """Store an agent's output; the end time of an unchanged output is kept."""
        text = json.dumps(output, sort_keys=True)
        with self._database.writing() as connection:
            row = connection.execute(select(t.agent_runs).where(_is(run, agent))).one()
            if row.output != text:
                connection.execute(
                    update(t.agent_runs).where(_is(run, agent)).values(output=text, ended_at=now)
                )
            row = connection.execute(select(t.agent_runs).where(_is(run, agent))).one()
        return _agent_run(row)

    def agents(self, run: str) -> dict[str, AgentRun]:
        """Return the agents that have started in a run, by name."""
        query = select(t.agent_runs).where(t.agent_runs.c.run == run)
        with self._database.reading() as connection:
            return {row.agent: _agent_run(row) for row in connection.execute(query)}

    def spent(self, run: str, agent: str) -> SpentFees:
        """Return an agent's fees and transactions of one run."""
        query = (
            select(t.transactions)
            .where(
                t.transactions.c.run == run,
                t.transactions.c.agent == agent,
                t.transactions.c.state == TransactionState.FINAL,
            )
            .order_by(t.transactions.c.nonce)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return SpentFees(
            fee=sum(int(row.fee) for row in rows),
            hashes=tuple(row.tx_hash for row in rows if row.succeeded),
            transactions=len(rows),
        )

    def save_prepared(self, run: str, prepared: Prepared) -> None:
        """Store an agent's preparation, replacing an older one."""
        with self._database.writing() as connection:
            connection.execute(
                delete(t.prepared).where(
                    t.prepared.c.run == run, t.prepared.c.agent == prepared.agent
                )
            )
            connection.execute(
                insert(t.prepared).values(
                    run=run,
                    agent=prepared.agent,
                    plan_digest=prepared.plan_digest,
                    ready=prepared.ready,
                    reason=prepared.reason,
                    at=prepared.at,
                )
            )

    def prepared(self, run: str) -> dict[str, Prepared]:
        """Return a run's preparations by agent name."""
        query = select(t.prepared).where(t.prepared.c.run == run)
        with self._database.reading() as connection:
            return {
                row.agent: Prepared(row.agent, row.plan_digest, row.ready, row.reason, row.at)
                for row in connection.execute(query)
            }

    def save_approval(self, approval: Approval) -> None:
        """Append an approval or rejection."""
        with self._database.writing() as connection:
            connection.execute(
                insert(t.approvals).values(
                    plan_digest=approval.plan_digest,
                    approved=approval.approved,
                    approver=approval.approver,
                    at=approval.at,
                )
            )

    def approval(self, plan_digest: str) -> Approval | None:
        """Return the latest answer about a plan."""
        query = (
            select(t.approvals)
            .where(t.approvals.c.plan_digest == plan_digest)
            .order_by(t.approvals.c.id.desc())
            .limit(1)
        )
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return Approval(row.plan_digest, row.approved, row.approver, row.at)

    def save_workflow(self, workflow: WorkflowRow) -> None:
        """Store a workflow; storing the same one again changes nothing."""
        same = t.workflows.c.workflow_id == workflow.workflow_id
        with self._database.writing() as connection:
            if connection.execute(select(t.workflows).where(same)).one_or_none() is None:
                connection.execute(
                    insert(t.workflows).values(
                        workflow_id=workflow.workflow_id,
                        run=workflow.run,
                        state=workflow.state,
                        core_digest=workflow.core_digest,
                        artifact=workflow.artifact,
                        supersedes=workflow.supersedes,
                        created_at=workflow.created_at,
                    )
                )

    def workflow(self, run: str) -> WorkflowRow | None:
        """Return a run's latest workflow."""
        query = (
            select(t.workflows)
            .where(t.workflows.c.run == run)
            .order_by(t.workflows.c.created_at.desc())
            .limit(1)
        )
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return WorkflowRow(
            workflow_id=row.workflow_id,
            run=row.run,
            state=row.state,
            core_digest=row.core_digest,
            artifact=row.artifact,
            supersedes=row.supersedes,
            created_at=row.created_at,
        )


def _is(run: str, agent: str):  # type: ignore[no-untyped-def] # noqa: ANN202 - an SQL expression
    return (t.agent_runs.c.run == run) & (t.agent_runs.c.agent == agent)


def _run(row: Row[Any]) -> RunRow:
    return RunRow(row.run, json.loads(row.task), row.plan_digest, row.started_at)


def _agent_run(row: Row[Any]) -> AgentRun:
    return AgentRun(
        run=row.run,
        agent=row.agent,
        spec=json.loads(row.spec),
        salt=row.salt,
        started_at=row.started_at,
        ended_at=row.ended_at,
        output=None if row.output is None else json.loads(row.output),
    )
