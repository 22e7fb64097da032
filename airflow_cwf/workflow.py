"""The library's door: run a team of agents side by side, and keep what they did."""

import asyncio
import logging
import os
import secrets
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime

from airflow_cwf import wiring
from airflow_cwf.actions.advance import anchor_all, prove_and_publish
from airflow_cwf.actions.aggregate import Aggregated, aggregate
from airflow_cwf.actions.conclude import Ending, conclude
from airflow_cwf.actions.load import load_payments
from airflow_cwf.actions.run_agent import run_agent
from airflow_cwf.actions.run_folder import METADATA, run_path
from airflow_cwf.agents.base import BaseAgent
from airflow_cwf.agents.payment import PaymentAgent
from airflow_cwf.agents.registry import check_names, in_waves
from airflow_cwf.core.agents import AgentContext, Task
from airflow_cwf.core.errors import CwfError
from airflow_cwf.core.fees import parse_strategy
from airflow_cwf.core.gas_price import PriceRule
from airflow_cwf.core.runtime import Runtime
from airflow_cwf.core.schemas import WorkflowMetadata
from airflow_cwf.core.settings import Settings

log = logging.getLogger(__name__)

NOT_PROVIDED = "what it requires was not provided"


class ConcurrentWorkflow:
    """A team of agents that run side by side, except where one requires what another provides.

    Args:
        agents: at least one, of distinct names.
        max_retries: re-sends of a payment that failed at finality; counted in the journal.
        gas_strategy: `optimal`, `fast`, `eco` or `custom`.
        auto_save: whether receipts are stored beside metadata and journal.
        gas_price: the rule of `custom`, e.g. `FastGas * 1.1`.
        settings: everything outside; None: read from the environment (`CWF_HOME`,
            `CWF_RPC_<CHAIN>`, `CWF_SIGNER`, `CWF_JOURNAL`, see `wiring`).

    Raises:
        ValueError: no agents, two of one name, an unmet or circular requirement, an unknown
            strategy.
    """

    def __init__(
        self,
        agents: Sequence[BaseAgent],
        max_retries: int = 3,
        gas_strategy: str = "optimal",
        auto_save: bool = True,  # noqa: FBT001, FBT002 - the documented signature
        *,
        gas_price: PriceRule | None = None,
        settings: Settings | None = None,
    ) -> None:
        check_names(agents)
        self.agents = list(agents)
        self.max_retries = max_retries
        self.auto_save = auto_save
        self._waves = in_waves(agents)
        self._strategy = parse_strategy(gas_strategy, gas_price)
        self._settings = settings

    def run(
        self, task: Task, *, run_id: str | None = None
    ) -> WorkflowMetadata | Awaitable[WorkflowMetadata]:
        """Run the workflow and return its metadata.

        Blocks; inside a running event loop it returns an awaitable of the metadata instead.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self.arun(task, run_id=run_id))
        return self.arun(task, run_id=run_id)

    async def arun(self, task: Task, *, run_id: str | None = None) -> WorkflowMetadata:
        """Run the workflow and return its metadata.

        An agent's failure stands in its output's `error` and never discards a sibling's work.

        Args:
            task: a label that is recorded and never interpreted, or a mapping.
            run_id: names the run in the journal; running under the same name again resumes it.

        Raises:
            CwfError: settings, journal or payments file are not usable; nothing was signed.
        """
        settings = self._settings or wiring.settings_from_environment(os.environ)
        async with wiring.runtime(settings) as runtime:
            context = AgentContext(
                runtime=runtime,
                run=run_id or _new_run_id(),
                strategy=self._strategy,
                max_retries=self.max_retries,
            )
            self._load(task, context)
            provided: set[str] = set()
            for wave in self._waves:
                ready = [agent for agent in wave if agent.requires <= provided]
                for agent in wave:
                    if agent not in ready:
                        conclude(agent, context=context, ending=Ending(trouble=NOT_PROVIDED))
                provided |= await self._run_wave(ready, task, context)
            return await _advance(
                aggregate(self.agents, context=context, auto_save=self.auto_save), runtime
            )

    async def _run_wave(
        self, ready: Sequence[BaseAgent], task: Task, context: AgentContext
    ) -> set[str]:
        """Run agents side by side to their ends, and return what they provided."""
        done = await asyncio.gather(
            *(self._run_agent(agent, task, context) for agent in ready), return_exceptions=True
        )
        for outcome in done:  # only what nobody foresaw; all siblings have ended by now
            if isinstance(outcome, BaseException):
                raise outcome
        return {what for agent in done if isinstance(agent, BaseAgent) for what in agent.provides}

    async def _run_agent(
        self, agent: BaseAgent, task: Task, context: AgentContext
    ) -> BaseAgent | None:
        """Run one agent; return it if it did what it promised. A failure is stored, not raised."""
        try:
            evidence = await run_agent(agent, task, team=self.agents, context=context)
        except CwfError:
            return None
        return agent if evidence.output["error"] is None else None

    def _load(self, task: Task, context: AgentContext) -> None:
        """Load the payments file that the agents name, if they name one."""
        runtime: Runtime = context.runtime
        sources = {
            (agent.source, agent.payroll_id)
            for agent in self.agents
            if isinstance(agent, PaymentAgent) and agent.source and agent.payroll_id
        }
        if len(sources) > 1:
            message = "The PaymentAgents of one workflow pay one file under one payroll_id."
            raise ValueError(message)
        for source, payroll_id in sources:
            loaded = load_payments(
                wiring.read_source(str(source)),
                payroll_id=str(payroll_id),
                run=context.run,
                runtime=runtime,
            )
            runtime.journal.runs.start_run(
                context.run,
                task=task,
                plan_digest=loaded.plan.digest,
                now=runtime.clock.now(),
            )


async def _advance(done: Aggregated, runtime: Runtime) -> WorkflowMetadata:
    """Prove, publish and anchor a stored run, and return its metadata as far as that went.

    The money has moved and the run is stored: what is missing to prove it is logged, and running
    again under the same `run_id` makes it good.
    """
    try:
        await prove_and_publish(done.row, runtime)
        await anchor_all(runtime)
    except CwfError as error:
        log.warning("The run is recorded, but not proved or anchored: %s", error)
    path = run_path(done.row.run, done.row.workflow_id, METADATA)
    return WorkflowMetadata.from_bytes(runtime.artifacts.read(path))


def _new_run_id() -> str:
    return f"library/{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}-{secrets.token_hex(4)}"
