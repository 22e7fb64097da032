"""The command: lines for people, JSON for programs, exit codes for scripts."""

import json

import pytest
import typer
from typer.testing import CliRunner

from airflow_cwf.cli.verify import verify
from tests.fakes.evidence import PAYER, metadata

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
