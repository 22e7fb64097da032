import pytest

from airflow_cwf.core.errors import ConfigError
from airflow_cwf.hooks.journal import JournalHook, home
from airflow_cwf.hooks.settings import read_settings
from airflow_cwf.wiring import migrate_journal


def test_without_a_connection_the_journal_lies_under_home(home):
    assert JournalHook().get_conn() == f"sqlite:///{home}/journal.db"


def test_a_sqlite_connection_names_another_file(connection, tmp_path):
    connection("cwf_journal_default", conn_type="sqlite", host=str(tmp_path / "other.db"))
    assert JournalHook().get_conn() == f"sqlite:///{tmp_path}/other.db"


@pytest.mark.parametrize("fields", [{"conn_type": "mysql", "host": "x"}, {"conn_type": "sqlite"}])
def test_another_database_is_refused(connection, fields):
    connection("cwf_journal_default", **fields)
    with pytest.raises(ConfigError, match="must be of type sqlite"):
        JournalHook().get_conn()
    assert not JournalHook().test_connection()[0]


@pytest.mark.parametrize(
    "executor",
    ["CeleryExecutor", "KubernetesExecutor", "LocalExecutor,CeleryExecutor", "my.EdgeExecutor"],
)
def test_a_file_is_refused_with_an_executor_on_several_machines(monkeypatch, executor):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    with pytest.raises(ConfigError, match="Nothing was signed"):
        JournalHook().get_conn()


def test_the_test_wants_a_journal_that_was_made(home):
    passed, text = JournalHook().test_connection()
    assert not passed
    assert "cwf journal migrate" in text
    migrate_journal(read_settings(chains=[]))
    passed, text = JournalHook().test_connection()
    assert passed, text
    (home / "secret").write_text("00" * 32)
    assert not JournalHook().test_connection()[0]


def test_home_is_under_airflow_home_unless_configured(monkeypatch, option):
    monkeypatch.setenv("AIRFLOW_HOME", "/srv/airflow")
    option("home", "")
    assert str(home()) == "/srv/airflow/cwf"
    option("home", "/srv/cwf")
    assert str(home()) == "/srv/cwf"
