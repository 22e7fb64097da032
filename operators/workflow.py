"""AggregateWorkflowOperator: every agent's output of a run, in one metadata."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_cwf.agents.base import BaseAgent
from airflow_cwf.core.agents import AgentContext
from airflow_cwf.core.fees import parse_strategy
from airflow_cwf.operators.agent import ConcurrentAgentOperator
from airflow_cwf.operators.base import CwfOperator, run_name

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cwf.core.runtime import Runtime

RED = frozenset({"failed", "upstream_failed", "removed"})


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
        specs, red = _expected(context)
        agents = [BaseAgent.from_spec(spec) for spec in specs]
        run = run_name(context)
        result = self.enter(lambda ports: self._aggregate(agents, run, ports))
        self.log.info("workflow_id %s: %s", result["workflow_id"], result["artifact"])
        if result["rejected_by"]:
            self.log.warning("%s rejected the plan; nothing was signed", result["rejected_by"])
            return result
        missing = result["missing"]
        if missing or red:
            what = [f"{name} did not report" for name in missing]
            what += [f"the task {name} is red" for name in red]
            message = (
                f"The run is not whole: {'; '.join(what)}. What the others did is stored in "
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
        }


def _expected(context: "Context") -> tuple[list[Mapping[str, Any]], list[str]]:
    """Return the specs of the agents above this task, and the ids of their red tasks."""
    upstream = context["task"].get_flat_relatives(upstream=True)
    mapped: list[Any] = [
        task
        for task in upstream
        if isinstance(task, MappedOperator) and task.operator_class is ConcurrentAgentOperator
    ]
    specs: list[Mapping[str, Any]] = []
    for task in mapped:
        agents = task.expand_input.value["agent"]
        specs += agents.resolve(context) if isinstance(agents, XComArg) else agents
    run = context["dag_run"]
    ids = sorted(task.task_id for task in mapped)
    if not ids:
        return specs, []
    states = (
        context["ti"]
        .get_task_states(dag_id=run.dag_id, task_ids=ids, run_ids=[run.run_id])
        .get(run.run_id, {})
    )
    return specs, sorted(name for name, state in states.items() if state in RED)
