"""JournalHook: where the journal lies."""

from pathlib import Path

from airflow.sdk import BaseHook
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_cwf.core.errors import ConfigError, CwfError

REMOTE_EXECUTORS = ("celery", "kubernetes", "ecs", "batch", "edge")


class JournalHook(BaseHook):
    """The journal of intents and attempts.

    Without a connection it is `journal.db` under `[cwf] home`, which only executors on one
    machine may use. A `sqlite` connection's host is another file's path. PostgreSQL follows.

    Args:
        journal_conn_id: the connection.
    """

    conn_name_attr = "journal_conn_id"
    default_conn_name = "cwf_journal_default"
    hook_name = "CWF journal"

    def __init__(self, journal_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.journal_conn_id = journal_conn_id

    def get_conn(self) -> str:
        """Return the journal's SQLAlchemy URL.

        Raises:
            ConfigError: a file on one machine cannot serve this executor, or the connection
                names another kind of database.
        """
        executor = conf.get("core", "executor", fallback="LocalExecutor")
        if any(kind in executor.lower() for kind in REMOTE_EXECUTORS):
            message = (
                f"The executor {executor} runs tasks on several machines, and the journal is a "
                "file on one of them. Nothing was signed. Use LocalExecutor."
            )
            raise ConfigError(message)
        try:
            connection = self.get_connection(self.journal_conn_id)
        except AirflowNotFoundException:
            return f"sqlite:///{home() / 'journal.db'}"
        if connection.conn_type != "sqlite" or not connection.host:
            message = (
                f"The connection {self.journal_conn_id} must be of type sqlite, with the file's "
                "path as host."
            )
            raise ConfigError(message)
        return f"sqlite:///{connection.host}"

    def test_connection(self) -> tuple[bool, str]:
        """Open the journal and check schema and secret."""
        from airflow_cwf.wiring import open_journal

        try:
            journal = open_journal(str(home()), self.get_conn())
            journal.open()
        except CwfError as error:
            return False, str(error)
        journal.close()
        return True, "The journal's schema and secret are as they should be."


def home() -> Path:
    """Return `[cwf] home`: by default `cwf` under AIRFLOW_HOME."""
    configured = conf.get("cwf", "home", fallback="")
    if configured:
        return Path(configured).expanduser()
    import os

    return Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "cwf"
