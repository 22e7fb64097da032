"""Load payments, and ask a person about them."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

from airflow_cwf.core.errors import InputError
from airflow_cwf.hooks.journal import JournalHook
from airflow_cwf.hooks.signer import SignerHook
from airflow_cwf.operators.base import CwfOperator, enter, run_name

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cwf.core.runtime import Runtime


class LoadPaymentsOperator(CwfOperator):
    """Reads a payments file, freezes who is to be paid, and stores the plan.

    Returns a reference without personal data: `{payroll_id, plan_digest, scopes, counts, report,
    summary}`. Rows that cannot be paid are written to `report` with line and reason.

    Args:
        source: path or URI of the file.
        payroll_id: names the payroll for ever; nobody is paid twice under it. No default: derive
            it from the period, never from the run.
    """

    template_fields: Collection[str] = ("source", "payroll_id")

    def __init__(self, *, source: str, payroll_id: str, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        self.source = source
        self.payroll_id = payroll_id

    def execute(self, context: "Context") -> dict[str, Any]:
        """Load the file and return the reference."""
        return self.enter(lambda ports: self._load(ports, run_name(context)))

    async def _load(self, ports: "Runtime", run: str) -> dict[str, Any]:
        from airflow_cwf.actions.load import load_payments
        from airflow_cwf.wiring import read_source

        loaded = load_payments(
            read_source(self.source), payroll_id=self.payroll_id, run=run, runtime=ports
        )
        self.log.info("%s", loaded.summary)
        if loaded.problems:
            self.log.warning("%d rows are not paid; see %s", len(loaded.problems), loaded.report)
        return dict(loaded.reference())


class ApprovePaymentsOperator(ApprovalOperator):
    """Asks a person whether a plan may be paid, and records the answer in the journal.

    The answer binds the plan's digest. A rejection skips the tasks below; whoever tries to pay
    the plan all the same is refused by the engine. Give it `retries=1` at least: Airflow can lose
    the race between an early answer and the task's exit.

    Nobody's silence approves a payment: the default answer, where there is one, is to reject.

    Args:
        plan: the output of LoadPaymentsOperator.
        signer_conn_id, journal_conn_id: as for all operators.
        kwargs: of Airflow's ApprovalOperator: `subject`, `body`, `assigned_users`, ...

    Raises:
        ValueError: `defaults` is to approve.
    """

    template_fields: Collection[str] = (*ApprovalOperator.template_fields, "plan")

    def __init__(
        self,
        *,
        plan: Mapping[str, Any],
        signer_conn_id: str = SignerHook.default_conn_name,
        journal_conn_id: str = JournalHook.default_conn_name,
        **kwargs: Any,  # noqa: ANN401 - ApprovalOperator's own
    ) -> None:
        super().__init__(**kwargs)
        if self.APPROVE in (self.defaults or ()):
            message = (
                "`defaults` of ApprovePaymentsOperator can only be 'Reject': silence pays nobody."
            )
            raise ValueError(message)
        self.plan = plan
        self.signer_conn_id = signer_conn_id
        self.journal_conn_id = journal_conn_id

    def execute_complete(self, context: "Context", event: dict[str, Any]) -> Any:  # noqa: ANN401
        """Record the answer, then let Airflow go on or skip."""
        if "error" not in event:
            self._record(event)
        return super().execute_complete(context, event)

    def _record(self, event: Mapping[str, Any]) -> None:
        from airflow_cwf.actions.approve import record_answer

        plan: object = self.plan  # whatever the template gave
        digest = plan.get("plan_digest") if isinstance(plan, Mapping) else None
        who = event.get("responded_by_user") or {}
        when = event.get("responded_at")

        async def act(ports: "Runtime") -> None:
            if not isinstance(digest, str):
                message = (
                    "ApprovePaymentsOperator needs the output of LoadPaymentsOperator as `plan`."
                )
                raise InputError(message)
            record_answer(
                digest,
                approved=list(event["chosen_options"]) == [self.APPROVE],
                approver=str(who.get("name") or who.get("id") or "nobody (the default answer)"),
                at=when.timestamp() if isinstance(when, datetime) else None,
                runtime=ports,
            )

        connections = {
            "signer_conn_id": self.signer_conn_id,
            "journal_conn_id": self.journal_conn_id,
        }
        enter(act, chains=(), connections=connections)
