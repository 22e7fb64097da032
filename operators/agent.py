"""ConcurrentAgentOperator: one mapped task per agent."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg

from airflow_cwf.agents.base import BaseAgent
from airflow_cwf.agents.registry import check_names
from airflow_cwf.core.agents import AgentContext
from airflow_cwf.core.errors import ConfigError
from airflow_cwf.core.fees import parse_strategy
from airflow_cwf.core.gas_price import PriceRule, gas_price_from_json, to_json
from airflow_cwf.operators.base import CwfOperator, run_name, told

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.definitions.mappedoperator import MappedOperator

    from airflow_cwf.core.evidence.metadata import AgentEvidence
    from airflow_cwf.core.runtime import Runtime


class ConcurrentAgentOperator(CwfOperator):
    """Runs one agent. Use `for_agents` to run several side by side, one mapped task each.

    The task is red when an item stays unresolved (a retry goes on from there) or when more items
    failed for technical reasons than `max_failed`; what is the payee's or the policy's business
    is reported and stays green.

    Args:
        agent: spec of the agent to run.
        team: specs of all agents of this operator; before one commits, all required ones must be
            able to. None: the agent alone.
        task: a label, or the reference that LoadPaymentsOperator returned.
        gas_strategy: `optimal`, `fast`, `eco` or `custom`.
        gas_price: JSON of the rule of `custom`.
        max_retries: re-sends of an item that failed at finality; counted in the journal, whatever
            Airflow's `retries` does.
        max_failed: technical failures that leave the task green.
        settle_timeout: how long to wait for finality in one try.
    """

    template_fields: Collection[str] = ("agent", "task", "team")

    def __init__(  # noqa: PLR0913 - the documented settings
        self,
        *,
        agent: Mapping[str, Any],
        task: str | Mapping[str, Any],
        team: Sequence[Mapping[str, Any]] | None = None,
        gas_strategy: str = "optimal",
        gas_price: Mapping[str, Any] | None = None,
        max_retries: int = 3,
        max_failed: int = 0,
        settle_timeout: timedelta = timedelta(hours=1),
        **kwargs: Any,  # noqa: ANN401 - CwfOperator's own
    ) -> None:
        super().__init__(**kwargs)
        self.agent = agent
        self.task = task
        self.team = team
        self.gas_strategy = gas_strategy
        self.gas_price = gas_price
        self.max_retries = max_retries
        self.max_failed = max_failed
        self.settle_timeout = settle_timeout

    @classmethod
    def for_agents(
        cls,
        *,
        agents: Sequence[BaseAgent] | XComArg,
        task_id: str = "agents",
        map_index_template: str = "{{ task.agent['name'] }}",
        gas_strategy: str = "optimal",
        gas_price: PriceRule | None = None,
        **kwargs: Any,  # noqa: ANN401 - of the operator
    ) -> "MappedOperator":
        """Return a mapped task: one task per agent, named after it in the UI.

        Args:
            agents: agents, or an upstream task's output with their specs.
            task_id: of the mapped task.
            map_index_template: names the mapped tasks.
            gas_strategy: `optimal`, `fast`, `eco` or `custom`.
            gas_price: the rule of `custom`, e.g. `FastGas * 1.1`.
            kwargs: further arguments of the operator.

        Raises:
            ValueError: no agents, two of one name, or an unknown strategy: at parse time.
        """
        parse_strategy(gas_strategy, gas_price)
        settings = dict(
            task_id=task_id,
            map_index_template=map_index_template,
            gas_strategy=gas_strategy,
            gas_price=None if gas_price is None else to_json(gas_price),
            **kwargs,
        )
        if isinstance(agents, XComArg):
            return cls.partial(team=agents, **settings).expand(agent=agents)
        check_names(agents)
        specs = [agent.spec() for agent in agents]
        return cls.partial(team=specs, **settings).expand(agent=specs)

    def execute(self, context: "Context") -> dict[str, Any]:
        """Run the agent and return a summary without personal data."""
        (agent,) = rebuild([self.agent])
        team = rebuild(self.team or [self.agent])
        chains = sorted({member.chain for member in team if member.chain})
        run = run_name(context)
        return self.enter(lambda ports: self._run(agent, team, run, ports), chains=chains)

    async def _run(
        self, agent: BaseAgent, team: Sequence[BaseAgent], run: str, ports: "Runtime"
    ) -> dict[str, Any]:
        from airflow_cwf.actions.run_agent import run_agent

        rule = None if self.gas_price is None else gas_price_from_json(self.gas_price)
        context = AgentContext(
            runtime=ports,
            run=run,
            strategy=parse_strategy(self.gas_strategy, rule),
            max_retries=self.max_retries,
            settle_timeout_s=self.settle_timeout.total_seconds(),
        )
        evidence = await run_agent(
            agent, self.task, team=team, context=context, max_failed=self.max_failed
        )
        report = summarise(evidence)
        self.log.info("%s", report["summary"])
        return report


def rebuild(specs: Sequence[Mapping[str, Any]]) -> list[BaseAgent]:
    """Return the agents of specs, which may come from another task and so be anything.

    Raises:
        AirflowFailException: a spec names no agent, or they are no team.
    """
    with told():
        try:
            agents = [BaseAgent.from_spec(spec) for spec in specs]
            check_names(agents)
        except (AttributeError, TypeError, ValueError) as error:
            message = f"The agents of this task cannot be used: {error}."
            raise ConfigError(message) from error
    return agents


def summarise(evidence: "AgentEvidence") -> dict[str, Any]:
    """Return what goes to XCom about an agent: counts, fee, time; no rows."""
    output = evidence.output
    counts = output.get("counts")
    name = output["agent_name"]
    if isinstance(counts, Mapping):
        earlier = (
            f", {counts['settled_earlier']} of them earlier" if counts["settled_earlier"] else ""
        )
        summary = (
            f"{name}: {counts['settled']} of {counts['items']} payments settled{earlier}; "
            f"{counts['failed']} failed, {counts['unresolved']} unresolved; "
            f"{output['transactions']} transactions"
        )
    elif "screened" in output:
        summary = f"{output['screened']} payees screened against {output['list']}; "
        summary += f"{output['refused']} refused"
    else:
        summary = f"{name}: {output['error'] or 'done'}"
    return {
        "agent_name": name,
        "error": output["error"],
        "counts": counts,
        "fee_gwei": output["fee"],
        "summary": summary,
    }
