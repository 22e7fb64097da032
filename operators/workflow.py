"""AggregateWorkflowOperator: every agent's output of a run, in one metadata."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_cwf.agents.base import BaseAgent
from airflow_cwf.core.agents import AgentContext
from airflow_cwf.core.fees import parse_strategy
from airflow_cwf.operators.agent import ConcurrentAgentOperator, rebuild
from airflow_cwf.operators.base import CwfOperator, run_name

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cwf.core.runtime import Runtime

RED = frozenset({"failed", "upstream_failed", "removed"})
Team = tuple[list[Mapping[str, Any]], list[str | None]]
"""Specs of one task's agents, and the state of each one's task."""


class AggregateWorkflowOperator(CwfOperator):
    """Builds and stores the metadata of a run, then fails if the run is not whole.

    It reads the journal, never the outputs' rows: `outputs` only draws the edges. It runs on
    `all_done`, stores first, and then is red if an expected agent is missing or its task is red,
    so that a run is never green by silence. Agents skipped by a rejected plan are not missing.

    Args:
        outputs: outputs of the agents' tasks.
        every_n_blocks: the anchoring interval. Records are stored in state `recorded`; proving
            and anchoring follow in a later release.
        auto_save: whether receipts are stored beside the metadata.
    """

    template_fields: Collection[str] = ("outputs",)

    def __init__(
        self,
        *,
        outputs: Sequence[Any],
        every_n_blocks: int = 50,
        auto_save: bool = True,
        **kwargs: Any,  # noqa: ANN401 - CwfOperator's own
    ) -> None:
        kwargs.setdefault("trigger_rule", "all_done")
        super().__init__(**kwargs)
        self.outputs = outputs
        self.every_n_blocks = every_n_blocks
        self.auto_save = auto_save

    def execute(self, context: "Context") -> dict[str, Any]:
        """Aggregate, store, and return where the metadata lies."""
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
        who, sent = result["rejected_by"], result["transactions"]
        if who and not sent and not red:
            self.log.warning("%s rejected the plan; nothing was signed", who)
            return result
        what = [f"{name} did not report" for name in result["missing"]]
        what += [f"the task of {name} is red" for name in red if name not in result["missing"]]
        what += unknown
        if who and sent:
            what.append(f"{who} rejected the plan after {sent} transactions had been sent")
        if what:
            message = (
                f"The run is not whole: {'; '.join(what)}. What was done stands and is stored in "
                f"{result['artifact']}. Clear the red tasks to go on; nobody is paid twice."
            )
            raise AirflowFailException(message)
        return result

    async def _aggregate(
        self, agents: Sequence[BaseAgent], run: str, ports: "Runtime"
    ) -> dict[str, Any]:
        from airflow_cwf.actions.aggregate import aggregate

        context = AgentContext(runtime=ports, run=run, strategy=parse_strategy("optimal"))
        done = aggregate(agents, context=context, auto_save=self.auto_save)
        return {
            "workflow_id": done.metadata.workflow_id,
            "artifact": done.artifact,
            "receipts": list(done.receipts),
            "missing": list(done.missing),
            "rejected_by": done.rejected_by,
            "transactions": sum(
                (output.model_extra or {}).get("transactions", 0)
                for output in done.metadata.agent_outputs
            ),
        }


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
