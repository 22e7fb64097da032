"""A payday in a local world: Airflow runs the payroll DAG, and somebody watches and approves."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from airflow_cwf import wiring
from airflow_cwf.core.errors import CwfError
from airflow_cwf.core.states import ItemState
from airflow_cwf.localnet.airflow import LocalAirflow
from airflow_cwf.localnet.airflow_api import FINISHED_RUN, TaskState
from airflow_cwf.localnet.processes import LocalProcesses
from airflow_cwf.localnet.world import LocalWorld

DAG_ID: Final = "cross_chain_payroll"
POLL_S: Final = 0.7
ANSWER_AFTER_S: Final = 4.0
"""Answered at once, Airflow may fail the resumed task (apache/airflow #72716)."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What the watcher sees at one moment."""

    tasks: tuple[TaskState, ...]
    chains: Mapping[str, "ChainProgress"]


@dataclass(frozen=True, slots=True)
class ChainProgress:
    """One chain's payments, as the journal counts them."""

    items: int
    settled: int
    sent: int
    refused: int
    transactions: int
    fee_wei: int


@dataclass(frozen=True, slots=True)
class Payday:
    """A finished run."""

    run_id: str
    state: str
    """`success` or `failed`, as Airflow says."""
    result: Mapping[str, Any]
    """What the aggregate stored, in a red run too: workflow_id, artifact, receipts."""
    loaded: Mapping[str, Any]
    """What loading returned."""


def start_airflow(world: LocalWorld, processes: LocalProcesses, *, home: Path) -> LocalAirflow:
    """Start an Airflow that knows the world's connections, and wait for the DAG.

    Raises:
        CwfError: a component ends, or the DAG does not load; with the text.
    """
    dags = Path(str(files("airflow_cwf").joinpath("example_dags")))
    airflow = LocalAirflow(
        home, dags_folder=dags, processes=processes, env=airflow_environment(world)
    )
    airflow.start()
    airflow.wait_healthy()
    airflow.wait_for_dag(DAG_ID)
    return airflow


def airflow_environment(world: LocalWorld) -> dict[str, str]:
    """Return Airflow's connections and options for a world, as environment variables."""
    password = Path(world.environment["CWF_SIGNER_PASSWORD_FILE"]).read_text(encoding="utf-8")
    connections = {
        "CWF_SIGNER_DEFAULT": {
            "conn_type": "cwf_signer",
            "password": password,
            "extra": {"keystore_path": world.environment["CWF_SIGNER"]},
        },
        "OFAC_DEFAULT": {
            "conn_type": "http",
            "extra": {"path": str(world.sanctions), "min_entries": 100},
        },
        **{
            f"EVM_{name.upper()}": {"conn_type": "evm", "host": node.url}
            for name, node in world.chains.items()
        },
    }
    return {
        "AIRFLOW__CWF__HOME": str(world.home),
        "AIRFLOW__CWF__ENVIRONMENT": world.environment["CWF_ENVIRONMENT"],
        "AIRFLOW__CWF__ANCHOR_CHAIN": world.environment["CWF_ANCHOR_CHAIN"],
        "AIRFLOW__CWF__PROVER_PATH": world.environment["CWF_PROVER"],
        **{f"AIRFLOW_CONN_{name}": json.dumps(value) for name, value in connections.items()},
    }


def pay(
    world: LocalWorld,
    airflow: LocalAirflow,
    *,
    payroll_id: str,
    on_progress: Callable[[Progress], None],
    answer: str = "Approve",
    timeout_s: float = 900,
) -> Payday:
    """Trigger the DAG, answer its approval some seconds after it waits, and watch it end.

    Raises:
        CwfError: Airflow dies, refuses, or takes longer than `timeout_s`.
    """
    airflow.unpause(DAG_ID)
    conf = {"source": str(world.payroll_file), "payroll_id": payroll_id}
    run_id = airflow.trigger(DAG_ID, conf)
    watch = _Watch(world, airflow, run_id=run_id, payroll_id=payroll_id, answer=answer)
    waited = 0.0
    while not watch.look(on_progress):
        if waited >= timeout_s:
            message = f"The run {run_id} is not over after {timeout_s:g} s."
            raise CwfError(message)
        threading.Event().wait(POLL_S)
        waited += POLL_S
    loaded = airflow.xcom(DAG_ID, run_id, "load")
    return Payday(
        run_id=run_id,
        state=airflow.dag_run_state(DAG_ID, run_id),
        result=stored_result(world, run_id),
        loaded=loaded if isinstance(loaded, Mapping) else {},
    )


def stored_result(world: LocalWorld, run_id: str) -> dict[str, Any]:
    """Return where a run's metadata and receipts lie; empty if none were stored.

    From the journal: the aggregate of a run that is not whole fails, and leaves no XCom.
    """
    settings = wiring.settings_from_environment(world.environment)
    journal = wiring.open_journal(settings.home, settings.journal_url)
    try:
        row = journal.runs.workflow(f"{DAG_ID}/{run_id}")
    finally:
        journal.close()
    if row is None:
        return {}
    receipts = sorted(Path(row.artifact).parent.glob("receipts-*.json"))
    return {
        "workflow_id": f"0x{row.workflow_id}",
        "artifact": row.artifact,
        "receipts": [str(place) for place in receipts],
    }


class _Watch:
    """Looks at one run, and answers its approval once."""

    def __init__(
        self, world: LocalWorld, airflow: LocalAirflow, *, run_id: str, payroll_id: str, answer: str
    ) -> None:
        self._world = world
        self._airflow = airflow
        self._run_id = run_id
        self._payroll_id = payroll_id
        self._answer = answer
        self._answering: threading.Thread | None = None

    def look(self, on_progress: Callable[[Progress], None]) -> bool:
        """Report what is seen; return whether the run is over."""
        tasks = tuple(self._airflow.task_instances(DAG_ID, self._run_id))
        on_progress(Progress(tasks, count_payments(self._world, self._payroll_id, self._run_id)))
        waits = any(t.task_id == "approve" and t.state == "awaiting_input" for t in tasks)
        if waits and self._answering is None:
            self._answering = threading.Thread(target=self._approve, daemon=True)
            self._answering.start()
        return self._airflow.dag_run_state(DAG_ID, self._run_id) in FINISHED_RUN

    def _approve(self) -> None:
        self._airflow.approve(
            DAG_ID, self._run_id, "approve", option=self._answer, after_s=ANSWER_AFTER_S
        )


def count_payments(world: LocalWorld, payroll_id: str, run_id: str) -> dict[str, ChainProgress]:
    """Return what the journal says of a payroll, by chain."""
    settings = wiring.settings_from_environment(world.environment)
    journal = wiring.open_journal(settings.home, settings.journal_url)
    found: dict[str, ChainProgress] = {}
    try:
        for name, chain in settings.chains.items():
            scopes = [s for s in journal.payments.scopes(payroll_id) if s.chain == chain.caip2]
            rows = [row for scope in scopes for row in journal.payments.items(scope.id)]
            if not rows:
                continue
            states = [row.state for row in rows]
            spent = journal.runs.spent(f"{DAG_ID}/{run_id}", f"PaymentAgent@{name}")
            found[name] = ChainProgress(
                items=len(rows),
                settled=states.count(ItemState.SETTLED),
                sent=states.count(ItemState.SENT),
                refused=states.count(ItemState.REFUSED) + states.count(ItemState.FAILED),
                transactions=spent.transactions,
                fee_wei=spent.fee,
            )
    finally:
        journal.close()
    return found
