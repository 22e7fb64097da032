"""deploy/make_secrets.py makes what docker-compose.yaml mounts and Airflow reads."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
SERVICES = COMPOSE["services"]


def make_secrets(folder, *arguments):
    script = ROOT / "deploy" / "make_secrets.py"
    command_line = [sys.executable, str(script), "--folder", str(folder), *map(str, arguments)]
    return subprocess.run(command_line, capture_output=True, text=True, check=False)


@pytest.fixture
def payer(tmp_path):
    (tmp_path / "payer.json").write_text('{"version": 3}')
    (tmp_path / "payer.password").write_text("correct horse\n")
    return (
        "--keystore", tmp_path / "payer.json", "--keystore-password", tmp_path / "payer.password",
    )  # fmt: skip


def test_the_script_makes_every_secret_of_the_compose_file_and_no_two_alike(tmp_path, payer):
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        done = make_secrets(folder, *payer, "--local")
        assert done.returncode == 0, done.stderr
        assert {p.name for p in folder.iterdir()} == set(COMPOSE["secrets"])
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in set(COMPOSE["secrets"]) - {
        "keystore.json",
        "keystore_password",
        "connections.json",
    }:
        one, two = ((folder / name).read_text() for folder in folders)
        assert one != two
        assert one not in done.stdout + done.stderr
    connections = json.loads((folders[0] / "connections.json").read_text())
    assert connections["cwf_signer_default"]["password"] == "correct horse"
    hosts = {c["host"].removeprefix("http://").partition(":")[0] for n, c in connections.items()
             if n.startswith("evm_")}  # fmt: skip
    assert hosts == {name for name in SERVICES if name.startswith("anvil-")}


def test_a_second_run_of_the_script_keeps_what_the_first_one_made(tmp_path, payer):
    folder = tmp_path / "made"
    assert make_secrets(folder, *payer, "--local").returncode == 0
    before = {p.name: p.read_text() for p in folder.iterdir()}
    assert make_secrets(folder, "--rpc", "base=https://node.example/x").returncode == 0
    after = {p.name: p.read_text() for p in folder.iterdir()}
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"connections.json"}
    assert "evm_base" in json.loads(after["connections.json"])


def test_the_script_says_what_is_missing(tmp_path, payer):
    nobody = make_secrets(tmp_path / "a", "--local")
    assert nobody.returncode == 1
    assert "keystore.json and keystore_password absent" in nobody.stderr
    nowhere = make_secrets(tmp_path / "b", *payer)
    assert nowhere.returncode == 1
    assert "--rpc NAME=URL" in nowhere.stderr
    assert make_secrets(tmp_path / "c", "--rpc", "base=ftp://x").returncode == 2


def test_airflow_reads_the_connections_as_they_are_written(tmp_path, payer):
    from airflow.secrets.local_filesystem import LocalFilesystemBackend

    make_secrets(tmp_path / "made", *payer, "--local")
    settings = COMPOSE["x-airflow"]["environment"]
    assert settings["AIRFLOW__SECRETS__BACKEND"].endswith(LocalFilesystemBackend.__name__)
    ((key, place),) = json.loads(settings["AIRFLOW__SECRETS__BACKEND_KWARGS"]).items()
    file = tmp_path / "made" / Path(place).name
    backend = LocalFilesystemBackend(**{key: str(file)})
    connection = backend.get_connection("evm_polygon")
    assert (connection.conn_type, connection.host) == ("evm", "http://anvil-polygon:8545")
    assert connection.extra_dejson == {"chain": "polygon"}
