import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner
from upath import UPath

from airflow_cwf.cli.payroll import payroll

ROOT = Path(__file__).parents[3]
VECTORS = ROOT / "tests/vectors/payments"


def run(*arguments):
    return CliRunner().invoke(payroll, ["check", *map(str, arguments)], env={"COLUMNS": "160"})


def test_a_clean_file_exits_with_0_and_shows_sums():
    result = run(VECTORS / "good.csv")
    assert result.exit_code == 0, result.output
    assert "polygon" in result.output
    assert "2500.5" in result.output
    assert "3 rows: 3 would pay, 0 would not." in result.output


def test_reported_rows_exit_with_1_and_show_line_reference_and_reason():
    result = run(VECTORS / "conflicting-rows.csv")
    assert result.exit_code == 1
    assert "emp-1" in result.output
    assert "lines 2, 4 share this reference" in result.output


@pytest.mark.parametrize("name", ["empty.csv", "missing-columns.csv", "absent.csv", "."])
def test_an_unreadable_file_exits_with_2_and_says_why(name):
    result = run(VECTORS / name)
    assert result.exit_code == 2
    assert result.stderr
    assert not result.stdout


def test_json_holds_everything():
    result = run(VECTORS / "conflicting-rows.csv", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["ok"] is False
    assert (report["rows"], report["payments"]) == (3, 1)
    assert report["sums"] == [
        {"chain": "ethereum", "token": "USDC", "payments": 1, "amount": "100"}
    ]
    assert [problem["line"] for problem in report["problems"]] == [2, 4]
    assert report["problems"][0]["code"] == "conflicting_reference"


def test_json_of_an_unreadable_file_is_json_too():
    result = run(VECTORS / "empty.csv", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout) == {"ok": False, "error": json.loads(result.stdout)["error"]}


def test_only_the_first_50_problems_are_shown_and_json_has_all(tmp_path):
    rows = [f"emp-{n},ethereum,0x12,5,USDC" for n in range(60)]
    path = tmp_path / "bad.csv"
    path.write_text("\n".join(["reference,chain,address,amount,currency", *rows]))
    shown = run(path).output
    assert "emp-49" in shown
    assert "emp-50" not in shown
    assert "+10 more" in shown
    assert len(json.loads(run(path, "--json").stdout)["problems"]) == 60


def test_brackets_in_a_file_are_not_markup(tmp_path):
    path = tmp_path / "bad.csv"
    row = "[red]emp[/red],ethereum,0x12,5,USDC"
    path.write_text(f"reference,chain,address,amount,currency\n{row}\n")
    assert "[red]emp[/red]" in run(path).output


def test_a_chain_table_of_ones_own_adds_a_chain(tmp_path):
    table = {"local": {"caip2": "eip155:31337", "tokens": {"USDC": None}}}
    table["local"]["tokens"]["USDC"] = {"address": "0x" + "c0" * 20, "decimals": 6}
    (tmp_path / "chains.json").write_text(json.dumps(table))
    row = f"emp-1,local,0x{'a1' * 20},5,USDC"
    path = tmp_path / "p.csv"
    path.write_text(f"reference,chain,address,amount,currency\n{row}\n")
    assert run(path).exit_code == 1
    assert run(path, "--chains", tmp_path / "chains.json").exit_code == 0


def test_checking_needs_neither_web3_nor_airflow():
    program = (
        "import sys\n"
        "from airflow_cwf.cli.payroll import payroll\n"
        "try:\n"
        f"    payroll(['check', {str(VECTORS / 'good.csv')!r}])\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "assert not {'web3', 'airflow', 'eth_account'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_file_over_the_bound_is_not_even_read(tmp_path):
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.truncate(64 * 1024 * 1024 + 1)
    result = run(path)
    assert result.exit_code == 2
    assert "larger than 64 MiB" in result.stderr


def test_a_chain_table_that_is_absent_is_not_passed_over():
    assert run(VECTORS / "good.csv", "--chains", "absent.json").exit_code == 2


def test_a_file_in_a_store_is_checked_by_its_uri():
    UPath("memory://hr/payroll.csv").write_bytes((VECTORS / "good.csv").read_bytes())
    assert run("memory://hr/payroll.csv").exit_code == 0
