"""What the engine knows of an agent, and what an agent is given."""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from airflow_cwf.core.fees import GasStrategy
from airflow_cwf.core.intents import Plan, PlanItem
from airflow_cwf.core.runtime import Runtime
from airflow_cwf.core.schemas import AgentOutputSchema

Task = str | Mapping[str, Any]
"""A label that is recorded and never interpreted, or a mapping: `{action, params}`, or the
reference that loading payments returned."""

Decision = Sequence[PlanItem] | AgentOutputSchema | None
"""What an agent wants: payments for the engine to settle, or a finished output."""

SCREENED = "payments.screened"
FUNDS = "funds"


@dataclass(frozen=True, slots=True)
class AgentContext:
    """One agent's place in one run."""

    runtime: Runtime
    run: str
    """Names the run in the journal: `<dag_id>/<run_id>`, or what the library's caller gave."""
    strategy: GasStrategy
    max_retries: int = 3
    settle_timeout_s: float = 3600.0
    plans: dict[str, Plan] = field(default_factory=dict, repr=False)
    """Plans this process has read and checked, by digest; a memory, not a source."""


class Agent(Protocol):
    """A decision maker. It reads ports and never signs."""

    agent_name: str
    agent_id: str | None
    chain: str | None
    """Name of the one chain it acts on; None if it sends nothing."""
    required: bool
    health_check_interval: int
    requires: ClassVar[frozenset[str]]
    provides: ClassVar[frozenset[str]]
    pays: ClassVar[bool]
    """Whether it decides payments, so that a plan's items on its chain are its receipts."""
    atomic: bool

    def spec(self) -> dict[str, Any]:
        """Return `{class, name, args}`, JSON, from which the agent can be rebuilt."""

    async def prepare(self, task: Task, *, context: AgentContext) -> None:
        """Check that it could commit now; read-only, no waiting.

        Raises:
            CwfError: why it could not, and what to do about it.
        """

    def execute(
        self, task: Task, *, gas_price: int | None = None, context: AgentContext | None = None
    ) -> Decision | Awaitable[Decision]:
        """Decide. `gas_price` is the most a transaction signed now would pay, wei per gas."""

    async def check_health(self, context: AgentContext) -> str | None:
        """Return why nothing new should be signed now, or None."""


def plan_digest_of(task: Task) -> str | None:
    """Return the digest of the plan that a task refers to, if it refers to one."""
    if isinstance(task, Mapping):
        digest = task.get("plan_digest") or task.get("params", {}).get("plan_digest")
        return digest if isinstance(digest, str) else None
    return None
