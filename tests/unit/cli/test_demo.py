"""What `cwf demo` prints, from what a run has found out."""

import io
from dataclasses import dataclass, field

import pytest
from rich.console import Console
from typer.testing import CliRunner

from airflow_cwf.cli import app
from airflow_cwf.cli.demo_tables import coins, headline, print_report, progress_table

NATIVES = {"ethereum": "ETH", "polygon": "POL", "arbitrum": "ETH"}


def agent(name, native, **changes):
    return {
        "agent_name": name,
        "native": native,
        "items": 20_000,
        "settled": 19_998,
        "failed": 2,
        "unresolved": 0,
        "reasons": {"blacklisted by the token": 2},
        "transactions": 100,
        "fee_gwei": 12,
        "seconds": 123.45,
        "error": "2 of 20000 items not settled (blacklisted by the token: 2)",
    } | changes


def report(**changes):
    screened = {"settled": 0, "failed": 1, "reasons": {}, "transactions": 0, "fee_gwei": 0}
    return {
        "ok": True,
        "state": "success",
        "seconds": 48.9,
        "workflow_id": "0x" + "ab" * 32,
        "cid": "bafkrei" + "a" * 52,
        "anchor": f"0x{'cd' * 32} on eip155:137 in block 50",
        "agents": [
            agent("ComplianceAgent", None, **screened),
            *(agent(f"PaymentAgent@{chain}", native) for chain, native in NATIVES.items()),
        ],
        "bad_rows": [
            {
                "reference": "emp-00017",
                "chain": "polygon",
                "kind": "duplicate_reference",
                "outcome": "not loaded: lines 18, 102 share this reference and differ; none of "
                "them pays until exactly one is left",
            }
        ],
        "balances": {
            "paid_people": 59_994,
            "payable_people": 59_994,
            "overpaid_people": 0,
            "paid_units": 508_647_610_000,
        },
        "verify": {
            "exit_code": 0,
            "checks": [
                {"number": 3, "state": "held", "name": "steps", "text": "4 steps"},
                {"number": 8, "state": "not checked", "name": "proof", "text": "no proof"},
                {"number": 13, "state": "unknown", "name": "money", "text": "no node"},
            ],
        },
        "paths": {
            "folder": "/f",
            "logs": "/f/logs",
            "metadata": "/f/metadata.json",
            "trust": "/f/trust.json",
        },
    } | changes


def printed(shown, width, **changes):
    text = io.StringIO()
    console = Console(file=text, width=width, highlight=False)
    print_report(console, shown)
    return text.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_every_column_fits_and_nothing_is_cut_off(width):
    text = printed(report(), width)
    assert "…" not in text
    tables = text[: text.index("workflow_id")]
    assert max(len(line) for line in tables.splitlines()) <= width
    for word in ("PaymentAgent@ethereum", "20,000", "12 gwei ETH", "12 gwei POL", "123.5 s"):
        assert word in text
    assert "payments in all" in text
    assert "59,994" in text
    assert "PaymentAgent@polygon did not pay 2: blacklisted by the token" in text


def test_the_record_s_name_and_the_transaction_that_anchored_it_are_whole_on_their_lines():
    shown = report()
    lines = printed(shown, 80).splitlines()
    assert f"cid         {shown['cid']}" in lines
    assert f"anchor      {shown['anchor']}" in lines


def test_a_column_that_holds_nothing_is_left_out():
    assert " open " not in printed(report(), 100)
    stuck = [agent("PaymentAgent@polygon", "POL", unresolved=3)]
    assert " open " in printed(report(agents=stuck), 100)


def test_the_last_lines_say_what_matters_in_plain_words():
    said = "\n".join(headline(report()))
    assert "Paid 59,994 of 59,994 people, nobody twice or too much" in said
    assert "508647.61 USDC" in said
    assert "cwf verify /f/metadata.json --trust /f/trust.json --dev" in said
    assert "red" not in said


def test_a_run_that_is_not_whole_says_so_and_where_to_look():
    balances = report()["balances"] | {"paid_people": 3, "overpaid_people": 1}
    verify = {"exit_code": 1, "checks": []}
    said = "\n".join(headline(report(ok=False, state="failed", balances=balances, verify=verify)))
    assert "[bold red]Paid 3 of 59,994 people, 1 twice or too much" in said
    assert "The DAG run ended as failed" in said
    assert "/f/logs" in said
    assert "PaymentAgent@polygon: 2 of 20000 items not settled" in said
    assert "does not hold" in said


def test_a_report_without_any_agent_prints_too():
    nothing = {"workflow_id": None, "cid": None, "anchor": None}
    empty = report(agents=[], bad_rows=[], verify={"exit_code": 2, "checks": []}, **nothing)
    assert "Paid" in printed(empty, 80)


@pytest.mark.parametrize(
    ("wei", "text"),
    [
        (0, "0 ETH"),
        (12 * 10**9, "12 gwei ETH"),
        (10**13, "0.00001 ETH"),
        (1_234 * 10**15, "1.234 ETH"),
    ],
)
def test_small_fees_are_told_in_gwei(wei, text):
    assert coins(wei, "ETH") == text


@dataclass
class Task:
    task_id: str
    state: str | None
    rendered_map_index: str | None = None
    map_index: int = -1


@dataclass
class Chain:
    items: int = 10
    settled: int = 4
    sent: int = 6
    refused: int = 0
    transactions: int = 2
    fee_wei: int = 5 * 10**9


@dataclass
class Seen:
    tasks: list = field(default_factory=list)
    chains: dict = field(default_factory=dict)


def test_the_live_view_names_tasks_and_counts_payments():
    tasks = [Task("load", "success"), Task("pay", None, "0", 0), Task("pay", "running", "P@x", 1)]
    text = io.StringIO()
    Console(file=text, width=80).print(progress_table(Seen(tasks, {"polygon": Chain()}), NATIVES))
    shown = text.getvalue()
    assert "✓ load" in shown
    assert "· pay" in shown
    assert "▸ P@x" in shown
    assert "4 of 10" in shown
    assert "5 gwei POL" in shown


def test_a_folder_that_is_in_use_is_refused_before_anything_starts(tmp_path):
    (tmp_path / "cwf").mkdir()
    result = CliRunner().invoke(app, ["demo", "--folder", str(tmp_path)])
    assert result.exit_code == 1
    assert "is not empty" in result.stderr


@pytest.mark.parametrize("employees", ["9", "60001", "many"])
def test_a_payroll_without_room_for_the_bad_rows_is_a_usage_error(employees):
    assert CliRunner().invoke(app, ["demo", "--employees", employees]).exit_code == 2
