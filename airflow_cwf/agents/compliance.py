"""ComplianceAgent: refuses payments to sanctioned addresses."""

from typing import ClassVar

from airflow_cwf.actions.read_plan import plan_of_task
from airflow_cwf.actions.screen import screen
from airflow_cwf.agents.base import BaseAgent
from airflow_cwf.core.agents import SCREENED, AgentContext, Task
from airflow_cwf.core.errors import ConfigError
from airflow_cwf.core.schemas import AgentOutputSchema


class ComplianceAgent(BaseAgent):
    """Screens every payee of the plan against the sanctions list, on all chains at once.

    It refuses; it does not allow: whoever signs screens again at that moment.
    """

    provides: ClassVar[frozenset[str]] = frozenset({SCREENED})

    def __init__(self, *, agent_id: str | None = None, agent_name: str | None = None) -> None:
        super().__init__(agent_id=agent_id, agent_name=agent_name, chain=None)

    async def execute(
        self, task: Task, *, gas_price: int | None = None, context: AgentContext | None = None
    ) -> AgentOutputSchema:
        """Screen the plan; the output's error is None when every item was screened."""
        if context is None:
            message = "ComplianceAgent needs the context of a run."
            raise ConfigError(message)
        plan = plan_of_task(task, context)
        listed, hits = await screen(plan, run=context.run, runtime=context.runtime)
        return AgentOutputSchema.model_validate(
            {
                "agent_id": self.agent_name,
                "tx_hash": None,
                "gas_used": 0,
                "execution_time": 0,
                "error": None,
                "list": listed.source,
                "screened": len(plan.items),
                "refused": hits,
                "list_addresses": len(listed.addresses) + len(listed.others),
                "list_malformed": list(listed.malformed),
            }
        )
