"""`cwf demo`: a payroll on three local chains, in Airflow, and what became of it."""

import json
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.live import Live

from airflow_cwf.cli.failure import explained
from airflow_cwf.core.errors import ConfigError

if TYPE_CHECKING:
    from airflow_cwf.localnet.airflow import LocalAirflow
    from airflow_cwf.localnet.payday import Payday, Progress
    from airflow_cwf.localnet.processes import LocalProcesses
    from airflow_cwf.localnet.world import LocalWorld

console = Console(highlight=False)


def demo(
    *,
    employees: Annotated[int, typer.Option(min=10, max=60_000, help="People to pay.")] = 1000,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave chains and Airflow up until Ctrl-C.")
    ] = False,
    ui: Annotated[bool, typer.Option("--ui/--no-ui", help="Print Airflow's address.")] = True,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the result to this file too.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where everything is written; default .demo/<time>.")
    ] = None,
) -> None:
    """Pay a payroll in USDC on three local chains, as an Airflow DAG, and verify the run.

    The file holds bad rows on purpose; the last table says what became of each. Exit status 0
    only if the run succeeded and `cwf verify` holds.
    """
    from airflow_cwf.localnet.processes import LocalProcesses

    place = folder or Path(".demo") / f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    place = place.resolve()
    with explained():
        _make(place)
        try:
            with LocalProcesses(place / "logs") as processes:
                succeeded = _run(
                    processes, place, employees=employees, keep=keep, ui=ui, json_file=json_file
                )
                if keep:
                    console.print("Everything stays up. Ctrl-C ends it.")
                    _wait(processes)
        except KeyboardInterrupt:
            console.print("Stopped; every process that the demo started has been ended.")
            raise typer.Exit(0 if keep else 130) from None
    if not succeeded:
        raise typer.Exit(1)


def _make(place: Path) -> None:
    """Make the demo's folder; a journal of other chains in it would stop every lane."""
    if place.exists() and any(place.iterdir()):
        message = f"{place} is not empty. Name another folder, or leave --folder out."
        raise ConfigError(message)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)


def _run(
    processes: "LocalProcesses",
    place: Path,
    *,
    employees: int,
    keep: bool,
    ui: bool,
    json_file: Path | None,
) -> bool:
    """Run the whole demo; return whether everything is as it should be."""
    from airflow_cwf.cli.demo_report import build_report
    from airflow_cwf.cli.demo_tables import print_report
    from airflow_cwf.localnet.payday import start_airflow
    from airflow_cwf.localnet.world import build_world, prover_place
    from airflow_cwf.wiring.prover import install_prover

    began = time.monotonic()
    install_prover(prover_place(), report=lambda step: console.print(f"  {step}"))
    console.print(
        f"Three local chains with USDC and the contract, and a file of {employees:,} people:"
    )
    world = build_world(processes, folder=place, employees=employees)
    console.print(f"  ready after {time.monotonic() - began:.0f} s. Airflow:")
    airflow = start_airflow(world, processes, home=place / "airflow")
    console.print(f"  ready after {time.monotonic() - began:.0f} s. Paying; the demo approves it.")
    if ui:
        console.print(f"  {_ui_line(airflow, keep=True)}", soft_wrap=True)
    day = _pay(world, airflow)
    verification = _verify(world, day)
    report = build_report(world, day, verification)
    report["seconds"] = round(time.monotonic() - began, 1)
    (place / "report.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    if json_file is not None:
        json_file.write_text(json.dumps(report, indent=2), encoding="utf-8")
    print_report(console, report)
    if ui:
        console.print(_ui_line(airflow, keep=keep), soft_wrap=True)
    return bool(report["ok"])


def _pay(world: "LocalWorld", airflow: "LocalAirflow") -> "Payday":
    from airflow_cwf.cli.demo_tables import progress_table
    from airflow_cwf.localnet.payday import pay
    from airflow_cwf.wiring import settings_from_environment

    payroll_id = f"{datetime.now(UTC):%Y-%m}-demo"
    chains = settings_from_environment(world.environment).chains
    natives = {name: chains[name].native for name in world.chains}
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4) as live:
            return pay(
                world,
                airflow,
                payroll_id=payroll_id,
                on_progress=lambda seen: live.update(progress_table(seen, natives)),
            )
    last = ""

    def tell(seen: "Progress") -> None:
        nonlocal last
        line = _line(seen)
        if line != last:
            console.print(line, soft_wrap=True)
            last = line

    return pay(world, airflow, payroll_id=payroll_id, on_progress=tell)


def _line(seen: "Progress") -> str:
    """Return the progress in one line, for logs."""
    running = sorted({t.task_id for t in seen.tasks if t.state in {"running", "awaiting_input"}})
    chains = [f"{name} {c.settled}/{c.items}" for name, c in seen.chains.items()]
    return f"  {', '.join(running) or 'waiting'}: {', '.join(chains) or 'nothing loaded yet'}"


def _verify(world: "LocalWorld", day: "Payday") -> dict[str, Any]:
    """Run `cwf verify` in a process of its own, as a stranger would."""
    artifact = day.result.get("artifact")
    if not artifact:
        return {"exit_code": 2, "checks": []}
    command = [sys.executable, "-m", "airflow_cwf.cli", "verify", str(artifact), "--json"]
    command += ["--trust", str(world.trust), "--dev"]
    for receipts in day.result["receipts"]:
        command += ["--receipts", str(receipts)]
    for name, node in world.chains.items():
        command += ["--rpc", f"{name}={node.url}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    try:
        return {"exit_code": done.returncode, "command": command[2:], **json.loads(done.stdout)}
    except ValueError:
        return {"exit_code": 2, "checks": [], "error": done.stderr[-500:]}


def _ui_line(airflow: "LocalAirflow", *, keep: bool) -> str:
    if not keep:
        return "To look at the run in Airflow's own pages: cwf demo --keep"
    return (
        f"Airflow's own pages: {airflow.url}/dags/cross_chain_payroll  "
        f"user {airflow.username}  password {airflow.password}"
    )


def _wait(processes: "LocalProcesses") -> None:
    while True:
        processes.require_running()
        threading.Event().wait(1)
