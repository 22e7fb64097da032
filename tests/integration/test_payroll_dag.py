"""The payroll DAG in a real Airflow, and what an adversary does to it there."""

import sqlite3
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

import psutil
import pytest

from airflow_cwf.localnet.processes import LocalProcesses, wait_for
from tests.integration.paydays import PAYROLL, Payroll, open_office, owed

pytestmark = pytest.mark.airflow

AGENTS = ("PaymentAgent@ethereum", "PaymentAgent@polygon", "PaymentAgent@arbitrum")
GREEN = dict.fromkeys(("load", "ComplianceAgent", "approve", *AGENTS, "prove"), "success")
XCOM_LIMIT = 4_000


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    folder = tmp_path_factory.mktemp("payday")
    with LocalProcesses(folder / "logs") as processes:
        yield open_office(folder, processes)


@pytest.fixture(scope="module")
def july(office):
    """A payroll that an approved run has paid, and that run's id."""
    payroll = office.payroll("july", per_chain=4)
    return payroll, office.run_payroll(payroll, run_id="july")


@dataclass(frozen=True)
class Wave:
    """Three runs side by side, and the payer's nonces before and after them."""

    july: Payroll
    rejected: Payroll
    faulty: Payroll
    nonces_before: dict[str, int]
    nonces_after: dict[str, int]


@pytest.fixture(scope="module")
def wave(office, july):
    """Pay July again, reject a plan, and run a workflow with a failing agent."""
    airflow = office.airflow
    again, rejected = july[0], office.payroll("rejected", per_chain=2)
    faulty = office.payroll("faulty", per_chain=3, chains=("ethereum", "polygon"))
    nonces = office.nonces()
    airflow.trigger(PAYROLL, again.conf, run_id="july-again")
    airflow.trigger(PAYROLL, rejected.conf, run_id="rejected")
    airflow.trigger("one_fails", faulty.conf, run_id="faulty")
    airflow.trigger("chosen_later", {}, run_id="chosen")
    airflow.approve(PAYROLL, "july-again", "approve")
    airflow.approve(PAYROLL, "rejected", "approve", option="Reject", after_s=2)
    assert airflow.wait_for_run(PAYROLL, "july-again") == "success"
    assert airflow.wait_for_run(PAYROLL, "rejected") == "success"
    assert airflow.wait_for_run("one_fails", "faulty") == "failed"
    return Wave(again, rejected, faulty, nonces, office.nonces())


def details_of(metadata):
    """Return each agent's error and counts."""
    return {
        step["agent_name"]: (step["error"], step.get("counts"))
        for step in metadata["agent_outputs"]
    }


def everything_airflow_keeps(office):
    """Return database and log files, which hold XComs, rendered templates and task names too."""
    with sqlite3.connect(office.airflow.home / "airflow.db") as database:
        database.execute("pragma wal_checkpoint")
    places = [office.airflow.home / "airflow.db", *office.folder.glob("logs/*.log")]
    places += [p for p in (office.airflow.home / "logs").rglob("*") if p.is_file()]
    return {place: place.read_bytes().lower() for place in places}


def test_an_approved_run_pays_everybody_and_its_table_equals_the_chains(office, july):
    payroll, run = july
    assert office.states(run) == GREEN
    assert office.balances(payroll) == owed(payroll)
    people = Counter(person.chain for person in payroll.people)
    steps = details_of(office.metadata(run))
    for chain, number in people.items():
        error, counts = steps[f"PaymentAgent@{chain}"]
        assert error is None
        assert (counts["items"], counts["settled"]) == (number, number)


def test_nothing_that_airflow_keeps_holds_a_name_an_address_or_an_amount(office, july):
    payroll, _ = july
    kept = everything_airflow_keeps(office)
    assert any(b"july" in data for data in kept.values())  # the search itself works
    for person in payroll.people:
        words = [person.reference, person.subject, person.address[2:], person.amount]
        for word in [*words, str(person.units)]:
            leaks = [str(place) for place, data in kept.items() if word.lower().encode() in data]
            assert not leaks, f"{word} leaked"


def test_xcoms_are_references_below_four_kilobytes(office, july):
    _, run = july
    with sqlite3.connect(office.airflow.home / "airflow.db") as database:
        sizes = database.execute(
            "select task_id, map_index, length(value) from xcom where run_id = ?", [run]
        ).fetchall()
    assert {task for task, _, _ in sizes} >= {"load", "screen", "approve", "pay", "prove"}
    assert max(size for _, _, size in sizes) < XCOM_LIMIT, sizes


def test_clearing_and_rerunning_every_task_pays_nobody_twice_and_changes_no_metadata(office, july):
    payroll, run = july
    before, nonces = office.metadata(run), office.nonces()
    office.airflow.clear(PAYROLL, run, task_ids=["load"], downstream=True)
    office.airflow.approve(PAYROLL, run, "approve")
    assert office.airflow.wait_for_run(PAYROLL, run) == "success"
    tries = {t.task_id: t.try_number for t in office.airflow.task_instances(PAYROLL, run)}
    assert set(tries.values()) == {2}
    assert office.nonces() == nonces
    assert office.balances(payroll) == owed(payroll)
    assert office.metadata(run) == before


def test_a_second_run_of_one_payroll_signs_nothing_and_says_that_an_earlier_one_paid(office, wave):
    assert office.states("july-again") == GREEN
    assert not office.transactions("july-again")
    assert office.balances(wave.july) == owed(wave.july)
    said = [
        office.airflow.xcom(PAYROLL, "july-again", "pay", map_index=i)["summary"] for i in range(3)
    ]
    assert all("4 of 4 payments settled, 4 of them earlier" in text for text in said), said


def test_a_rejected_plan_is_not_paid_and_the_aggregate_says_who_rejected_it(office, wave):
    states = office.states("rejected")
    assert [states[task] for task in ("load", "approve", "prove")] == ["success"] * 3
    assert [states[str(index)] for index in range(3)] == ["skipped"] * 3
    assert not office.transactions("rejected")
    assert not any(office.balances(wave.rejected).values())
    assert office.airflow.xcom(PAYROLL, "rejected", "prove")["rejected_by"] == "admin"
    assert "admin rejected the plan; nothing was signed" in office.log("rejected", "prove")
    steps = details_of(office.metadata("rejected"))
    assert {steps[agent][0] for agent in AGENTS} == {"the plan was rejected"}


def test_a_failing_agent_turns_the_run_red_and_its_siblings_work_is_kept(office, wave):
    assert office.states("faulty", "one_fails") == {
        "load": "success",
        "PaymentAgent@ethereum": "success",
        "FaultyAgent@ethereum": "failed",
        "PaymentAgent@polygon": "success",
        "prove": "failed",
    }
    assert office.balances(wave.faulty) == owed(wave.faulty)
    steps = details_of(office.metadata("faulty", "one_fails"))
    assert steps["FaultyAgent@ethereum"][0] == "the agent raised an error"
    assert steps["PaymentAgent@polygon"][1]["settled"] == 3
    log = office.log("faulty", "prove", dag="one_fails")
    assert "the task of FaultyAgent@ethereum is red" in log
    assert "Clear the red tasks to go on; nobody is paid twice" in log


def test_agents_that_an_upstream_task_chooses_run_and_are_expected(office, wave):
    assert office.airflow.wait_for_run("chosen_later", "chosen") == "success"
    assert set(office.states("chosen", "chosen_later")) == {"choose", "Ada", "Grace", "prove"}
    assert set(details_of(office.metadata("chosen", "chosen_later"))) == {"Ada", "Grace"}


def test_only_those_who_should_have_signed_anything(office, wave):
    """What these runs did to the payer's nonces: two batches by the one whose agent failed."""
    assert wave.nonces_after == wave.nonces_before | {
        chain: wave.nonces_before[chain] + 1 for chain in ("ethereum", "polygon")
    }


def test_payment_tasks_killed_again_and_again_pay_everybody_once(office):
    payroll, run = office.payroll("killed", per_chain=250), "killed"
    nonces = office.nonces()
    office.airflow.trigger(PAYROLL, payroll.conf, run_id=run)
    office.airflow.wait_for_task(PAYROLL, run, "approve", state="awaiting_input")
    office.mine(every_s=0)
    office.airflow.approve(PAYROLL, run, "approve")
    try:
        kill_twice(office, run)
    finally:
        office.mine(every_s=1)
    assert office.airflow.wait_for_run(PAYROLL, run) == "success"
    assert office.states(run) == GREEN
    assert office.balances(payroll) == owed(payroll)
    spent = {chain: office.nonces()[chain] - nonces[chain] for chain in nonces}
    assert spent == {"ethereum": 2, "polygon": 2, "arbitrum": 2}


def kill_twice(office, run):
    """Kill payment tasks while no chain makes blocks."""
    # First: with every batch signed, recorded and shown to the node, and none of them included.
    wait_for(
        "all batches are signed",
        lambda: True if len(office.transactions(run)) == 6 else None,
        timeout_s=180,
    )
    killed = kill_tasks(office)
    # Then: whoever comes next, at the moment it is there, while the dead one's lease still runs.
    wait_for("a retry", lambda: office.task_processes() or None, timeout_s=90)
    killed += kill_tasks(office)
    assert killed >= 4


def kill_tasks(office):
    """Kill -9 every task that runs now; return how many had not ended by themselves."""
    killed = 0
    for task in office.task_processes():
        with suppress(psutil.NoSuchProcess):
            task.kill()
            killed += 1
    return killed


def test_one_chain_that_does_not_answer_keeps_all_chains_from_paying(office):
    payroll, nonces = office.payroll("dead-node", per_chain=2), office.nonces()
    run = office.airflow.trigger(PAYROLL, payroll.conf, run_id="dead-node")
    office.airflow.wait_for_task(PAYROLL, run, "approve", state="awaiting_input")
    node = office.world.chains["polygon"]
    office.processes.stop(node.process)
    office.airflow.approve(PAYROLL, run, "approve")
    assert office.airflow.wait_for_run(PAYROLL, run) == "failed"
    states = office.states(run)
    assert {states[agent] for agent in AGENTS} == {"failed"}
    assert states["prove"] == "failed"
    alive = [chain for chain in office.world.chains if chain != "polygon"]
    assert office.nonces(*alive) == {chain: nonces[chain] for chain in alive}
    log = office.log(run, "pay", map_index=0)
    assert "PaymentAgent@polygon cannot commit, so PaymentAgent@ethereum signs nothing" in log
    assert node.url not in log
    steps = details_of(office.metadata(run))
    assert all(steps[agent][0] for agent in AGENTS)
    told = office.log(run, "prove")
    assert all(agent in told for agent in AGENTS)
