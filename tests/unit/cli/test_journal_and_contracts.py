"""`cwf journal` and `cwf contracts` without a chain: what they refuse, and how they end."""

import pytest
from typer.testing import CliRunner

from airflow_cwf.cli import app
from airflow_cwf.wiring import write_keystore

PASSWORD = "correct horse battery staple"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs `cwf` with a home of its own."""
    monkeypatch.setenv("CWF_HOME", str(tmp_path / "cwf"))
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def keystore(tmp_path):
    """A deployer's keystore and its password file, as options."""
    place, password = tmp_path / "key.json", tmp_path / "password"
    place.write_text(write_keystore(b"\x46" * 32, PASSWORD, scrypt_n=2))
    password.write_text(f"{PASSWORD}\n")
    return ["--deployer", place, "--password-file", password]


def test_migrate_makes_the_journal_once_and_keeps_its_secret(run, tmp_path):
    assert run("journal", "migrate").exit_code == 0
    secret = tmp_path / "cwf" / "secret"
    kept = secret.read_bytes()
    assert secret.stat().st_mode & 0o077 == 0
    again = run("journal", "migrate")
    assert again.exit_code == 0
    assert "is ready" in again.stdout
    assert secret.read_bytes() == kept


def test_adopt_wants_to_hear_that_the_key_is_unused(run):
    result = run("journal", "adopt", "--chain", "polygon")
    assert result.exit_code == 1
    assert "--unused" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("journal", "adopt", "--unused", "--chain", "polygon"), "CWF_RPC_POLYGON"),
        (("journal", "adopt", "--unused", "--chain", "atlantis"), "not in the chain table"),
        (("contracts", "status", "--chain", "polygon"), "CWF_RPC_POLYGON"),
    ],
)
def test_what_is_missing_is_one_sentence_and_status_1(run, arguments, said):
    run("journal", "migrate")
    result = run(*arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not result.stdout


def test_deploying_needs_a_key_that_opens(run, keystore, tmp_path):
    (tmp_path / "password").write_text("guess")
    result = run("contracts", "deploy", "--chain", "polygon", *keystore)
    assert result.exit_code == 1
    assert "Locked keystore" in result.stderr
    assert "guess" not in result.stderr


@pytest.mark.parametrize("amount", ["-1", "1e3", "0.0000001", "much"])
def test_an_amount_that_is_none_is_refused(run, keystore, monkeypatch, amount):
    monkeypatch.setenv("CWF_RPC_POLYGON", "http://127.0.0.1:9")
    result = run("contracts", "allow", "--chain", "polygon", "--amount", amount, *keystore)
    assert result.exit_code == 1
    assert "--amount" in result.stderr
