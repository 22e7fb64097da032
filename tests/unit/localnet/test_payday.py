import json

import pytest

from airflow_cwf import wiring
from airflow_cwf.core.journal_rows import WorkflowRow
from airflow_cwf.localnet.payday import DAG_ID, airflow_environment, count_payments, stored_result
from airflow_cwf.localnet.people import make_payroll
from airflow_cwf.localnet.world import LocalWorld


@pytest.fixture
def world(tmp_path):
    """A world without chains: home, journal and files only."""
    password = tmp_path / "password"
    password.write_text("an open secret")
    environment = {
        "CWF_HOME": str(tmp_path / "cwf"),
        "CWF_SIGNER": str(tmp_path / "payer.json"),
        "CWF_SIGNER_PASSWORD_FILE": str(password),
        "CWF_ENVIRONMENT": "development",
        "CWF_ANCHOR_CHAIN": "polygon",
        "CWF_PROVER": str(tmp_path / "prover"),
    }
    (tmp_path / "payer.json").write_text("{}")
    wiring.migrate_journal(wiring.settings_from_environment(environment))
    return LocalWorld(
        home=tmp_path / "cwf",
        chains={},
        tokens={},
        payroll=make_payroll(10, chains=["polygon"], seed="test"),
        payroll_file=tmp_path / "payroll.csv",
        sanctions=tmp_path / "ofac",
        trust=tmp_path / "trust.json",
        environment=environment,
    )


def test_airflow_gets_its_connections_and_home_from_the_world(world):
    found = airflow_environment(world)
    signer = json.loads(found["AIRFLOW_CONN_CWF_SIGNER_DEFAULT"])
    assert signer["password"] == "an open secret"
    assert json.loads(found["AIRFLOW_CONN_OFAC_DEFAULT"])["extra"]["path"] == str(world.sanctions)
    assert found["AIRFLOW__CWF__HOME"] == str(world.home)
    assert found["AIRFLOW__CWF__ENVIRONMENT"] == "development"
    assert found["AIRFLOW__CWF__ANCHOR_CHAIN"] == "polygon"
    assert found["AIRFLOW__CWF__PROVER_PATH"] == world.environment["CWF_PROVER"]


def test_a_red_runs_metadata_is_found_by_the_journal(world, tmp_path):
    assert stored_result(world, "r") == {}
    for name in ("metadata.json", "receipts-01.json", "receipts-00.json"):
        (tmp_path / name).touch()
    settings = wiring.settings_from_environment(world.environment)
    journal = wiring.open_journal(settings.home, settings.journal_url)
    artifact = str(tmp_path / "metadata.json")
    row = WorkflowRow("ab" * 32, f"{DAG_ID}/r", "recorded", "cd" * 32, artifact, None, 0)
    journal.runs.save_workflow(row)
    journal.close()
    assert stored_result(world, "r") == {
        "workflow_id": "0x" + "ab" * 32,
        "artifact": artifact,
        "receipts": [str(tmp_path / f"receipts-0{step}.json") for step in (0, 1)],
    }


def test_before_anything_is_loaded_there_is_nothing_to_count(world):
    assert count_payments(world, "2026-07", "r") == {}
