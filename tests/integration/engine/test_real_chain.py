"""The same on a real node: whole, again, and with the process killed from outside."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import closing
from time import monotonic

import pytest

from airflow_cwf import wiring
from airflow_cwf.agents import ComplianceAgent, PaymentAgent
from airflow_cwf.core.abi import event_topic
from airflow_cwf.localnet.people import RowKind
from airflow_cwf.localnet.processes import LocalProcesses
from airflow_cwf.localnet.world import PAYER, build_world
from airflow_cwf.workflow import ConcurrentWorkflow

pytestmark = pytest.mark.chain
TRANSFER = event_topic("Transfer(address,address,uint256)")
CHILD = """
import os, sys
from airflow_cwf import wiring
from airflow_cwf.agents import ComplianceAgent, PaymentAgent
from airflow_cwf.workflow import ConcurrentWorkflow

agents = [ComplianceAgent(), PaymentAgent(source=sys.argv[1], payroll_id="2026-q3")]
settings = wiring.settings_from_environment(os.environ)
print("started", flush=True)
ConcurrentWorkflow(agents, settings=settings).run("pay", run_id="killed")
"""
KILLS_S = (0.15, 0.45, 0.8, 1.3)
"""After so many seconds, counted from the child's first word."""


@pytest.fixture
def real_wiring():
    """Undo what the conftest does for the fake world."""
    with pytest.MonkeyPatch.context() as patch:
        from airflow_cwf.wiring.runtime import runtime

        patch.setattr(wiring, "runtime", runtime)
        yield


@pytest.fixture
def processes(tmp_path):
    with LocalProcesses(tmp_path / "logs") as started:
        yield started


def pay(world, run_id):
    agents = [
        ComplianceAgent(),
        PaymentAgent(source=str(world.payroll_file), payroll_id="2026-q3"),
    ]
    settings = wiring.settings_from_environment(world.environment)
    workflow = ConcurrentWorkflow(agents, settings=settings)
    return asyncio.run(workflow.arun("pay", run_id=run_id)).agent_outputs[1]


def transfers(world):
    """Count the payer's transfers, as the node's logs have them, by payee and units."""
    import httpx

    node, token = world.chains["ethereum"], world.tokens["ethereum"]
    payer = "0x" + PAYER.address.lower()[2:].rjust(64, "0")
    query = {
        "fromBlock": "0x0",
        "toBlock": "latest",
        "address": token.address,
        "topics": [TRANSFER, payer],
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [query]}
    logs = httpx.post(node.url, json=body, timeout=20).json()["result"]
    return Counter(("0x" + log["topics"][2][-40:], int(log["data"], 16)) for log in logs)


def owed(world):
    people = world.payroll
    return Counter(
        (people.addresses[reference].lower(), people.cents[reference] * 10_000)
        for reference in people.references(RowKind.GOOD)
    )


@pytest.mark.usefixtures("real_wiring")
def test_a_payroll_is_paid_once_however_often_it_runs(processes, tmp_path):
    world = build_world(processes, folder=tmp_path, employees=40, chains=("ethereum",))
    first = pay(world, "r1")
    assert transfers(world) == owed(world)
    second = pay(world, "r2")
    assert transfers(world) == owed(world)
    assert first.counts["settled_earlier"] == 0
    assert second.counts["settled_earlier"] == first.counts["settled"] == len(owed(world))
    assert second.transactions == 0


@pytest.mark.usefixtures("real_wiring")
def test_a_process_that_is_killed_from_outside_pays_nobody_twice(processes, tmp_path):
    world = build_world(processes, folder=tmp_path, employees=40, chains=("ethereum",))
    environment = {**os.environ, **world.environment}
    for seconds in KILLS_S:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(world.payroll_file)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        with closing(child.stdout) as said:
            assert said.readline() == b"started\n"
        begun = monotonic()
        while monotonic() - begun < seconds and child.poll() is None:
            child.poll()
        child.send_signal(signal.SIGKILL)
        child.wait(timeout=10)
        free_the_lane(world)
    output = pay(world, "killed")
    assert transfers(world) == owed(world)
    assert output.counts["settled"] == len(owed(world))
    assert output.counts["unresolved"] == 0


def free_the_lane(world):
    """Let the dead process's lease run out at once; waiting for it takes 20 s each time."""
    import sqlite3

    with closing(sqlite3.connect(world.home / "journal.db", isolation_level=None)) as database:
        database.execute("UPDATE lanes SET lease_until = 0")
