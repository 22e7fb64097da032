"""A real Airflow on this machine, for the demo and for tests: own home, SQLite, LocalExecutor.

It shares nothing with an Airflow the user may have: variables named `AIRFLOW...` are not handed
down, the database, logs and keys lie in `home`, and the API listens on a free loopback port.
"""

import json
import os
import secrets
import sys
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from airflow_cwf.localnet.airflow_api import AirflowApi
from airflow_cwf.localnet.processes import LocalProcesses, free_port

USER: Final = "admin"
_MIGRATE_TIMEOUT_S: Final = 180
_SETTINGS: Final = {
    "CORE__EXECUTOR": "LocalExecutor",
    "CORE__LOAD_EXAMPLES": "False",
    "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
    "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
    # The default asks DNS for this machine's full name at every task.
    "CORE__HOSTNAME_CALLABLE": "socket.gethostname",
    "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "1",
    "API__HOST": "127.0.0.1",
    "API__WORKERS": "1",
    "DAG_PROCESSOR__PARSING_PROCESSES": "1",
    "DAG_PROCESSOR__REFRESH_INTERVAL": "5",
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    # Airflow counts a scheduler as healthy by its last heartbeat.
    "SCHEDULER__JOB_HEARTBEAT_SEC": "2",
    # A task's supervisor looks for its end this often; the default, 5 s, keeps the executor's slot
    # that long and reports the end that late; late news can fail an approval answered at once.
    "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "LOGGING__COLORED_CONSOLE_LOG": "False",
}


class LocalAirflow(AirflowApi):
    """A local Airflow; `start` it, then use it as an `AirflowApi`.

    Every method that waits raises `CwfError` if a component of Airflow ends meanwhile.
    """

    def __init__(
        self,
        home: Path,
        *,
        dags_folder: Path,
        processes: LocalProcesses,
        env: Mapping[str, str] | None = None,
        parallelism: int = 4,
    ) -> None:
        """Describe the installation; `start` starts it.

        Args:
            home: its AIRFLOW_HOME; made if absent. May be used again by a later start.
            dags_folder: where the DAG files lie.
            processes: ends the components.
            env: more variables for every component: `AIRFLOW_CONN_<ID>` connections as JSON,
                `AIRFLOW__<SECTION>__<OPTION>` settings (they win over the ones made here).
            parallelism: how many tasks may run at once, one process each.
        """
        self.home = home.resolve()
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.dags_folder = dags_folder.resolve()
        super().__init__(
            f"http://127.0.0.1:{free_port()}",
            username=USER,
            password=self._kept("password", secrets.token_urlsafe(16)),
            check=processes.require_running,
        )
        self._processes = processes
        self._parallelism = parallelism
        self._env = dict(env or {})

    def start(self, *, triggerer: bool = False) -> None:
        """Make the database and start api-server, scheduler and dag-processor.

        Args:
            triggerer: start the triggerer too; only deferrable tasks need it, approvals do not.

        Raises:
            CwfError: the database cannot be made.
        """
        env = self._environment()
        components = {
            # The first to start is the last to stop: the others talk to it.
            # Its patience with open connections at the end is two minutes by default.
            "api-server": ("api-server", "--worker-timeout", "5"),
            # Its server of task logs would listen on every interface, at a fixed port.
            "scheduler": ("scheduler", "--skip-serve-logs"),
            "dag-processor": ("dag-processor",),
        }
        if triggerer:
            components["triggerer"] = ("triggerer", "--skip-serve-logs")
        migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
        self._processes.run("airflow-db-migrate", migrate, env=env, timeout_s=_MIGRATE_TIMEOUT_S)
        for name, arguments in components.items():
            command = [sys.executable, "-m", "airflow", *arguments]
            self._processes.start(f"airflow-{name}", command, env=env)

    def _environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW")}
        made = {
            **_SETTINGS,
            "CORE__DAGS_FOLDER": str(self.dags_folder),
            "CORE__PARALLELISM": str(self._parallelism),
            "CORE__FERNET_KEY": self._kept("fernet_key", _new_fernet_key()),
            "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self._password_file),
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.home / 'airflow.db'}",
            "API__BASE_URL": self.url,
            "API__PORT": self.url.rpartition(":")[2],
            "API__SECRET_KEY": secrets.token_hex(32),
            "API_AUTH__JWT_SECRET": secrets.token_hex(32),
        }
        return {
            **inherited,
            "AIRFLOW_HOME": str(self.home),
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            **{f"AIRFLOW__{name}": value for name, value in made.items()},
            **self._env,
        }

    @property
    def _password_file(self) -> Path:
        """The simple auth manager's own form of the password."""
        place = self.home / "passwords.json"
        _write_private(place, json.dumps({self.username: self.password}))
        return place

    def _kept(self, name: str, fresh: str) -> str:
        """Return the secret that an earlier start left in `home`, or keep and return `fresh`."""
        place = self.home / name
        if not place.exists():
            _write_private(place, fresh)
        return place.read_text(encoding="utf-8")


def _new_fernet_key() -> str:
    return urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _write_private(place: Path, text: str) -> None:
    place.touch(mode=0o600)
    place.write_text(text, encoding="utf-8")
