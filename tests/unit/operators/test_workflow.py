import json
from pathlib import Path

import pytest
from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowFailException

from airflow_cwf.core.journal_rows import Approval
from airflow_cwf.operators.agent import ConcurrentAgentOperator
from airflow_cwf.operators.workflow import AggregateWorkflowOperator
from airflow_cwf.wiring.runtime import WiredRuntime
from tests.fakes.provers import FormalProver
from tests.unit.operators.quiet_agents import QuietAgent, SentAgent

PLAN = "ab" * 32


@pytest.fixture(autouse=True)
def prover(monkeypatch):
    """Proofs in form only, without Node and key; `test_without_a_prover` is about the real one."""
    formal = FormalProver()
    monkeypatch.setattr(WiredRuntime, "prover", formal)
    return formal


class OwnAgentOperator(ConcurrentAgentOperator):
    """A user's own subclass."""


def workflow(*names, operator=ConcurrentAgentOperator):
    """Return the aggregate below a mapped task `work` with agents of these names."""
    with DAG("d", schedule=None):
        work = operator.for_agents(
            task_id="work", agents=[QuietAgent(agent_name=name) for name in names], task="label"
        )
        prove = AggregateWorkflowOperator(task_id="prove", outputs=[work.output])
    work >> prove
    return prove


def run_agent(name, context_of):
    operator = ConcurrentAgentOperator(
        task_id="work", agent=QuietAgent(agent_name=name).spec(), task="label"
    )
    return operator.execute(context_of(operator))


def stored_outputs(result):
    return json.loads(Path(result).read_bytes())["agent_outputs"]


def artifact_of(journal):
    return journal.runs.workflow("d/r").artifact


@pytest.mark.parametrize("operator", [ConcurrentAgentOperator, OwnAgentOperator])
def test_a_whole_run_is_green_and_stored(context_of, operator):
    for name in ("a", "b"):
        run_agent(name, context_of)
    prove = workflow("a", "b", operator=operator)
    result = prove.execute(context_of(prove, work_0="success", work_1="success"))
    assert result["missing"] == []
    assert [step["agent_name"] for step in stored_outputs(result["artifact"])] == ["a", "b"]
    assert len(result["receipts"]) == 2


def test_an_agent_that_left_nothing_turns_the_run_red_and_is_stored_as_missing(context_of, journal):
    run_agent("a", context_of)
    prove = workflow("a", "b")
    with pytest.raises(AirflowFailException, match="b did not report"):
        prove.execute(context_of(prove, work_0="success", work_1="success"))
    errors = {s["agent_name"]: s["error"] for s in stored_outputs(artifact_of(journal))}
    assert errors == {"a": None, "b": "did not report"}


@pytest.mark.parametrize("state", ["failed", "upstream_failed", "removed"])
def test_a_red_task_turns_the_run_red_and_its_agent_is_named(context_of, journal, state):
    for name in ("a", "b"):
        run_agent(name, context_of)
    prove = workflow("a", "b")
    with pytest.raises(AirflowFailException, match=r"not whole: the task of b is red\. What"):
        prove.execute(context_of(prove, work_0="success", work_1=state))
    assert len(stored_outputs(artifact_of(journal))) == 2


def test_tasks_that_were_never_expanded_count_as_red(context_of):
    prove = workflow("a", "b")
    with pytest.raises(AirflowFailException, match="a did not report; b did not report"):
        prove.execute(context_of(prove, work="upstream_failed"))


def test_an_agent_whose_task_is_not_mapped_is_expected_too(context_of):
    with DAG("d", schedule=None):
        work = ConcurrentAgentOperator(
            task_id="work", agent=QuietAgent(agent_name="alone").spec(), task="label"
        )
        prove = AggregateWorkflowOperator(task_id="prove", outputs=[work.output])
    with pytest.raises(AirflowFailException, match="alone did not report"):
        prove.execute(context_of(prove, work="failed"))


def test_a_rejected_plan_is_told_and_no_agent_is_missing(context_of, journal):
    reject(journal)
    prove = workflow("a")
    result = prove.execute(context_of(prove, work_0="skipped"))
    assert (result["rejected_by"], result["missing"]) == ("Ada", [])
    (step,) = stored_outputs(result["artifact"])
    assert step["error"] == "the plan was rejected"


def test_a_rejected_plan_does_not_hide_a_red_task(context_of, journal):
    reject(journal)
    prove = workflow("a")
    with pytest.raises(AirflowFailException, match="the task of a is red"):
        prove.execute(context_of(prove, work_0="failed"))


def test_a_plan_that_is_rejected_after_it_was_paid_is_no_quiet_rejection(context_of, journal):
    with DAG("d", schedule=None):
        work = ConcurrentAgentOperator(task_id="work", agent=SentAgent().spec(), task="label")
        prove = AggregateWorkflowOperator(task_id="prove", outputs=[work.output])
    work.execute(context_of(work))
    reject(journal)
    with pytest.raises(
        AirflowFailException, match="Ada rejected the plan after 2 transactions had been sent"
    ):
        prove.execute(context_of(prove, work="skipped"))


def reject(journal):
    journal.runs.start_run("d/r", task="label", plan_digest=PLAN, now=0)
    journal.runs.save_approval(Approval(PLAN, approved=False, approver="Ada", at=0))


def test_aggregating_again_changes_nothing(context_of):
    run_agent("a", context_of)
    prove = workflow("a")
    first = prove.execute(context_of(prove, work_0="success"))
    data = Path(first["artifact"]).read_bytes()
    run_agent("a", context_of)
    assert prove.execute(context_of(prove, work_0="success")) == first
    assert Path(first["artifact"]).read_bytes() == data


def test_it_runs_when_all_is_done_unless_told_otherwise():
    assert workflow("a").trigger_rule == "all_done"


def test_agents_that_an_upstream_task_should_have_named_and_did_not_turn_the_run_red(context_of):
    @task
    def choose():
        return []

    with DAG("d", schedule=None):
        work = ConcurrentAgentOperator.for_agents(task_id="work", agents=choose(), task="label")
        prove = AggregateWorkflowOperator(task_id="prove", outputs=[work.output])
    work >> prove
    context = context_of(prove, work="upstream_failed")
    context["ti"].xcom_pull = lambda **_: None
    with pytest.raises(AirflowFailException, match="nobody knows which agents"):
        prove.execute(context)
