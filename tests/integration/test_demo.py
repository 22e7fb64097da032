"""`cwf demo --keep`, as a user runs it and ends it; the balances are read by other code."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

from airflow_cwf.localnet.people import RowKind, make_payroll
from airflow_cwf.localnet.processes import wait_for

pytestmark = pytest.mark.airflow

EMPLOYEES = 40
CHAINS = ("ethereum", "polygon", "arbitrum")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A demo that has paid and stays up: its folder, process, result and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    place, result, printed = folder / "world", folder / "out.json", folder / "printed"
    command = [sys.executable, "-m", "airflow_cwf.cli", "demo", "--keep", "--no-ui"]
    command += ["--employees", str(EMPLOYEES), "--folder", str(place), "--json", str(result)]
    with printed.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        wait_for(
            "the demo stays up",
            lambda: "stays up" in printed.read_text() or process.poll() is not None or None,
            timeout_s=420,
        )
        assert process.poll() is None, printed.read_text()
        yield process, json.loads(result.read_text()), printed
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=60)


def balance(url, token, account):
    call = {"to": token, "data": "0x70a08231" + account[2:].lower().rjust(64, "0")}
    request = {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [call, "latest"]}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    asked = urllib.request.Request(
        url, json.dumps(request).encode(), {"Content-Type": "application/json"}
    )
    with opener.open(asked, timeout=10) as answer:
        return int(json.load(answer)["result"], 16)


def test_the_table_equals_balances_read_by_other_code(demo):
    _, report, _ = demo
    assert report["ok"]
    payroll = make_payroll(EMPLOYEES, chains=CHAINS, seed="demo")
    agents = {agent["agent_name"]: agent for agent in report["agents"]}
    total = 0
    for chain in CHAINS:
        there = [ref for ref, name in payroll.chains.items() if name == chain]
        place = report["chains"][chain]
        held = {r: balance(place["rpc"], place["usdc"], payroll.addresses[r]) for r in there}
        good = {r: payroll.kinds[r] is RowKind.GOOD for r in there}
        assert held == {r: payroll.cents[r] * 10_000 * good[r] for r in there}
        assert agents[f"PaymentAgent@{chain}"]["settled"] == sum(good.values())
        total += sum(held.values())
    assert report["balances"]["paid_units"] == total
    assert report["balances"]["paid_people"] == len(payroll.references(RowKind.GOOD))


def test_every_bad_row_and_every_path_is_told(demo):
    _, report, _ = demo
    outcomes = {row["kind"]: row["outcome"] for row in report["bad_rows"]}
    assert outcomes["sanctioned"] == "failed: sanctioned"
    assert outcomes["blacklisted"] == "failed: blacklisted by the token"
    assert all(outcomes[kind].startswith("not loaded: ") for kind in
               ("bad_checksum", "duplicate_reference", "negative_amount"))  # fmt: skip
    for places in report["paths"].values():
        for place in places if isinstance(places, list) else [places]:
            assert Path(place).exists(), place


def test_the_output_is_plain_and_nothing_is_cut_off(demo):
    _, _, printed = demo
    text = printed.read_text()
    assert re.search(r"Paid 35 of 35 people, nobody twice or too much", text)
    assert "…" not in text
    assert "password" not in text  # --no-ui


def test_ctrl_c_ends_every_process_and_the_exit_status_is_0(demo):
    process, _, printed = demo
    family = psutil.Process(process.pid).children(recursive=True)
    names = " ".join(" ".join(one.cmdline()) for one in family)
    assert names.count("bin/anvil") == 3
    assert "scheduler" in names
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
    assert "every process that the demo started has been ended" in printed.read_text()
