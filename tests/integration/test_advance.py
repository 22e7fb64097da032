"""Records on their way to the chain in a real Airflow, whose triggerer is killed meanwhile."""

import json
import signal
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_cwf import wiring
from airflow_cwf.core.anchors import appended_events
from airflow_cwf.core.contracts import anchor_address
from airflow_cwf.core.transactions import Log
from airflow_cwf.localnet import guard
from airflow_cwf.localnet.airflow import LocalAirflow
from airflow_cwf.localnet.payday import airflow_environment
from airflow_cwf.localnet.processes import LocalProcesses, wait_for
from airflow_cwf.localnet.world import LocalWorld, build_world, prover_place
from airflow_cwf.wiring.prover import install_prover
from tests.integration.paydays import FAULTY_AGENT, ROOT, Office

pytestmark = [pytest.mark.airflow, pytest.mark.chain, pytest.mark.prover]

RUNS = ("first", "second", "third")
CLOCK = "anchor_every_n_blocks"
IDLE = """
from datetime import timedelta
from airflow.sdk import chain, dag
from airflow_cwf.operators import workflow
from airflow_cwf.operators.agent import ConcurrentAgentOperator
from faulty_agents import QuietAgent

workflow.POLL_AT_MOST_S = 0.0  # every wait is a long one here

@dag(schedule=None, max_active_runs=4)
def idle():
    work = ConcurrentAgentOperator.for_agents(
        task_id="work", agents=[QuietAgent(agent_name="Ada")], task="label"
    )
    # Airflow's own race can fail a task that resumes (apache/airflow #72716): hence the retries.
    prove = workflow.AggregateWorkflowOperator(
        task_id="prove", outputs=[work.output], every_n_blocks=40, deferrable=True,
        retries=2, retry_delay=timedelta(seconds=1),
    )
    chain(work, prove)

idle()
"""
QUICK = {
    # How soon another triggerer takes over from a dead one.
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "3",
}


@dataclass(frozen=True)
class Place:
    """A world of one chain, an Airflow in it, and their processes."""

    world: LocalWorld
    airflow: LocalAirflow
    processes: LocalProcesses

    def records(self) -> list[tuple[int | None, str, str]]:
        """Return position, state and artifact of each record, in order of the positions."""
        with sqlite3.connect(self.world.home / "journal.db") as journal:
            return journal.execute(
                "select position, state, artifact from workflows order by position"
            ).fetchall()

    def appends(self) -> list[tuple[int, int]]:
        """Return the sizes that each append led from and to, as the chain tells it."""
        contract = anchor_address(wiring.load_contract("WorkflowAnchor"))
        query = {"address": contract, "fromBlock": "0x0", "toBlock": "latest"}
        office = Office(self.world.home.parent, self.world, self.airflow, self.processes)
        (found,) = office.rpc("ethereum", [("eth_getLogs", [query])])
        logs = [
            Log(one["address"], tuple(one["topics"]), bytes.fromhex(one["data"][2:]), 0)
            for one in found
        ]
        events = appended_events(logs, contract=contract)
        return [(event.call.old.size, event.call.new.size) for event in events]

    def state(self, run: str, task: str) -> str | None:
        return {t.task_id: t.state for t in self.airflow.task_instances("idle", run)}.get(task)

    def clock_runs(self) -> int:
        """Return how many runs of the clock's DAG have anchored what waited, if anything did."""
        query = "select count(*) from dag_run where dag_id = ? and state = 'success'"
        with sqlite3.connect(self.airflow.home / "airflow.db") as database:
            return int(database.execute(query, [CLOCK]).fetchone()[0])

    def kill_triggerer(self) -> None:
        """Kill the triggerer as the kernel would, and start another one."""
        (triggerer,) = (c for c in self.processes._children if c.name == "airflow-triggerer")
        guard.signal_session(triggerer.pid, signal.SIGKILL)
        self.processes.stop(triggerer)
        self.processes.start(triggerer.name, triggerer.popen.args, env=self.airflow._environment())


@pytest.fixture
def place(tmp_path):
    install_prover(prover_place(), report=print)
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "idle.py").write_text(IDLE)
    (dags / "faulty_agents.py").write_text(FAULTY_AGENT)
    text = (ROOT / "dags" / f"{CLOCK}.py").read_text()
    assert ", 50, chain" in text
    (dags / f"{CLOCK}.py").write_text(text.replace(", 50, chain", ", 25, chain"))
    with LocalProcesses(tmp_path / "logs") as processes:
        world = build_world(processes, folder=tmp_path, employees=20, chains=("ethereum",))
        env = airflow_environment(world) | QUICK
        airflow = LocalAirflow(tmp_path / "airflow", dags_folder=dags, processes=processes, env=env)
        airflow.start(triggerer=True)
        airflow.wait_healthy()
        for dag in ("idle", CLOCK):
            airflow.wait_for_dag(dag)
            airflow.unpause(dag)
        yield Place(world, airflow, processes)


def test_a_killed_triggerer_leaves_nothing_out_and_anchors_nothing_twice(place):
    for run in RUNS[:2]:
        place.airflow.trigger("idle", run_id=run)
    wait_for(
        "a deferred task",
        lambda: "deferred" in {place.state(run, "prove") for run in RUNS[:2]} or None,
        timeout_s=180,
    )
    place.kill_triggerer()
    place.airflow.trigger("idle", run_id=RUNS[2])
    ends = {run: place.airflow.wait_for_run("idle", run) for run in RUNS}
    assert ends == dict.fromkeys(RUNS, "success")

    wait_for("the clock's own run", lambda: place.clock_runs() or None, timeout_s=150)
    rows = place.records()
    assert [position for position, _, _ in rows] == [0, 1, 2]
    assert {state for _, state, _ in rows} == {"anchored"}
    appends = place.appends()
    assert [old for old, _ in appends] == [0, *(size for _, size in appends[:-1])]
    assert appends[-1][1] == 3
    for position, _, artifact in rows:
        anchor = json.loads(Path(artifact).read_bytes())["anchor"]
        assert anchor["position"] == position
        assert (anchor["old_size"], anchor["size"]) in appends
