"""Agents that need no chain."""

from airflow_cwf.agents import BaseAgent
from airflow_cwf.core.errors import InputError, TransportError
from airflow_cwf.core.schemas import AgentOutputSchema


class QuietAgent(BaseAgent):
    """Does nothing, well."""

    def __init__(self, *, agent_name=None):
        super().__init__(chain=None, agent_name=agent_name)

    def execute(self, task, *, gas_price=None):
        return None


class SentAgent(QuietAgent):
    """Says that it has sent two transactions."""

    def execute(self, task, *, gas_price=None):
        return AgentOutputSchema.model_validate(
            {
                "agent_id": "sent",
                "tx_hash": None,
                "gas_used": 0,
                "execution_time": 0,
                "error": None,
                "transactions": 2,
            }
        )


class StubbornAgent(QuietAgent):
    """Cannot be helped by trying again."""

    def execute(self, task, *, gas_price=None):
        raise InputError("The file is empty.")


class UnluckyAgent(QuietAgent):
    """Had no answer this time."""

    def execute(self, task, *, gas_price=None):
        raise TransportError("The node did not answer in time.", chain="eip155:1")
