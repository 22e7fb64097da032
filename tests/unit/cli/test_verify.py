"""The command: lines for people, JSON for programs, exit codes for scripts."""

import json

import pytest
import typer
from typer.testing import CliRunner

from airflow_cwf.cli.verify import verify
from airflow_cwf.core.evidence.canonical import canonical_bytes
from airflow_cwf.core.evidence.car import record_car
from airflow_cwf.core.evidence.record import record_of
from tests.fakes.evidence import PAYER, metadata
from tests.fakes.proved import TRUST_FILE, as_bytes, whole

MADE = metadata()


@pytest.fixture
def app():
    made = typer.Typer()
    made.command()(verify)
    return made


@pytest.fixture
def run(app):
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def files(tmp_path):
    (tmp_path / "metadata.json").write_bytes(MADE.data)
    for number, data in enumerate(MADE.receipts_files):
        (tmp_path / f"receipts-{number}.json").write_bytes(data)
    return tmp_path


def test_thirteen_lines_and_a_verdict_are_printed(run, files):
    result = run(files / "metadata.json", "--offline")
    lines = result.output.splitlines()
    assert [line.split()[0] for line in lines[:13]] == [str(number) for number in range(1, 14)]
    assert MADE.workflow_id in lines[13]
    assert MADE.core_digest in lines[14]
    assert "ETH, POL: a checksum" in lines[15]
    assert "NOT YET PROVED" in lines[16]
    assert len(lines) == 17
    assert result.exit_code == 0


def test_json_is_the_report(run, files):
    receipts = [part for n in range(3) for part in ("--receipts", files / f"receipts-{n}.json")]
    result = run(files / "metadata.json", "--json", "--offline", *receipts)
    data = json.loads(result.output)
    assert data["workflow_id"] == MADE.workflow_id
    assert data["checks"][9]["state"] == "held"
    assert PAYER[2:] not in result.output


def test_false_evidence_exits_1(run, files):
    (files / "metadata.json").write_bytes(MADE.data[:-1])
    result = run(files / "metadata.json")
    assert result.exit_code == 1
    assert "FALSE" in result.output


def test_receipts_without_a_node_exit_2(run, files):
    result = run(files / "metadata.json", "--receipts", files / "receipts-1.json")
    assert result.exit_code == 2
    assert "UNKNOWN" in result.output


def test_a_missing_file_exits_2_in_one_line(run, files):
    result = run(files / "absent.json")
    assert result.exit_code == 2
    assert len(result.output.splitlines()) == 1


def test_an_endless_file_is_refused(run):
    result = run("/dev/zero")
    assert result.exit_code == 1
    assert "16777216 bytes" in result.output


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9/token", "nowhere=http://127.0.0.1/token"])
def test_a_node_without_its_chain_exits_2_and_its_url_stays_unsaid(run, files, endpoint):
    result = run(files / "metadata.json", "--rpc", endpoint)
    assert result.exit_code == 2
    assert "ethereum" in result.output
    assert "token" not in result.output


def test_a_node_that_does_not_answer_is_unknown_and_its_url_stays_unsaid(run, files):
    nodes = [
        part
        for name in ("ethereum", "eip155:137")
        for part in ("--rpc", f"{name}=http://127.0.0.1:9/token")
    ]
    result = run(files / "metadata.json", "--receipts", files / "receipts-1.json", *nodes)
    assert result.exit_code == 2
    assert "eip155:1 gave no usable answer" in result.output
    assert "token" not in result.output
    assert "127.0.0.1" not in result.output


def test_a_broken_chain_table_exits_2(run, files, tmp_path, monkeypatch):
    table = tmp_path / "chains.json"
    table.write_text("[")
    monkeypatch.setenv("CWF_CHAINS_FILE", str(table))
    result = run(files / "metadata.json", "--rpc", "ethereum=http://127.0.0.1:9")
    assert result.exit_code == 2


# Proved runs


@pytest.fixture
def evidence_files(tmp_path):
    made = whole()
    record = canonical_bytes(record_of(made.metadata))
    (tmp_path / "trust.json").write_bytes(TRUST_FILE)
    (tmp_path / "metadata.json").write_bytes(as_bytes(made.metadata))
    (tmp_path / "record.json").write_bytes(record)
    (tmp_path / "record.car").write_bytes(record_car(record))
    (tmp_path / "batch.car").write_bytes(made.batch_car)
    (tmp_path / "batch.json").write_bytes(made.batch.data)
    (tmp_path / "before.json").write_bytes(made.before.data)
    return tmp_path


def test_a_proved_metadata_holds_under_a_trust_file(run, evidence_files):
    files = evidence_files
    result = run(files / "metadata.json", "--trust", files / "trust.json", "--offline")
    assert result.exit_code == 0
    assert result.output.splitlines()[-1] == "HELD: every check asked for."


@pytest.mark.parametrize("name", ["metadata.json", "record.json", "record.car", "batch.car"])
def test_without_a_trust_entry_it_is_unknown(run, evidence_files, name):
    result = run(evidence_files / name, "--offline")
    assert result.exit_code == 2
    assert " 5  unknown" in result.output


def test_a_batch_and_its_transaction_are_asked_for_together(run, evidence_files):
    files = evidence_files
    transaction = "0x" + "12" * 32
    result = run(transaction, "--batch", files / "batch.json")
    assert result.exit_code == 2
    assert "12  unknown" in result.output
    result = run(files / "batch.json", "--batch", files / "batch.json")
    assert result.exit_code == 2
    assert "--batch belongs to a transaction" in result.output
    assert run(transaction).exit_code == 2
    assert run(transaction, "--batch", files / "absent").exit_code == 2


def test_a_cid_without_a_node_is_unknown(run):
    result = run(whole().metadata["cid"])
    assert result.exit_code == 2
    assert "--ipfs URL" in result.output


def test_an_ipfs_node_that_does_not_answer_is_unknown_and_its_url_stays_unsaid(run):
    result = run(whole().metadata["cid"], "--ipfs", "http://127.0.0.1:9/token")
    assert result.exit_code == 2
    assert "token" not in result.output
    result = run(whole().metadata["cid"], "--ipfs", "ftp://token")
    assert result.exit_code == 2
    assert "token" not in result.output


def test_further_paths_are_batches_for_since(run, evidence_files):
    files, older = evidence_files, whole().before.growth
    since = f"{older.old_size}:0x{older.old_root.hex()}"
    arguments = (files / "metadata.json", files / "before.json", "--offline", "--since", since)
    assert "that --since names" in run(*arguments).output
    for name in ("record.car", "record.json"):
        assert run(files / "metadata.json", files / name).exit_code == 1


@pytest.mark.parametrize("since", ["5", "5:0x12", "x:0x" + "00" * 32, "05:0x" + "00" * 32])
def test_a_head_out_of_form_exits_2_in_one_line(run, evidence_files, since):
    result = run(evidence_files / "metadata.json", "--since", since)
    assert result.exit_code == 2
    assert len(result.output.splitlines()) == 1


@pytest.mark.parametrize("content", [b"{}", b"[" * 9999, b"\xff", None])
def test_a_broken_trust_file_exits_2_in_one_line(run, evidence_files, content):
    path = evidence_files / "own.json"
    if content is not None:
        path.write_bytes(content)
    result = run(evidence_files / "record.json", "--trust", path)
    assert result.exit_code == 2
    assert len(result.output.splitlines()) == 1


def test_a_batch_names_all_its_records_in_json(run, evidence_files):
    result = run(evidence_files / "batch.car", "--offline", "--json")
    data = json.loads(result.output)
    assert {record["workflow_id"] for record in data["records"]} == set(whole().records)
    assert data["state"] == "proved"
