"""AgentRegistry: which agents there are, by name; and what a team of them must satisfy."""

from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Final

from airflow_cwf.agents.base import BaseAgent
from airflow_cwf.agents.compliance import ComplianceAgent
from airflow_cwf.agents.payment import PaymentAgent
from airflow_cwf.core.errors import ConfigError

BUILT_IN: Final[dict[str, type[BaseAgent]]] = {
    "ComplianceAgent": ComplianceAgent,
    "PaymentAgent": PaymentAgent,
}
ENTRY_POINTS: Final = "airflow_cwf.agents"


class AgentRegistry:
    """The agents this environment knows: built in, and from entry points of other packages."""

    def names(self) -> list[str]:
        """Return all names, sorted."""
        return sorted({*BUILT_IN, *(entry.name for entry in entry_points(group=ENTRY_POINTS))})

    def get(self, name: str) -> type[BaseAgent]:
        """Return the class registered under `name`.

        Raises:
            ConfigError: nobody registered it; names those that are.
        """
        if name in BUILT_IN:
            return BUILT_IN[name]
        for entry in entry_points(group=ENTRY_POINTS, name=name):
            kind = entry.load()
            if isinstance(kind, type) and issubclass(kind, BaseAgent):
                return kind
        message = f"No agent is registered as {name!r}; there are {', '.join(self.names())}."
        raise ConfigError(message)


def check_names(agents: Sequence[BaseAgent]) -> None:
    """Check what every group of agents must satisfy, in a DAG or out of it.

    Raises:
        ValueError: none at all, two of one name, or two that pay on one chain.
    """
    if not agents:
        message = "Minimum 1 agent required"
        raise ValueError(message)
    names = [agent.agent_name for agent in agents]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = f"Two agents are called {twice[0]!r}; give one of them an `agent_name`."
        raise ValueError(message)
    paying = [agent.chain for agent in agents if agent.pays]
    shared = sorted({str(chain) for chain in paying if paying.count(chain) > 1})
    if shared:
        message = f"Two agents pay on {shared[0]}; an item belongs to one agent."
        raise ValueError(message)


def in_waves(agents: Sequence[BaseAgent]) -> list[list[BaseAgent]]:
    """Return the agents in waves: those of one run side by side, after all they require.

    Raises:
        ValueError: what an agent requires is provided by none, or only in a circle.
    """
    waves: list[list[BaseAgent]] = []
    waiting = list(agents)
    provided: set[str] = set()
    while waiting:
        promised = {what for agent in waiting for what in agent.provides}
        wave = [agent for agent in waiting if agent.requires <= provided - promised]
        if not wave:
            agent = waiting[0]
            missing = sorted(agent.requires - provided - promised)
            why = (
                f"requires {missing[0]!r}, which no agent of the workflow provides"
                if missing
                else "and others require each other in a circle"
            )
            message = f"{agent.agent_name} {why}."
            raise ValueError(message)
        waves.append(wave)
        provided |= {what for agent in wave for what in agent.provides}
        waiting = [agent for agent in waiting if agent not in wave]
    return waves
