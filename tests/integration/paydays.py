"""A world with an Airflow in it, payrolls to pay there, and eyes of its own on the chains."""

import asyncio
import csv
import json
import sqlite3
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from airflow_cwf import wiring
from airflow_cwf.actions.deploy import allow_batch_payment
from airflow_cwf.core.contracts import anchor_address
from airflow_cwf.localnet.airflow import LocalAirflow
from airflow_cwf.localnet.payday import airflow_environment
from airflow_cwf.localnet.people import COLUMNS, made_up_address
from airflow_cwf.localnet.processes import LocalProcesses, wait_for
from airflow_cwf.localnet.world import DEPLOYER, PAYER, LocalWorld, build_world, prover_place
from airflow_cwf.wiring.prover import install_prover

ROOT = Path(__file__).parents[2]
PAYROLL = "cross_chain_payroll"
PLENTY = 10**15

ONE_FAILS = """
from airflow.sdk import chain, dag
from airflow_cwf.agents import PaymentAgent
from airflow_cwf.operators.agent import ConcurrentAgentOperator
from airflow_cwf.operators.payments import LoadPaymentsOperator
from airflow_cwf.operators.workflow import AggregateWorkflowOperator
from faulty_agents import FaultyAgent

@dag(schedule=None)
def one_fails():
    load = LoadPaymentsOperator(
        task_id="load", source="{{ params.source }}", payroll_id="{{ params.payroll_id }}"
    )
    pay = ConcurrentAgentOperator.for_agents(
        task_id="pay", task=load.output,
        agents=[PaymentAgent(chain="ethereum"), FaultyAgent(required=False),
                PaymentAgent(chain="polygon")],
    )
    chain(pay, AggregateWorkflowOperator(task_id="prove", outputs=[pay.output]))

one_fails()
"""
CHOSEN_LATER = """
from airflow.sdk import chain, dag, task
from airflow_cwf.operators.agent import ConcurrentAgentOperator
from airflow_cwf.operators.workflow import AggregateWorkflowOperator

@dag(schedule=None)
def chosen_later():
    @task
    def choose():
        from faulty_agents import QuietAgent
        return [QuietAgent(agent_name=name).spec() for name in ("Ada", "Grace")]

    work = ConcurrentAgentOperator.for_agents(task_id="work", agents=choose(), task="label")
    chain(work, AggregateWorkflowOperator(task_id="prove", outputs=[work.output]))

chosen_later()
"""
FAULTY_AGENT = '''
from airflow_cwf.agents import BaseAgent

class QuietAgent(BaseAgent):
    """Does nothing, well."""

    def execute(self, task, *, gas_price=None):
        return None

class FaultyAgent(BaseAgent):
    """Has a mistake in it."""

    def execute(self, task, *, gas_price=None):
        return {}["the word that only the log may hold"]
'''


@dataclass(frozen=True)
class Person:
    """A row of a payments file."""

    reference: str
    chain: str
    address: str
    amount: str
    subject: str

    @property
    def units(self) -> int:
        """What they are owed, 10^-6 USDC."""
        whole, _, rest = self.amount.partition(".")
        return int(whole) * 10**6 + int(rest.ljust(6, "0"))


@dataclass(frozen=True)
class Payroll:
    """A payments file of good rows only."""

    id: str
    file: Path
    people: tuple[Person, ...]

    @property
    def conf(self) -> dict[str, str]:
        """Params of a run that pays it."""
        return {"source": str(self.file), "payroll_id": self.id}


@dataclass(frozen=True)
class Office:
    """A local world, an Airflow that knows it, and the folder both live in."""

    folder: Path
    world: LocalWorld
    airflow: LocalAirflow
    processes: LocalProcesses

    def payroll(self, name: str, *, per_chain: int, chains: tuple[str, ...] = ()) -> Payroll:
        """Write a payments file; every name, address and amount in it is unmistakable."""
        people = tuple(
            Person(
                reference=f"zz-{name}-{chain}-{number}",
                chain=chain,
                address=made_up_address(name, f"{chain}/{number}"),
                amount=f"{7310 + number}.{91 + len(chain)}{len(name) % 10}{number:03d}",
                subject=f"Ottilie Geheim {name} {number}",
            )
            for chain in chains or tuple(self.world.chains)
            for number in range(per_chain)
        )
        place = self.folder / f"{name}.csv"
        with place.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(COLUMNS)
            rows.writerows(
                (p.reference, p.chain, p.address, p.amount, "USDC", p.subject) for p in people
            )
        return Payroll(f"2026-07-{name}", place, people)

    def balances(self, payroll: Payroll) -> dict[str, int]:
        """Return what each person holds, by reference; asked without any of the engine's code."""
        found = {}
        for chain in {person.chain for person in payroll.people}:
            there = [person for person in payroll.people if person.chain == chain]
            token = self.world.tokens[chain].address
            calls = [
                (
                    "eth_call",
                    [{"to": token, "data": "0x70a08231" + p.address[2:].rjust(64, "0")}, "latest"],
                )
                for p in there
            ]
            answers = self.rpc(chain, calls)
            found |= {p.reference: int(a, 16) for p, a in zip(there, answers, strict=True)}
        return found

    def nonces(self, *chains: str) -> dict[str, int]:
        """Return how many transactions the payer has sent beside appends to its log, by chain."""
        return {chain: self._signed(chain) for chain in chains or self.world.chains}

    def _signed(self, chain: str) -> int:
        anchor = anchor_address(wiring.load_contract("WorkflowAnchor"))
        count, appends = self.rpc(
            chain,
            [
                ("eth_getTransactionCount", [PAYER.address, "latest"]),
                ("eth_getLogs", [{"address": anchor, "fromBlock": "0x0", "toBlock": "latest"}]),
            ],
        )
        return int(count, 16) - len(appends)

    def rpc(self, chain: str, calls: list[tuple[str, list[object]]]) -> list[str]:
        """Call a node, all in one batch."""
        body = [
            {"jsonrpc": "2.0", "id": i, "method": method, "params": params}
            for i, (method, params) in enumerate(calls)
        ]
        request = urllib.request.Request(
            self.world.chains[chain].url,
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            return [one["result"] for one in sorted(json.load(answer), key=lambda one: one["id"])]

    def mine(self, *, every_s: int) -> None:
        """Set the block time of all chains; 0 stops them."""
        for chain in self.world.chains:
            self.rpc(chain, [("evm_setIntervalMining", [every_s])])

    def states(self, run: str, dag: str = PAYROLL) -> dict[str, str | None]:
        """Return the state of each task of a run, mapped ones by the agent's name."""
        tasks = self.airflow.task_instances(dag, run)
        return {task.rendered_map_index or task.task_id: task.state for task in tasks}

    def metadata(self, run: str, dag: str = PAYROLL) -> dict[str, object]:
        """Return the metadata that the journal names for a run, as stored."""
        with sqlite3.connect(self.world.home / "journal.db") as journal:
            rows = journal.execute(
                "select artifact from workflows where run = ? order by created_at", [f"{dag}/{run}"]
            ).fetchall()
        return json.loads(Path(rows[-1][0]).read_bytes()) | {"versions": len(rows)}

    def run_payroll(self, payroll: Payroll, *, run_id: str, answer: str = "Approve") -> str:
        """Run the payroll DAG to its end and return the run's id."""
        self.airflow.trigger(PAYROLL, payroll.conf, run_id=run_id)
        self.airflow.approve(PAYROLL, run_id, "approve", option=answer)
        self.airflow.wait_for_run(PAYROLL, run_id)
        return run_id

    def task_processes(self) -> list[psutil.Process]:
        """Return the processes in which tasks run now: children of the executor's workers."""
        scheduler = next(
            child for child in self.processes._children if child.name == "airflow-scheduler"
        )
        with suppress(psutil.NoSuchProcess):
            workers = psutil.Process(scheduler.pid).children()
            return [task for worker in workers for task in worker.children()]
        return []

    def transactions(self, run: str, dag: str = PAYROLL) -> list[tuple[str, str]]:
        """Return chain and state of each transaction that the journal holds for a run."""
        with sqlite3.connect(self.world.home / "journal.db") as journal:
            return journal.execute(
                "select chain, state from transactions where run = ?", [f"{dag}/{run}"]
            ).fetchall()

    def log(
        self, run: str, task: str, *, dag: str = PAYROLL, map_index: int = -1, try_number: int = 1
    ) -> str:
        """Return a task's log."""
        return self.airflow.task_log(dag, run, task, map_index=map_index, try_number=try_number)


def open_office(folder: Path, processes: LocalProcesses) -> Office:
    """Build the world, give the treasury plenty, and start an Airflow with the DAGs."""
    install_prover(prover_place(), report=print)
    world = build_world(processes, folder=folder, employees=60, seed="integration")
    asyncio.run(_fill_treasury(world))
    dags = folder / "dags"
    dags.mkdir()
    text = (ROOT / "dags" / f"{PAYROLL}.py").read_text()
    for there, here in {
        "seconds=15": "seconds=1",
        "max_active_runs=1": "max_active_runs=4",
    }.items():
        assert there in text
        text = text.replace(there, here)
    (dags / f"{PAYROLL}.py").write_text(text)
    (dags / "one_fails.py").write_text(ONE_FAILS)
    (dags / "chosen_later.py").write_text(CHOSEN_LATER)
    (dags / "faulty_agents.py").write_text(FAULTY_AGENT)
    airflow = LocalAirflow(
        folder / "airflow", dags_folder=dags, processes=processes, env=airflow_environment(world)
    )
    airflow.start()
    airflow.wait_healthy()
    for dag in (PAYROLL, "one_fails", "chosen_later"):
        airflow.wait_for_dag(dag)
        airflow.unpause(dag)
    return Office(folder, world, airflow, processes)


async def _fill_treasury(world: LocalWorld) -> None:
    submitter = wiring.private_key_signer(DEPLOYER.private_key)
    async with wiring.runtime(wiring.settings_from_environment(world.environment)) as runtime:
        for name, token in world.tokens.items():
            token.mint(PAYER.address, PLENTY)
            await allow_batch_payment(
                name,
                token=runtime.chains[name].token("USDC"),
                amount=PLENTY,
                submitter=submitter,
                runtime=runtime,
            )


def owed(payroll: Payroll) -> Mapping[str, int]:
    """Return what everybody must hold when all are paid once."""
    return {person.reference: person.units for person in payroll.people}


__all__ = ["PAYROLL", "Office", "Payroll", "Person", "open_office", "owed", "wait_for"]
