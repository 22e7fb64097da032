"""AggregateWorkflowOperator: every agent's output of a run, in one metadata."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg
from airflow.sdk.configuration import conf
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_cwf.agents.base import BaseAgent
from airflow_cwf.core.agents import AgentContext
from airflow_cwf.core.errors import JournalError
from airflow_cwf.core.fees import parse_strategy
from airflow_cwf.hooks.chains import anchor_chain
from airflow_cwf.operators.agent import ConcurrentAgentOperator, rebuild
from airflow_cwf.operators.anchor import (
    next_multiple,
    required_anchor_chain,
    summarise_batches,
    wait_until,
)
from airflow_cwf.operators.base import CwfOperator, run_name
from airflow_cwf.triggers.blocks import BlockIntervalTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cwf.core.runtime import Runtime

POLL_AT_MOST_S = 60.0
"""Waits up to here are polled: a deferral costs several seconds and has a race of its own."""
RED = frozenset({"failed", "upstream_failed", "removed"})
Team = tuple[list[Mapping[str, Any]], list[str | None]]
"""Specs of one task's agents, and the state of each one's task."""


class AggregateWorkflowOperator(CwfOperator):
    """Builds, stores, proves and anchors the record of a run, then fails if it is not whole.

    It reads the journal, never the outputs' rows: `outputs` only draws the edges. It runs on
    `all_done`, stores and proves first, and then is red if an expected agent is missing or its
    task is red, so that a run is never green by silence. Agents skipped by a rejected plan are
    not missing. Where proving fails, the money has moved and the run is recorded: clearing this
    task tries again.

    Args:
        outputs: outputs of the agents' tasks.
        every_n_blocks: records are anchored at the next block that this number divides, all that
            wait together. Short waits are polled here; longer ones free the worker's slot.
        auto_save: whether receipts are stored beside the metadata.
        deferrable: whether a long wait is deferred; None: `[operators] default_deferrable`.
    """

    template_fields: Collection[str] = ("outputs",)

    def __init__(
        self,
        *,
        outputs: Sequence[Any],
        every_n_blocks: int = 50,
        auto_save: bool = True,
        deferrable: bool | None = None,
        **kwargs: Any,  # noqa: ANN401 - CwfOperator's own
    ) -> None:
        kwargs.setdefault("trigger_rule", "all_done")
        super().__init__(**kwargs)
        if every_n_blocks < 1:
            message = f"every_n_blocks is at least 1, not {every_n_blocks}."
            raise ValueError(message)
        self.outputs = outputs
        self.every_n_blocks = every_n_blocks
        self.auto_save = auto_save
        self.deferrable = deferrable

    def execute(self, context: "Context") -> dict[str, Any]:
        """Aggregate, store, prove, anchor, and return where everything lies."""
        teams = _teams(context)
        agents = [agent for specs, _ in teams.values() if specs for agent in rebuild(specs)]
        unknown = [f"nobody knows which agents `{t}` was to run" for t in teams if not teams[t][0]]
        if not agents:
            message = (
                f"The run has no agents: {'; '.join(unknown) or 'none stands above this task'}."
            )
            raise AirflowFailException(message)
        red = [name for specs, states in teams.values() for name in _red(specs, states)]
        run = run_name(context)
        result = self.enter(lambda ports: self._aggregate(agents, run, ports))
        self.log.info("workflow_id %s: %s", result["workflow_id"], result["artifact"])
        faults = _faults(result, red=red, unknown=unknown)
        result["cid"] = self.enter(lambda ports: self._prove(run, ports))
        self.log.info("proved; CID %s", result["cid"])
        chain = anchor_chain()
        if chain is None:
            return self._conclude(result, faults)
        target, seconds = self.enter(
            lambda ports: next_multiple(ports, chain, self.every_n_blocks), chains=[chain]
        )
        if seconds > POLL_AT_MOST_S and self._defers():
            self.defer(
                trigger=BlockIntervalTrigger(
                    self.evm_conn_id or f"evm_{chain}",
                    self.every_n_blocks,
                    until=target,
                    chain=chain,
                ),
                method_name="anchor",
                kwargs={"result": result, "faults": faults},
                timeout=timedelta(seconds=3 * seconds + 3600),
            )
        self.enter(lambda ports: wait_until(ports, chain, target), chains=[chain])
        return self.anchor(context, None, result=result, faults=faults)

    def anchor(
        self,
        context: "Context",
        event: Any,  # noqa: ANN401 - the trigger's payload
        *,
        result: dict[str, Any],
        faults: list[str],
    ) -> dict[str, Any]:
        """Anchor all that waits; what the method after a deferral is called with is repeatable."""
        batches = self.enter(self._anchor, chains=[required_anchor_chain()])
        self.log.info("anchored: %s", summarise_batches(batches))
        return self._conclude({**result, "anchors": batches}, faults)

    def _defers(self) -> bool:
        if self.deferrable is not None:
            return self.deferrable
        return bool(conf.getboolean("operators", "default_deferrable", fallback=False))

    def _conclude(self, result: dict[str, Any], faults: list[str]) -> dict[str, Any]:
        who = result["rejected_by"]
        if faults:
            message = (
                f"The run is not whole: {'; '.join(faults)}. What was done stands and is stored in "
                f"{result['artifact']}. Clear the red tasks to go on; nobody is paid twice."
            )
            raise AirflowFailException(message)
        if who:
            self.log.warning("%s rejected the plan; nothing was signed", who)
        return result

    async def _aggregate(
        self, agents: Sequence[BaseAgent], run: str, ports: "Runtime"
    ) -> dict[str, Any]:
        from airflow_cwf.actions.aggregate import aggregate

        context = AgentContext(runtime=ports, run=run, strategy=parse_strategy("optimal"))
        done = aggregate(agents, context=context, auto_save=self.auto_save)
        return {
            "workflow_id": done.metadata.workflow_id,
            "artifact": done.row.artifact,
            "receipts": list(done.receipts),
            "missing": list(done.missing),
            "rejected_by": done.rejected_by,
            "transactions": sum(
                (output.model_extra or {}).get("transactions", 0)
                for output in done.metadata.agent_outputs
            ),
        }

    async def _anchor(self, ports: "Runtime") -> list[dict[str, Any]]:
        from airflow_cwf.actions.advance import anchor_all

        return await anchor_all(ports)

    async def _prove(self, run: str, ports: "Runtime") -> str:
        from airflow_cwf.actions.advance import prove_and_publish

        row = ports.journal.runs.workflow(run)
        if row is None:  # it was stored a moment ago
            message = f"The journal lost the record of {run}."
            raise JournalError(message)
        return await prove_and_publish(row, ports)


def _faults(result: Mapping[str, Any], *, red: list[str], unknown: list[str]) -> list[str]:
    """Return why a run is not whole; nothing if it is, or if its plan was rejected in time."""
    who, sent = result["rejected_by"], result["transactions"]
    if who and not sent and not red:
        return []
    faults = [f"{name} did not report" for name in result["missing"]]
    faults += [f"the task of {name} is red" for name in red if name not in result["missing"]]
    faults += unknown
    if who and sent:
        faults.append(f"{who} rejected the plan after {sent} transactions had been sent")
    return faults


def _teams(context: "Context") -> dict[str, Team]:
    """Return the agents of each task above this one, and how their tasks ended."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for task in context["task"].get_flat_relatives(upstream=True):
        if isinstance(task, ConcurrentAgentOperator):
            found[task.task_id] = [task.agent]
        elif isinstance(task, MappedOperator) and issubclass(
            task.operator_class, ConcurrentAgentOperator
        ):
            found[task.task_id] = _specs(task, context)
    if not found:
        return {}
    run = context["dag_run"]
    states = (
        context["ti"]
        .get_task_states(dag_id=run.dag_id, task_ids=sorted(found), run_ids=[run.run_id])
        .get(run.run_id, {})
    )
    # Mapped tasks are called `<task>_<index>`; before they are expanded there is `<task>` only.
    return {
        task_id: (
            specs,
            [states.get(f"{task_id}_{index}", states.get(task_id)) for index in range(len(specs))],
        )
        for task_id, specs in sorted(found.items())
    }


def _specs(task: Any, context: "Context") -> list[Mapping[str, Any]]:  # noqa: ANN401 - mapped
    """Return the specs that a task is mapped over; none if the task that names them did not."""
    agents = task.expand_input.value["agent"]
    return list((agents.resolve(context) or []) if isinstance(agents, XComArg) else agents)


def _red(specs: Sequence[Mapping[str, Any]], states: Sequence[str | None]) -> list[str]:
    return [str(s["name"]) for s, state in zip(specs, states, strict=True) if state in RED]
