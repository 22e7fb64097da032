"""The local Airflow: boot, mapped tasks, an approval over the API, clear and rerun, bad DAGs."""

import pytest

from airflow_cwf.core.errors import ConfigError, CwfError
from airflow_cwf.localnet.airflow import LocalAirflow
from airflow_cwf.localnet.airflow_api import AirflowApi
from airflow_cwf.localnet.processes import LocalProcesses

pytestmark = pytest.mark.airflow

TOY = """
from datetime import timedelta
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import BaseHook, BaseOperator, chain, dag, task

class Work(BaseOperator):
    def __init__(self, *, agent, **kwargs):
        super().__init__(**kwargs)
        self.agent = agent

    def execute(self, context):
        siblings = context["dag"].get_task(self.task_id).expand_input.value["agent"]
        self.log.info("works as %s", self.agent["name"])
        return {"name": self.agent["name"], "siblings": [agent["name"] for agent in siblings]}

@task(trigger_rule="all_done")
def gather(ti=None):
    (states,) = ti.get_task_states(
        dag_id=ti.dag_id, run_ids=[ti.run_id], task_ids=["screen", "pay"]
    ).values()
    return states

@task
def host():
    return BaseHook.get_connection("toy").host

@dag(schedule=None, params={"subject": "Pay?"})
def toy():
    def work(task_id, *names):
        mapped = Work.partial(task_id=task_id, map_index_template="{{ task.agent['name'] }}")
        return mapped.expand(agent=[{"name": name} for name in names])

    approve = ApprovalOperator(
        task_id="approve", subject="{{ params.subject }}", retries=1,
        retry_delay=timedelta(seconds=1),
    )
    chain(work("screen", "ofac"), approve, work("pay", "ethereum", "polygon"), gather())
    host()

toy()
"""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    folder = tmp_path_factory.mktemp("airflow")
    dags = folder / "dags"
    dags.mkdir()
    (dags / "toy.py").write_text(TOY)
    connection = {"AIRFLOW_CONN_TOY": '{"conn_type": "http", "host": "node.example"}'}
    with LocalProcesses(folder / "logs") as processes:
        started = LocalAirflow(
            folder / "home", dags_folder=dags, processes=processes, env=connection
        )
        started.start()
        started.wait_healthy()
        started.wait_for_dag("toy")
        started.unpause("toy")
        yield started


def states(airflow, run):
    found = airflow.task_instances("toy", run)
    return {(task.task_id, task.rendered_map_index): task.state for task in found}


def test_an_approved_run_works_through_its_mapped_tasks_and_a_cleared_one_works_again(airflow):
    run = airflow.trigger("toy", {"subject": "Pay July?"}, run_id="approved")
    airflow.approve("toy", run, "approve")
    assert airflow.wait_for_run("toy", run) == "success"
    assert states(airflow, run) == {
        ("host", None): "success",
        ("screen", "ofac"): "success",
        ("approve", None): "success",
        ("pay", "ethereum"): "success",
        ("pay", "polygon"): "success",
        ("gather", None): "success",
    }
    answer = airflow.xcom("toy", run, "approve")
    assert answer["responded_by_user"] == {"id": "admin", "name": "admin"}
    assert airflow.xcom("toy", run, "host") == "node.example"
    pay = {"name": "polygon", "siblings": ["ethereum", "polygon"]}
    assert airflow.xcom("toy", run, "pay", map_index=1) == pay
    gathered = {"screen_0": "success", "pay_0": "success", "pay_1": "success"}
    assert airflow.xcom("toy", run, "gather") == gathered

    airflow.clear("toy", run, task_ids=["pay"], downstream=True)
    assert airflow.wait_for_run("toy", run) == "success"
    tries = {task.task_id: task.try_number for task in airflow.task_instances("toy", run)}
    assert tries == {"host": 1, "screen": 1, "approve": 1, "pay": 2, "gather": 2}
    assert "works as polygon" in airflow.task_log("toy", run, "pay", try_number=2, map_index=1)


def test_a_rejection_skips_what_follows_but_not_the_task_that_runs_when_all_is_done(airflow):
    run = airflow.trigger("toy")
    airflow.approve("toy", run, "approve", option="Reject")
    assert airflow.wait_for_run("toy", run) == "success"
    found = {task.task_id: task.state for task in airflow.task_instances("toy", run)}
    assert found["approve"] == "success"
    assert found["pay"] == "skipped"
    gathered = {"screen_0": "success", "pay_0": "skipped", "pay_1": "skipped"}
    assert airflow.xcom("toy", run, "gather") == gathered
    assert airflow.xcom("toy", run, "approve") is None


def test_the_api_needs_a_login_and_its_refusals_are_told(airflow):
    stranger = AirflowApi(airflow.url, username="admin", password="guess", check=lambda: None)
    with pytest.raises(CwfError, match="answered 401"):
        stranger.wait_healthy()
    with pytest.raises(CwfError, match=r"answered 404 .*no_such_dag"):
        airflow.trigger("no_such_dag")


def test_a_dag_file_that_does_not_import_is_shown_with_its_error(airflow):
    broken = airflow.dags_folder / "broken.py"
    broken.write_text("from airflow.sdk import dag\nimport no_such_module\n")
    with pytest.raises(ConfigError, match=r"broken\.py[^$]*No module named 'no_such_module'"):
        airflow.wait_for_dag("broken", timeout_s=120)
