"""`cwf anchor` in a world in memory."""

import json
from contextlib import asynccontextmanager

import pytest
from typer.testing import CliRunner

from airflow_cwf import wiring
from airflow_cwf.cli import app
from tests.fakes.anchoring import Archive


@pytest.fixture
def archive(tmp_path, monkeypatch):
    made = Archive(tmp_path)

    @asynccontextmanager
    async def process(_settings):
        runtime = made.world.process()
        try:
            yield runtime
        finally:
            runtime.close()

    monkeypatch.setattr(wiring, "runtime", process)
    return made


def anchor(*options):
    return CliRunner().invoke(app, ["anchor", *options])


def test_what_waits_is_anchored_and_told(archive):
    archive.publish("r1", "r2")
    result = anchor()
    assert result.exit_code == 0
    assert result.stdout.startswith("2 records in block ")
    archive.check_log(records=2)


def test_the_batches_are_printed_as_json(archive):
    archive.publish("r1")
    (batch,) = json.loads(anchor("--json").stdout)
    assert set(batch) == {"tx_hash", "block", "records"}
    assert (batch["records"], batch["tx_hash"]) == (1, archive.node.seen[0])


def test_it_says_so_where_nothing_waits(archive):
    assert anchor().stdout == "Nothing waits.\n"
    assert json.loads(anchor("--json").stdout) == []


def test_without_the_contract_it_ends_with_one_sentence(archive):
    archive.publish("r1")
    del archive.node.codes[archive.node.anchor]
    result = anchor()
    assert result.exit_code == 1
    assert "cwf contracts deploy --chain ethereum" in result.stderr
    assert "Traceback" not in result.stderr
    assert not result.stdout


def test_without_an_anchor_chain_it_says_which_setting_names_it(tmp_path, monkeypatch):
    monkeypatch.setenv("CWF_HOME", str(tmp_path / "cwf"))
    monkeypatch.delenv("CWF_ANCHOR_CHAIN", raising=False)
    assert CliRunner().invoke(app, ["journal", "migrate"]).exit_code == 0
    result = anchor()
    assert result.exit_code == 1
    assert "CWF_ANCHOR_CHAIN" in result.stderr
