"""Record a person's answer about a plan; it binds the plan's digest, not a task."""

from airflow_cwf.core.journal_rows import Approval
from airflow_cwf.core.runtime import Runtime


def record_answer(
    plan_digest: str, *, approved: bool, approver: str, at: float | None, runtime: Runtime
) -> Approval:
    """Store who approved or rejected a plan, and when (Unix seconds; None: now)."""
    approval = Approval(
        plan_digest=plan_digest,
        approved=approved,
        approver=approver,
        at=runtime.clock.now() if at is None else at,
    )
    runtime.journal.runs.save_approval(approval)
    return approval
