"""Gas per payment through BatchPayment, next to single transfers in the same run.

    python benchmarks/batch_gas.py            a table
    python benchmarks/batch_gas.py --json     the same figures for a machine

A fresh anvil, Circle's own FiatTokenV2_2 bytecode behind its own proxy, the computed gas limit.
The first batch of a scope also pays for binding its digest and for opening a bitmap word.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from airflow_cwf.core.batch_outcomes import decode_outcome  # noqa: E402
from airflow_cwf.core.batches import BatchItem, PayCall, encode_pay, gas_limit  # noqa: E402
from contracts.test.dev_chain import DevChain, calldata, dev_chain, logs_of  # noqa: E402

SIZES: Final = (1, 10, 50, 100, 200)
ARTIFACT: Final = ROOT / "airflow_cwf" / "data" / "contracts" / "BatchPayment.json"
DIGEST: Final = b"\xd1" * 32


@dataclass(frozen=True)
class Case:
    """What one batch looks like."""

    items: int
    recipients: str
    """`existing` (they hold the token already) or `new`."""
    indexes: str = "contiguous"
    """`contiguous`, or `scattered`: each in a bitmap word of its own."""
    batch: str = "first"
    """`first` of its scope, or a `later` one whose bitmap word is in use already."""


@dataclass(frozen=True)
class Row:
    """One measurement; gas units."""

    case: Case
    gas_per_payment: int
    single_transfer: int
    gas_limit: int

    @property
    def saved_percent(self) -> float:
        """How much of the single transfer's gas is saved."""
        return round(100 * (1 - self.gas_per_payment / self.single_transfer), 1)


class Bench:
    """One payer on one chain who pays out Circle's token."""

    def __init__(self, chain: DevChain, lock: str) -> None:
        self.chain, self.lock = chain, lock
        self.token = chain.deploy_circle()
        self.payer = chain.accounts[1]
        self._used = 0
        chain.transact(self.token, "mint(address,uint256)", self.payer, 10**15)
        approve = "approve(address,uint256)"
        chain.transact(self.token, approve, lock, 2**255, sender=self.payer)

    def single(self, recipients: str) -> int:
        """Return the gas of one plain `transfer`."""
        (payee,) = self._payees(1, recipients)
        data = calldata("transfer(address,uint256)", payee, 10**6)
        return _gas_used(self.chain.send(self.token, data, sender=self.payer))

    def batch(self, case: Case, *, single_transfer: int) -> Row:
        """Pay one batch in a scope of its own."""
        scope = self._used.to_bytes(32)
        stride = 1 if case.indexes == "contiguous" else 256
        if case.batch == "later":
            (payee,) = self._payees(1, "new")
            self._pay((BatchItem(255, payee, 1),), scope)
        items = tuple(
            BatchItem(stride * place, payee, 10**6 + place)
            for place, payee in enumerate(self._payees(case.items, case.recipients))
        )
        used, limit = self._pay(items, scope)
        return Row(case, used // case.items, single_transfer, limit)

    def _pay(self, items: tuple[BatchItem, ...], scope: bytes) -> tuple[int, int]:
        """Pay, see that every item was paid, and return gas used and gas limit."""
        call = PayCall(self.token, scope, DIGEST, atomic=False, items=items)
        data = encode_pay(call)
        limit = gas_limit(items, calldata=data)
        receipt = self.chain.send(self.lock, data, sender=self.payer, gas=limit)
        outcome = decode_outcome(logs_of(receipt), contract=self.lock, payer=self.payer, call=call)
        if len(outcome.paid) != len(items):
            message = f"only {len(outcome.paid)} of {len(items)} items were paid"
            raise AssertionError(message)
        return _gas_used(receipt), limit

    def _payees(self, count: int, recipients: str) -> list[str]:
        start = 0xA11C_E000_0000_0000_0000_0000_0000_0000_0000_0000 + self._used
        self._used += count
        payees = [f"0x{start + place:040x}" for place in range(count)]
        if recipients == "existing":
            for payee in payees:
                self.chain.transact(self.token, "mint(address,uint256)", payee, 5)
        return payees


def measure(bench: Bench, sizes: Sequence[int] = SIZES) -> list[Row]:
    """Run all cases."""
    rows = []
    for recipients in ("existing", "new"):
        single = bench.single(recipients)
        cases = [Case(size, recipients) for size in sizes]
        cases.append(Case(1, recipients, batch="later"))
        cases.append(Case(max(sizes), recipients, indexes="scattered"))
        rows += [bench.batch(case, single_transfer=single) for case in cases]
    return rows


def conditions(chain: DevChain, artifact: dict[str, Any]) -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "node": chain.rpc("web3_clientVersion"),
        "hardfork": chain.rpc("anvil_nodeInfo")["hardFork"],
        "compiler": artifact["compiler"],
        "settings": artifact["settings"],
        "token": "Circle FiatTokenV2_2 behind FiatTokenProxy",
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    as_json = parser.parse_args().json
    artifact = json.loads(ARTIFACT.read_text(encoding="utf-8"))
    with dev_chain() as chain:
        rows = measure(Bench(chain, chain.deploy(artifact["bytecode"])))
        about = conditions(chain, artifact)
    if as_json:
        figures = [asdict(row) | {"saved_percent": row.saved_percent} for row in rows]
        print(json.dumps({"conditions": about, "rows": figures}, indent=2))
    else:
        _print_table(rows, about)


def _print_table(rows: Sequence[Row], about: dict[str, Any]) -> None:
    table = Table(title="Gas per payment: BatchPayment against a single transfer")
    for heading in ("items", "payees", "indexes", "batch", "gas each", "single", "saved", "limit"):
        table.add_column(heading, justify="right")
    for row in rows:
        figures = (f"{row.gas_per_payment:,}", f"{row.single_transfer:,}")
        ends = (f"{row.saved_percent} %", f"{row.gas_limit:,}")
        case = row.case
        table.add_row(str(case.items), case.recipients, case.indexes, case.batch, *figures, *ends)
    console = Console(width=100)
    console.print(table)
    for name, value in about.items():
        console.print(f"{name}: {value}", highlight=False)


def _gas_used(receipt: dict[str, Any]) -> int:
    if receipt["status"] != "0x1":
        raise AssertionError("a transaction reverted")
    return int(receipt["gasUsed"], 16)


if __name__ == "__main__":
    main()
