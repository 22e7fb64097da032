"""Read the plan that a run pays."""

from airflow_cwf.core.agents import AgentContext, Task, plan_digest_of
from airflow_cwf.core.errors import ApprovalError, InputError
from airflow_cwf.core.intents import Plan, decode_plan
from airflow_cwf.core.journal import plan_artifact
from airflow_cwf.core.runtime import Runtime


def read_plan(digest: str, runtime: Runtime) -> Plan:
    """Return a plan by its digest, every item checked against it, every scope by the journal.

    Raises:
        ConfigError: the artifacts store does not hold it.
        InputError: the file was changed.
    """
    plan = decode_plan(runtime.artifacts.read(plan_artifact(digest)), expected_digest=digest)
    if not set(runtime.journal.payments.scopes(plan.payroll_id)).issuperset(plan.scopes):
        message = (
            "The plan file names a scope otherwise than the journal froze it, so it was changed, "
            "or belongs to another journal. Nothing was signed. Load the payments again."
        )
        raise InputError(message)
    return plan


def plan_of_task(task: Task, context: AgentContext) -> Plan:
    """Return the plan a task refers to, else the one its run began with.

    Raises:
        InputError: neither names one.
    """
    digest = plan_digest_of(task)
    if digest is None:
        known = context.runtime.journal.runs.run(context.run)
        digest = known.plan_digest if known else None
    if digest is None:
        message = (
            "There is no plan to pay: the task names none and this run has loaded none. Pass the "
            "output of LoadPaymentsOperator as `task`, or give the PaymentAgent a `source`."
        )
        raise InputError(message)
    if digest not in context.plans:
        context.plans[digest] = read_plan(digest, context.runtime)
    return context.plans[digest]


def check_approval(plan_digest: str, runtime: Runtime) -> None:
    """Refuse a plan that was rejected, or that policy wants approved and nobody approved.

    Raises:
        ApprovalError: says by whom, or what is missing. Nothing was signed.
    """
    answer = runtime.journal.runs.approval(plan_digest)
    if answer is not None and not answer.approved:
        message = f"{answer.approver} rejected this plan. Nothing was signed."
        raise ApprovalError(message)
    if answer is None and runtime.policy.require_approval:
        message = (
            "The platform's policy wants every plan approved, and the journal holds no approval "
            "of this one. Nothing was signed. Answer the approval task of the run."
        )
        raise ApprovalError(message)
