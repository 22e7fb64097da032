"""Agents that need no chain."""

from airflow_cwf.agents import BaseAgent
from airflow_cwf.core.errors import InputError, TransportError


class QuietAgent(BaseAgent):
    """Does nothing, well."""

    def __init__(self, *, agent_name=None):
        super().__init__(chain=None, agent_name=agent_name)

    def execute(self, task, *, gas_price=None):
        return None


class StubbornAgent(QuietAgent):
    """Cannot be helped by trying again."""

    def execute(self, task, *, gas_price=None):
        raise InputError("The file is empty.")


class UnluckyAgent(QuietAgent):
    """Had no answer this time."""

    def execute(self, task, *, gas_price=None):
        raise TransportError("The node did not answer in time.", chain="eip155:1")
