"""What `cwf demo` found out: what became of whom, by journal, evidence and balances on chain."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_cwf.core.contracts import batch_payment_address
from airflow_cwf.core.schemas import WorkflowMetadata
from airflow_cwf.localnet.people import RowKind
from airflow_cwf.localnet.world import PAYER, UNITS_PER_CENT, LocalWorld
from airflow_cwf.wiring import load_contract, settings_from_environment

if TYPE_CHECKING:
    from airflow_cwf.localnet.payday import Payday


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
        "cid": None if metadata is None else (metadata.model_extra or {}).get("cid"),
        "anchor": _anchor(metadata),
        "summary": day.loaded.get("summary"),
        "agents": []
        if metadata is None
        else [_agent(o.model_dump(), world) for o in metadata.agent_outputs],
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
            "car": str(Path(artifact).with_name("record.car")) if artifact else None,
            "trust": str(world.trust),
            "report": str(world.home.parent / "report.json"),
            "journal": str(world.home / "journal.db"),
            "airflow_home": str(world.home.parent / "airflow"),
            "logs": str(world.home.parent / "logs"),
        },
    }


def _anchor(metadata: WorkflowMetadata | None) -> str | None:
    """Return the append that anchored the run: transaction, chain, block."""
    anchor = None if metadata is None else (metadata.model_extra or {}).get("anchor")
    if not isinstance(anchor, Mapping):
        return None
    return f"{anchor['tx_hash']} on {anchor['chain']} in block {anchor['block']}"


def check_balances(world: LocalWorld) -> dict[str, Any]:
    """Compare every person's balance on chain with what the file owes them, to the unit.

    Reads `balanceOf` by plain JSON-RPC: none of the engine's code has a part in it.
    """
    payroll = world.payroll
    held, paid, paid_people = 0, 0, 0
    wrong: list[dict[str, Any]] = []
    for name, token in world.tokens.items():
        people = [ref for ref in payroll.kinds if payroll.chains[ref] == name]
        balances = token.balances_of([payroll.addresses[ref] for ref in people])
        for reference in people:
            good = payroll.kinds[reference] is RowKind.GOOD
            owed = payroll.cents[reference] * UNITS_PER_CENT if good else 0
            found = balances[payroll.addresses[reference]]
            held += found == owed
            paid += found
            paid_people += good and found == owed
            if found != owed:
                wrong.append({"reference": reference, "owed": owed, "found": found})
    return {
        "people": len(payroll.kinds),
        "exact": held,
        "wrong": wrong,
        "paid_units": paid,
        "payable_people": len(payroll.references(RowKind.GOOD)),
        "paid_people": paid_people,
        "overpaid_people": sum(row["found"] > row["owed"] for row in wrong),
    }


def _agent(output: Mapping[str, Any], world: LocalWorld) -> dict[str, Any]:
    counts = output.get("counts") or {}
    chains = settings_from_environment(world.environment).chains.values()
    natives = {chain.caip2: chain.native for chain in chains}
    return {
        "agent_name": output["agent_name"],
        "native": natives.get(output.get("chain") or ""),
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
            elif reference in receipts:
                outcome = f"{receipts[reference]['status']}: {receipts[reference]['reason']}"
            else:
                outcome = "unknown: the run left no receipt of it"
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
