"""PaymentAgent: pays a plan's items on one chain."""

from typing import ClassVar

from airflow_cwf.actions.prepare import prepare_payments
from airflow_cwf.actions.read_plan import plan_of_task
from airflow_cwf.agents.base import BaseAgent
from airflow_cwf.core.agents import SCREENED, AgentContext, Decision, Task
from airflow_cwf.core.errors import ConfigError


class PaymentAgent(BaseAgent):
    """Pays every item of the plan on its chain through `BatchPayment`, each at most once.

    Args:
        chain: name of the chain.
        source: a payments file to load when the workflow runs as a library; in a DAG,
            LoadPaymentsOperator does it.
        payroll_id: names that payroll for ever; needed with `source`.
        atomic: pay all or none of the chain's items, in one transaction of at most 200.
        agent_id, agent_name, health_check_interval, required: see `BaseAgent`.
    """

    requires: ClassVar[frozenset[str]] = frozenset({SCREENED})
    pays: ClassVar[bool] = True

    def __init__(  # noqa: PLR0913 - the documented settings
        self,
        *,
        chain: str = "ethereum",
        source: str | None = None,
        payroll_id: str | None = None,
        atomic: bool = False,
        agent_id: str | None = None,
        agent_name: str | None = None,
        health_check_interval: int = 12,
        required: bool = True,
    ) -> None:
        super().__init__(
            chain=chain,
            agent_id=agent_id,
            agent_name=agent_name,
            health_check_interval=health_check_interval,
            required=required,
        )
        if (source is None) != (payroll_id is None):
            message = "PaymentAgent takes `source` and `payroll_id` together, or neither."
            raise ValueError(message)
        self.source = source
        self.payroll_id = payroll_id
        self.atomic = atomic

    async def prepare(self, task: Task, *, context: AgentContext) -> None:
        """Check approval, node, lane, code, treasury, allowance and gas money."""
        if self.chain is not None:
            await prepare_payments(self.chain, task, context=context)

    async def execute(
        self, task: Task, *, gas_price: int | None = None, context: AgentContext | None = None
    ) -> Decision:
        """Return the plan's items on this chain; the engine pays those that are still due."""
        if context is None or self.chain is None:
            message = "PaymentAgent needs the context of a run."
            raise ConfigError(message)
        plan = plan_of_task(task, context)
        caip2 = context.runtime.chains[self.chain].caip2
        return [item for scope in plan.scopes_on(caip2) for item in plan.items_of(scope.id)]
