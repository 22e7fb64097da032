"""The base of all agents: what they are made of, and how they travel as data."""

import inspect
from collections.abc import Awaitable, Mapping
from importlib import import_module
from typing import Any, ClassVar, Self

from airflow_cwf.core.agents import AgentContext, Decision, Task
from airflow_cwf.core.errors import ConfigError

HEAD_MAX_AGE_S = 300
"""A head that is older than this means that the node does not follow its chain."""


class BaseAgent:
    """An agent decides what should happen on one chain; the engine makes it happen.

    Override `execute`, plain or `async`; it returns payments of a plan, or an
    `AgentOutputSchema`, and never signs. Constructor arguments are recorded and must be JSON,
    so that `spec()` can carry the agent into an Airflow task.

    Args:
        agent_id: on-chain identifier; None: the signer's account, else the name.
        chain: name of the chain it acts on.
        health_check_interval: blocks between two health checks while it signs.
        max_slippage: percent that a trade may lose against its quote.
        gas_limit: upper limit for a single call of this agent; batches compute their own.
        required: whether no other agent may commit while this one could not.
        agent_name: unique in a workflow; None: `<class>@<chain>`.
    """

    requires: ClassVar[frozenset[str]] = frozenset()
    """What other agents must have provided before this one begins."""
    provides: ClassVar[frozenset[str]] = frozenset()
    """What this one provides."""
    pays: ClassVar[bool] = False
    """Whether it decides payments of a plan."""
    atomic: bool = False
    """Whether its payments on a chain succeed or fail as one."""

    _arguments: Mapping[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:  # noqa: ANN401 - any subclass's arguments
        """Record the arguments that `spec` repeats."""
        agent = super().__new__(cls)
        bound = inspect.signature(cls.__init__).bind(agent, *args, **kwargs)
        agent._arguments = dict(list(bound.arguments.items())[1:])
        return agent

    def __init__(  # noqa: PLR0913 - the documented settings of every agent
        self,
        *,
        agent_id: str | None = None,
        chain: str | None = "ethereum",
        health_check_interval: int = 12,
        max_slippage: float = 0.5,
        gas_limit: int | None = None,
        required: bool = True,
        agent_name: str | None = None,
    ) -> None:
        self.agent_id = agent_id
        self.chain = chain
        self.health_check_interval = health_check_interval
        self.max_slippage = max_slippage
        self.gas_limit = gas_limit
        self.required = required
        name = type(self).__name__
        self.agent_name = agent_name or (f"{name}@{chain}" if chain else name)

    def spec(self) -> dict[str, Any]:
        """Return `{class, name, args}`: JSON, from which `from_spec` rebuilds the agent.

        Raises:
            ConfigError: an argument is not JSON.
        """
        arguments = {name: _as_json(self, name, value) for name, value in self._arguments.items()}
        kind = f"{type(self).__module__}:{type(self).__qualname__}"
        return {"class": kind, "name": self.agent_name, "args": arguments}

    @staticmethod
    def from_spec(spec: Mapping[str, Any]) -> "BaseAgent":
        """Rebuild an agent from its spec.

        Specs come from DAG files and from the journal, which are as trusted as code.

        Raises:
            ConfigError: the class cannot be imported, or is no agent.
        """
        try:
            module, _, name = spec["class"].partition(":")
            kind = getattr(import_module(module), name)
        except (ImportError, AttributeError, KeyError) as error:
            message = f"The agent {spec.get('name')!r} cannot be rebuilt here: {error}."
            raise ConfigError(message) from error
        if not (isinstance(kind, type) and issubclass(kind, BaseAgent)):
            message = f"{spec['class']} is not an agent: derive it from BaseAgent."
            raise ConfigError(message)
        return kind(**spec["args"])

    async def prepare(self, task: Task, *, context: AgentContext) -> None:
        """Check that the agent could commit now; nothing to check by default."""

    def execute(
        self, task: Task, *, gas_price: int | None = None, context: AgentContext | None = None
    ) -> Decision | Awaitable[Decision]:
        """Decide what should happen.

        Args:
            task: a label that is recorded, or a mapping.
            gas_price: the most a transaction signed now would pay, wei per gas.
            context: ports and the run; overrides may leave it out.
        """
        message = f"{type(self).__name__} does not say what to do: override `execute`."
        raise ConfigError(message)

    async def check_health(self, context: AgentContext) -> str | None:
        """Return why nothing new should be signed now, or None: the age of the chain's head."""
        if self.chain is None or not self.pays:
            return None
        head = await context.runtime.client(self.chain).block("latest")
        age = context.runtime.clock.now() - head.timestamp
        limit = max(HEAD_MAX_AGE_S, 20 * context.runtime.chains[self.chain].block_time_s)
        if age > limit:
            return f"the node's newest block is {age:.0f} s old"
        return None


def _as_json(agent: BaseAgent, name: str, value: object) -> object:
    plain = value is None or isinstance(value, bool | int | float | str)
    if isinstance(value, list | tuple):
        return [_as_json(agent, name, part) for part in value]
    if isinstance(value, Mapping):
        return {str(key): _as_json(agent, name, part) for key, part in value.items()}
    if not plain:
        message = (
            f"{type(agent).__name__}({name}=...) holds a {type(value).__name__}; an agent's "
            "arguments must be JSON to travel into a task."
        )
        raise ConfigError(message)
    return value
