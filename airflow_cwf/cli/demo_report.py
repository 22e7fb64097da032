"""What `cwf demo` shows: progress while it runs, and at the end what became of whom."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from airflow_cwf.core.contracts import batch_payment_address
from airflow_cwf.core.money import format_amount
from airflow_cwf.core.schemas import WorkflowMetadata
from airflow_cwf.localnet.people import RowKind
from airflow_cwf.localnet.world import PAYER, UNITS_PER_CENT, LocalWorld

if TYPE_CHECKING:
    from airflow_cwf.localnet.payday import Payday, Progress

USDC_DECIMALS: Final = 6
NATIVE_DECIMALS: Final = 18
STATE_STYLES: Final = {"success": "green", "failed": "red", "running": "yellow"}
CHECK_STYLES: Final = {"held": "green", "false": "red", "unknown": "yellow", "not checked": "dim"}


def progress_table(seen: "Progress") -> Group:
    """Return tasks and chains as they stand, for a live display."""
    tasks = Text()
    for task in sorted(seen.tasks, key=lambda t: (t.task_id, t.map_index)):
        name = task.rendered_map_index or task.task_id
        tasks.append(f" {name} ", style=STATE_STYLES.get(task.state or "", "dim"))
    table = Table("chain", "payments", "settled", "in flight", "refused", "transactions", "fee")
    for name, chain in seen.chains.items():
        table.add_row(
            name,
            str(chain.items),
            str(chain.settled),
            str(chain.sent),
            str(chain.refused),
            str(chain.transactions),
            _coins(chain.fee_wei),
        )
    return Group(tasks, table)


def build_report(
    world: LocalWorld, day: "Payday", verification: Mapping[str, Any]
) -> dict[str, Any]:
    """Return everything that the demo found out, as plain data."""
    artifact = day.result.get("artifact")
    metadata = None if not artifact else WorkflowMetadata.from_bytes(Path(artifact).read_bytes())
    balances = check_balances(world)
    state = day.state
    return {
        "ok": state == "success" and verification["exit_code"] == 0 and not balances["wrong"],
        "run_id": day.run_id,
        "state": state,
        "workflow_id": None if metadata is None else metadata.workflow_id,
        "summary": day.loaded.get("summary"),
        "agents": []
        if metadata is None
        else [_agent(o.model_dump()) for o in metadata.agent_outputs],
        "bad_rows": _bad_rows(world, day),
        "balances": balances,
        "verify": dict(verification),
        "chains": _chains(world),
        "paths": {
            "folder": str(world.home.parent),
            "payroll": str(world.payroll_file),
            "rejected_rows": day.loaded.get("report"),
            "metadata": artifact,
            "receipts": day.result.get("receipts", []),
            "journal": str(world.home / "journal.db"),
            "airflow_home": str(world.home.parent / "airflow"),
            "logs": str(world.home.parent / "logs"),
        },
    }


def check_balances(world: LocalWorld) -> dict[str, Any]:
    """Compare every person's balance on chain with what the file owes them, to the unit.

    Reads `balanceOf` by plain JSON-RPC: none of the engine's code has a part in it.
    """
    payroll = world.payroll
    held, wrong, paid = 0, [], 0
    for name, token in world.tokens.items():
        people = [ref for ref in payroll.kinds if payroll.chains[ref] == name]
        balances = token.balances_of([payroll.addresses[ref] for ref in people])
        for reference in people:
            good = payroll.kinds[reference] is RowKind.GOOD
            owed = payroll.cents[reference] * UNITS_PER_CENT if good else 0
            found = balances[payroll.addresses[reference]]
            held += found == owed
            paid += found
            if found != owed:
                wrong.append({"reference": reference, "owed": owed, "found": found})
    return {"people": len(payroll.kinds), "exact": held, "wrong": wrong, "paid_units": paid}


def print_report(console: Console, report: Mapping[str, Any]) -> None:
    """Print the tables, the verdict, and where everything lies."""
    console.print()
    console.print(_agents_table(report["agents"]))
    console.print(_bad_rows_table(report["bad_rows"]))
    balances = report["balances"]
    paid = format_amount(balances["paid_units"], decimals=USDC_DECIMALS)
    style = "red" if balances["wrong"] else "green"
    console.print(
        f"[{style}]{balances['exact']} of {balances['people']} people hold on chain exactly what "
        f"they are owed[/], {paid} USDC in all."
    )
    for check in report["verify"]["checks"]:
        state = Text(f"{check['state']:<12}", style=CHECK_STYLES[check["state"]])
        line = Text.assemble(
            f"{check['number']:>2}  ", state, f"{check['name']:<29}{check['text']}"
        )
        console.print(line, soft_wrap=True)
    console.print(f"cwf verify: exit {report['verify']['exit_code']}; the record is not proved yet")
    console.print(f"workflow_id {report['workflow_id']}", soft_wrap=True)
    console.print(f"DAG run {report['run_id']}: {report['state']}, {report['seconds']} s in all")
    for name, place in report["paths"].items():
        shown = place if isinstance(place, str) else ", ".join(place or [])
        console.print(f"  {name:<14}{shown}", soft_wrap=True)


def _agent(output: Mapping[str, Any]) -> dict[str, Any]:
    counts = output.get("counts") or {}
    return {
        "agent_name": output["agent_name"],
        "items": counts.get("items", output.get("screened", 0)),
        "settled": counts.get("settled", 0),
        "failed": counts.get("failed", output.get("refused", 0)),
        "unresolved": counts.get("unresolved", 0),
        "reasons": counts.get("reasons", {}),
        "transactions": output.get("transactions", 0),
        "tx_hashes": output["tx_hashes"],
        "fee_gwei": int(output["gas_used"]),
        "seconds": round(output["execution_time"] / 1000, 2),
        "error": output["error"],
    }


def _bad_rows(world: LocalWorld, day: "Payday") -> list[dict[str, Any]]:
    payroll = world.payroll
    rejected = {p["reference"]: p["reason"] for p in _json_at(day.loaded.get("report"), [])}
    receipts = {
        receipt["key"].rpartition("/")[2]: receipt
        for place in day.result.get("receipts", [])
        for receipt in _json_at(place, {"receipts": []})["receipts"]
    }
    rows = []
    for kind in RowKind:
        for reference in payroll.references(kind) if kind is not RowKind.GOOD else []:
            if reference in rejected:
                outcome = f"not loaded: {rejected[reference]}"
            else:
                receipt = receipts.get(reference, {"status": "unknown", "reason": None})
                outcome = f"{receipt['status']}: {receipt['reason']}"
            rows.append(
                {
                    "reference": reference,
                    "chain": payroll.chains[reference],
                    "kind": kind.value,
                    "outcome": outcome,
                }
            )
    return rows


def _json_at(place: object, absent: Any) -> Any:  # noqa: ANN401 - JSON
    return json.loads(Path(place).read_bytes()) if isinstance(place, str) else absent


def _chains(world: LocalWorld) -> dict[str, Any]:
    from airflow_cwf.wiring import load_contract, settings_from_environment

    chains = settings_from_environment(world.environment).chains
    artifact = load_contract("BatchPayment")
    return {
        name: {
            "chain_id": node.chain_id,
            "rpc": node.url,
            "usdc": world.tokens[name].address,
            "batch_payment": batch_payment_address(chains[name], artifact),
            "payer": PAYER.address,
        }
        for name, node in world.chains.items()
    }


def _agents_table(agents: list[dict[str, Any]]) -> Table:
    table = Table(
        "agent",
        "items",
        "settled",
        "failed",
        "unresolved",
        "transactions",
        "fee",
        "time",
        title="What each agent did",
    )
    for agent in agents:
        reasons = "; ".join(f"{number} {reason}" for reason, number in agent["reasons"].items())
        table.add_row(
            agent["agent_name"],
            str(agent["items"]),
            str(agent["settled"]),
            f"{agent['failed']} ({reasons})" if reasons else str(agent["failed"]),
            str(agent["unresolved"]),
            str(agent["transactions"]),
            f"{agent['fee_gwei'] / 10**9:.6f}",
            f"{agent['seconds']:.1f} s",
        )
    return table


def _bad_rows_table(rows: list[dict[str, Any]]) -> Table:
    table = Table("reference", "chain", "on purpose", "what became of it", title="The bad rows")
    for row in rows:
        table.add_row(row["reference"], row["chain"], row["kind"], row["outcome"])
    return table


def _coins(wei: int) -> str:
    return format_amount(wei, decimals=NATIVE_DECIMALS)
