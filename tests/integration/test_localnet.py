"""Local chains, Circle's token on them, made-up people, and the ending of child processes."""

import csv
import io
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from airflow_cwf.core.addresses import AddressError, parse_evm_address
from airflow_cwf.core.development import DEVELOPMENT_ACCOUNTS
from airflow_cwf.core.errors import ConfigError, CwfError
from airflow_cwf.core.screening import parse_sdn
from airflow_cwf.localnet.anvil import DEV_ACCOUNTS, LocalChain, find_anvil, start_anvil
from airflow_cwf.localnet.people import (
    BAD_KINDS,
    RowKind,
    made_up_address,
    make_payroll,
    make_sanctions_files,
)
from airflow_cwf.localnet.processes import LocalProcesses, wait_for
from airflow_cwf.localnet.tokens import connect, deploy_usdc

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""
# A program with a child in a process group of its own, as Airflow's tasks are.
NESTED = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], process_group=0)
print(child.pid, flush=True)
child.wait()
"""
OWNER = """
import sys
from contextlib import suppress
from pathlib import Path
from airflow_cwf.localnet.processes import LocalProcesses
with LocalProcesses(Path(sys.argv[1])) as processes:
    child = processes.start("nested", [sys.executable, "-c", sys.argv[2]])
    print(child.pid, flush=True)
    child.popen.wait()
"""


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text() if Path("/proc").is_dir() else None
        os.kill(pid, 0)
    except (ProcessLookupError, FileNotFoundError):
        return False
    return stat is None or stat.rpartition(")")[2].split()[0] != "Z"


def printed_number(log: Path) -> int:
    return wait_for("it printed", lambda: int(log.read_text() or 0) or None, timeout_s=10)


def gone(pid: int) -> bool:
    return wait_for("it is gone", lambda: True if not is_alive(pid) else None, timeout_s=15)


@pytest.fixture
def owner(tmp_path):
    """A program that owns a group of two processes; yields it and their pids."""
    command = [sys.executable, "-c", OWNER, str(tmp_path), NESTED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        child = int(program.stdout.readline())
        yield program, (child, printed_number(tmp_path / "nested.log"))
        program.kill()


def test_leaving_the_block_ends_a_program_and_the_children_of_that_program(tmp_path):
    with LocalProcesses(tmp_path) as processes:
        child = processes.start("nested", [sys.executable, "-c", NESTED])
        grandchild = printed_number(child.log)
        assert is_alive(grandchild)
    assert gone(child.pid)
    assert gone(grandchild)


def test_an_exception_in_the_block_ends_the_programs(tmp_path):
    processes = LocalProcesses(tmp_path)
    with suppress(KeyboardInterrupt), processes:
        child = processes.start("sleeper", SLEEPER)
        raise KeyboardInterrupt
    assert gone(child.pid)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_program_outlives_an_owner_that_is_killed(owner, how):
    program, pids = owner
    program.send_signal(how)
    assert all(gone(pid) for pid in pids)


def test_a_program_that_ignores_sigterm_is_killed(tmp_path):
    with LocalProcesses(tmp_path) as processes:
        child = processes.start("stubborn", [sys.executable, "-c", STUBBORN])
        wait_for("it is ready", lambda: child.log_tail() or None, timeout_s=10)
        processes.stop(child, grace_s=0.2)
        assert child.popen.returncode == -signal.SIGKILL


def test_a_program_that_ends_by_itself_is_reported_with_its_last_words(tmp_path):
    with LocalProcesses(tmp_path) as processes:
        child = processes.start("brief", [sys.executable, "-c", "print('no disk'); exit(3)"])
        child.popen.wait()
        with pytest.raises(CwfError, match=r"`brief` ended by itself \(exit code 3\)[^$]*no disk"):
            processes.require_running()


def test_the_payroll_holds_each_kind_of_row_once_and_is_the_same_for_the_same_seed():
    chains = ("ethereum", "polygon", "arbitrum")
    payroll = make_payroll(200, chains=chains, seed="july")
    assert payroll.csv == make_payroll(200, chains=chains, seed="july").csv
    assert payroll.csv != make_payroll(200, chains=chains, seed="june").csv
    assert {kind: len(payroll.references(kind)) for kind in BAD_KINDS} == dict.fromkeys(
        BAD_KINDS, 1
    )
    rows = list(csv.DictReader(io.StringIO(payroll.csv.decode())))
    assert len(rows) == 201
    assert len({row["address"] for row in rows}) == 200
    for row in rows:
        kind = payroll.kinds[row["reference"]]
        if kind is RowKind.BAD_CHECKSUM:
            with pytest.raises(AddressError, match="checksum"):
                parse_evm_address(row["address"])
        else:
            assert parse_evm_address(row["address"])
        assert row["amount"].startswith("-") == (kind is RowKind.NEGATIVE_AMOUNT)
    good = [row for row in rows if payroll.kinds[row["reference"]] is RowKind.GOOD]
    paid = sum(int(row["amount"].replace(".", "")) for row in good)
    assert paid == sum(payroll.total_cents(chain=chain) for chain in chains)
    assert all(80_000 <= int(row["amount"].replace(".", "")) <= 950_000 for row in good)


def test_the_sanctions_files_parse_whole_and_only_both_together_hold_the_cut_address():
    listed = [made_up_address("sdn", str(number)) for number in range(3)]
    sdn, comments = make_sanctions_files(listed)
    whole = parse_sdn(sdn, comments, published=0, source="made up", min_entries=120)
    assert whole.addresses == {address.lower() for address in listed}
    assert (whole.entries, whole.malformed) == (123, ())
    assert listed[-1].encode() not in sdn


def test_the_published_keys_belong_to_the_published_accounts():
    from eth_account import Account

    for account in DEV_ACCOUNTS:
        assert Account.from_key(account.private_key).address == account.address
    assert {account.address.lower() for account in DEV_ACCOUNTS} == DEVELOPMENT_ACCOUNTS


def test_a_node_elsewhere_is_refused():
    with pytest.raises(ConfigError, match=r"refuse the host 'mainnet\.example'"):
        LocalChain("ethereum", 1, "http://mainnet.example:8545/v3/token", process=None)


def test_a_named_anvil_that_does_not_exist_is_reported(monkeypatch, tmp_path):
    monkeypatch.setenv("CWF_ANVIL", str(tmp_path / "anvil"))
    with pytest.raises(ConfigError, match="CWF_ANVIL names"):
        find_anvil()


@pytest.fixture(scope="module")
def polygon(tmp_path_factory):
    with LocalProcesses(tmp_path_factory.mktemp("logs")) as processes:
        yield start_anvil(processes, chain_id=137, name="polygon")


@pytest.fixture(scope="module")
def usdc(polygon):
    return deploy_usdc(polygon)


@pytest.mark.chain
def test_the_chain_serves_its_id_and_finalizes_a_few_blocks_behind_the_head(polygon):
    web3 = connect(polygon)
    assert web3.eth.chain_id == 137

    def near() -> bool | None:
        behind = web3.eth.block_number - web3.eth.get_block("finalized")["number"]
        return True if web3.eth.block_number > 4 and behind <= 3 else None

    assert wait_for("blocks are final", near, timeout_s=10)


@pytest.mark.chain
def test_many_balances_are_read_in_batches(usdc):
    accounts = [made_up_address("balances", str(number)) for number in range(1_200)]
    usdc.mint(accounts[700], 7)
    assert usdc.balances_of(accounts) == {**dict.fromkeys(accounts, 0), accounts[700]: 7}


@pytest.mark.chain
def test_a_blacklisted_payee_and_a_paused_token_refuse_transfers(usdc):
    from web3.exceptions import ContractLogicError

    payee = made_up_address("payee", "1")
    transfer = usdc.contract.functions.transfer(payee, 0)
    usdc.blacklist(payee)
    with pytest.raises(ContractLogicError, match="blacklisted"):
        transfer.call()
    usdc.unblacklist(payee)
    usdc.pause()
    with pytest.raises(ContractLogicError, match="paused"):
        transfer.call()
    usdc.unpause()
    assert transfer.call()
