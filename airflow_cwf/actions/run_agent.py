"""Run one agent of one run: prepare the team, let it decide, settle, conclude.

The output is stored whatever happens; then the worst thing that happened is raised, so that a
task is red exactly when a person or a retry is needed.
"""

import asyncio
import inspect
from collections.abc import Sequence
from contextlib import suppress

from airflow_cwf.actions.conclude import Ending, conclude, technical_failures
from airflow_cwf.actions.lease import leased_lane
from airflow_cwf.actions.prepare import prepare_team
from airflow_cwf.actions.quote import quote
from airflow_cwf.actions.read_plan import plan_of_task
from airflow_cwf.actions.reconcile import reconcile
from airflow_cwf.actions.settle import Settlement, UnhealthyError, settle
from airflow_cwf.core.agents import Agent, AgentContext, Decision, Task, plan_digest_of
from airflow_cwf.core.contracts import batch_payment_address
from airflow_cwf.core.errors import (
    ConfigError,
    CwfError,
    FailedItemsError,
    PreparationError,
    SanctionsListError,
    UnresolvedError,
)
from airflow_cwf.core.evidence.metadata import AgentEvidence
from airflow_cwf.core.fees import FeeCapError
from airflow_cwf.core.intents import PlanItem
from airflow_cwf.core.schemas import AgentOutputSchema


async def run_agent(
    agent: Agent,
    task: Task,
    *,
    team: Sequence[Agent],
    context: AgentContext,
    max_failed: int = 0,
) -> AgentEvidence:
    """Run `agent` and return its stored output with receipts.

    Args:
        agent: the one to run.
        task: a label, or a mapping that may refer to a plan.
        team: all agents of the same operator or workflow, `agent` included.
        context: ports, run, limits.
        max_failed: technical failures that are tolerated; business reasons never count.

    Raises:
        UnresolvedError: items have no outcome yet; running again is safe.
        FailedItemsError: more technical failures than `max_failed`.
        CwfError: what kept the agent from its work; its output says so too.
    """
    runtime = context.runtime
    now = runtime.clock.now()
    runtime.journal.runs.start_run(
        context.run, task=task, plan_digest=plan_digest_of(task), now=now
    )
    runtime.journal.runs.start_agent(context.run, agent.agent_name, spec=agent.spec(), now=now)
    try:
        further = await _act(agent, task, team, context)
    except UnhealthyError as error:
        conclude(agent, context=context, ending=Ending(trouble=f"unhealthy: {error.trouble}"))
        raise
    except CwfError as error:
        conclude(agent, context=context, ending=Ending(trouble=type(error).__name__))
        raise
    except Exception as error:
        conclude(agent, context=context, ending=Ending(trouble="the agent raised an error"))
        raise _AgentCodeError(agent.agent_name, error) from error
    evidence = conclude(agent, context=context, ending=further)
    _judge_counts(agent, evidence, max_failed)
    return evidence


class _AgentCodeError(CwfError):
    """An agent's own code failed, not the engine."""

    def __init__(self, agent: str, cause: Exception) -> None:
        super().__init__(
            f"{agent} raised {type(cause).__name__} in its own code. What was recorded stands; "
            "mend the agent and run the task again."
        )


async def _act(agent: Agent, task: Task, team: Sequence[Agent], context: AgentContext) -> Ending:
    if agent.pays:
        try:
            await prepare_team(agent, team, task, context=context)
        except (PreparationError, FeeCapError, SanctionsListError):
            await _conclude_in_flight(agent, context)
            raise
    else:
        await agent.prepare(task, context=context)
    trouble = await agent.check_health(context)
    if trouble is not None:
        return Ending(trouble=f"unhealthy: {trouble}")
    decision = await _decide(agent, task, context)
    if decision is None:
        return Ending()
    if isinstance(decision, AgentOutputSchema):
        return Ending(
            trouble=decision.error,
            tx_hash=decision.tx_hash,
            fee=decision.fee,
            time_us=decision.time_us or None,
            further=decision.model_extra or {},
        )
    await _settle_items(agent, task, decision, context)
    return Ending()


async def _conclude_in_flight(agent: Agent, context: AgentContext) -> None:
    """Look once at what is under way, although nothing new may be signed.

    The agent's node has been checked by then, so that its word counts.
    """
    runtime = context.runtime
    chain = runtime.chains.get(agent.chain or "")
    if chain is None:
        return
    contract = batch_payment_address(chain, runtime.batch_payment)
    leasing = leased_lane(
        chain=chain, contract=contract, runtime=runtime, max_retries=context.max_retries
    )
    with suppress(CwfError):  # the caller raises what matters more
        async with leasing as lane:
            await reconcile(lane)


async def _decide(agent: Agent, task: Task, context: AgentContext) -> Decision:
    """Call `execute`: coroutines in this loop, plain functions in a thread."""
    wants = inspect.signature(agent.execute).parameters
    arguments = {"context": context} if "context" in wants else {}
    price = None
    if agent.pays and agent.chain is not None:
        client = context.runtime.client(agent.chain)
        cap = context.runtime.policy.max_fee_per_gas
        try:
            price = (await quote(client, context.strategy, cap=cap)).max_fee_per_gas
        except FeeCapError as error:  # `settle` waits for lower fees, if there is a need to sign
            price = error.cap
    if inspect.iscoroutinefunction(agent.execute):
        decision: Decision = await agent.execute(task, gas_price=price, **arguments)
        return decision
    answer = await asyncio.to_thread(agent.execute, task, gas_price=price, **arguments)
    return await answer if inspect.isawaitable(answer) else answer


async def _settle_items(
    agent: Agent, task: Task, items: Sequence[PlanItem], context: AgentContext
) -> None:
    if not agent.pays or agent.chain is None:
        message = f"{agent.agent_name} returned payments, but does not declare `pays = True`."
        raise ConfigError(message)
    plan = plan_of_task(task, context)
    chain = context.runtime.chains[agent.chain]
    for scope in plan.scopes_on(chain.caip2):
        chosen = tuple(item for item in items if item.scope == scope.id)
        if not chosen:
            continue
        token = next(token for token in chain.tokens.values() if token.address == scope.token)
        work = Settlement(
            scope=scope,
            items=chosen,
            chain=chain,
            token=token,
            run=context.run,
            agent=agent.agent_name,
            strategy=context.strategy,
            max_retries=context.max_retries,
            atomic=agent.atomic,
            timeout_s=context.settle_timeout_s,
            health=lambda: agent.check_health(context),
            health_check_interval=agent.health_check_interval,
        )
        await settle(work, context.runtime)


def _judge_counts(agent: Agent, evidence: AgentEvidence, max_failed: int) -> None:
    counts = evidence.output.get("counts")
    if not isinstance(counts, dict):
        return
    if counts["unresolved"]:
        message = (
            f"{agent.agent_name}: {counts['unresolved']} of {counts['items']} items have no "
            f"outcome yet ({counts['reasons']}). Nothing is lost; running the task again is safe "
            "and goes on from here."
        )
        raise UnresolvedError(message)
    failures = technical_failures(counts)
    if failures > max_failed:
        message = (
            f"{agent.agent_name}: {failures} items failed for technical reasons "
            f"({counts['reasons']}); {max_failed} are tolerated. They were not paid."
        )
        raise FailedItemsError(message)
