"""The block clock in a real Airflow: a real node, a killed triggerer, and no interval skipped."""

import json
import signal

import pytest

from airflow_cwf.localnet import guard
from airflow_cwf.localnet.airflow import LocalAirflow
from airflow_cwf.localnet.anvil import start_anvil
from airflow_cwf.localnet.processes import LocalProcesses, wait_for

pytestmark = [pytest.mark.airflow, pytest.mark.chain]

EVERY = 4
BLOCK_TIME_S = 0.5
CLOCK_DAG = """
import json
from pathlib import Path
from airflow.sdk import Asset, AssetWatcher, dag, task
from airflow_cwf.triggers.blocks import CURSOR, BlockIntervalTrigger

clock = Asset(
    "blocks",
    watchers=[AssetWatcher(name="blocks", trigger=BlockIntervalTrigger("evm_ethereum", {every}))],
)

@dag(schedule=[clock], max_active_runs=1, catchup=False)
def on_blocks():
    @task(inlets=[clock])
    def work(*, asset_state_store=None, triggering_asset_events=None):
        due = max(event.extra["payload"]["block"] for event in triggering_asset_events[clock])
        done = asset_state_store[clock].get(CURSOR, 0)
        if due > done:
            with Path({journal!r}).open("a") as file:
                file.write(json.dumps([done, due]) + "\\n")
            asset_state_store[clock].set(CURSOR, due)

    work()

on_blocks()
"""
QUICK = {
    # How soon another triggerer takes over from a dead one.
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "3",
}


@pytest.fixture
def worked(tmp_path):
    """The file to which the consuming task writes its ranges of blocks."""
    return tmp_path / "worked.jsonl"


@pytest.fixture
def airflow(tmp_path, worked):
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "clock.py").write_text(CLOCK_DAG.format(every=EVERY, journal=str(worked)))
    chains = tmp_path / "chains.json"
    chains.write_text(json.dumps({"ethereum": {"block_time_s": BLOCK_TIME_S}}))
    with LocalProcesses(tmp_path / "logs") as processes:
        node = start_anvil(processes, chain_id=1, name="ethereum", block_time=BLOCK_TIME_S)
        connection = json.dumps({"conn_type": "evm", "host": node.url})
        env = {
            "AIRFLOW_CONN_EVM_ETHEREUM": connection,
            "AIRFLOW__CWF__CHAINS_FILE": str(chains),
            **QUICK,
        }
        started = LocalAirflow(tmp_path / "home", dags_folder=dags, processes=processes, env=env)
        started.start(triggerer=True)
        started.wait_healthy()
        started.wait_for_dag("on_blocks")
        started.unpause("on_blocks")
        yield started


def ranges(worked):
    return [json.loads(line) for line in worked.read_text().splitlines()]


def wait_for_ranges(worked, count, *, check):
    def look():
        check()
        return True if worked.exists() and len(ranges(worked)) >= count else None

    wait_for(f"{count} ranges are worked off", look, timeout_s=120)


def test_no_interval_is_skipped_when_the_triggerer_is_killed(airflow, worked):
    processes = airflow._processes
    wait_for_ranges(worked, 1, check=processes.require_running)

    (triggerer,) = (c for c in processes._children if c.name == "airflow-triggerer")
    guard.signal_session(triggerer.pid, signal.SIGKILL)
    processes.stop(triggerer)
    before = len(ranges(worked))
    processes.start(triggerer.name, triggerer.popen.args, env=airflow._environment())
    wait_for_ranges(worked, before + 2, check=processes.require_running)

    found = ranges(worked)
    assert found[0][0] == 0
    assert [start for start, _ in found[1:]] == [end for _, end in found[:-1]], "ranges join"
    assert all(end % EVERY == 0 and end > start for start, end in found)
    # Airflow knew the trigger again at every parse of the DAG file: each process ran one.
    log = triggerer.log.read_text()
    assert log.count("trigger ID 1 starting") == log.count(" starting ") == 2
