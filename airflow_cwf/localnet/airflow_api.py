"""A client of Airflow's public REST API (v2): trigger runs, wait, answer approvals, clear, read."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx

from airflow_cwf.core.errors import ConfigError, CwfError
from airflow_cwf.localnet.processes import wait_for

UNMAPPED: Final = -1
"""The `map_index` of a task that is not mapped."""

FINISHED_RUN: Final = frozenset({"success", "failed"})

_PAGE: Final = 100
_FIELDS: Final = ("task_id", "map_index", "state", "rendered_map_index", "try_number")


@dataclass(frozen=True, slots=True)
class TaskState:
    """One task instance of a run, as the API shows it."""

    task_id: str
    map_index: int
    state: str | None
    """`success`, `failed`, `running`, `awaiting_input`, ...; None before it is scheduled."""
    rendered_map_index: str | None
    """What the UI shows instead of the number, such as an agent's name."""
    try_number: int


class AirflowApi:
    """One Airflow, seen from outside.

    Methods raise `CwfError` when Airflow refuses what is asked, with its text. Those that wait
    call `check` at every look, so that a dead Airflow is not waited for.
    """

    def __init__(
        self, url: str, *, username: str, password: str, check: Callable[[], None]
    ) -> None:
        """Keep the address and the login; `wait_healthy` is the first to use them.

        Args:
            url: of the api-server, without a path.
            username: a user of the simple auth manager.
            password: theirs.
            check: raises if it is no use to wait any longer.
        """
        self.url = url
        self.username = username
        self.password = password
        self._check = check
        # No connection is kept, so there is nothing to close, and the server's end waits for none.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(base_url=url, timeout=30, trust_env=False, limits=limits)

    def wait_healthy(self, *, timeout_s: float = 120) -> None:
        """Wait until the API answers and the scheduler and the dag-processor live; log in."""

        def look() -> bool | None:
            self._check()
            try:
                answer = self._client.get("/api/v2/monitor/health")
            except httpx.TransportError:
                return None
            parts = answer.json() if answer.is_success else {}
            needed = ("metadatabase", "scheduler", "dag_processor")
            healthy = (parts.get(part, {}).get("status") == "healthy" for part in needed)
            return True if all(healthy) else None

        wait_for("Airflow is healthy", look, timeout_s=timeout_s)
        self._log_in()

    def wait_for_dag(self, dag_id: str, *, timeout_s: float = 120) -> None:
        """Wait until `dag_id` is parsed.

        Raises:
            ConfigError: a DAG file does not import; with Airflow's text.
        """

        def look() -> bool | None:
            self._check()
            answer = self._client.get(f"/api/v2/dags/{dag_id}")
            if answer.is_success:
                return True
            errors = self._get("/api/v2/importErrors")["import_errors"]
            if errors:
                texts = "\n".join(f"{e['filename']}: {e['stack_trace']}" for e in errors)
                message = f"Airflow cannot import a DAG file, so {dag_id} is absent:\n{texts}"
                raise ConfigError(message)
            return None

        wait_for(f"Airflow has parsed the DAG {dag_id}", look, timeout_s=timeout_s)

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler run the DAG; a new one is paused."""
        self._send("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})

    def trigger(
        self, dag_id: str, conf: Mapping[str, Any] | None = None, run_id: str | None = None
    ) -> str:
        """Start a run, with `conf` over the DAG's params, and return its id."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(conf or {})}
        answer = self._send("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)
        return str(answer["dag_run_id"])

    def dag_run_state(self, dag_id: str, run_id: str) -> str:
        """Return `queued`, `running`, `success` or `failed`."""
        self._check()
        return str(self._get(_run(dag_id, run_id))["state"])

    def wait_for_run(self, dag_id: str, run_id: str, *, timeout_s: float = 300) -> str:
        """Wait until the run is over and return `success` or `failed`."""

        def look() -> str | None:
            state = self.dag_run_state(dag_id, run_id)
            return state if state in FINISHED_RUN else None

        return wait_for(f"the run {run_id} is over", look, timeout_s=timeout_s)

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskState]:
        """Return all task instances of a run, mapped ones singly."""
        found: list[TaskState] = []
        while True:
            query = f"?limit={_PAGE}&offset={len(found)}&order_by=id"
            answer = self._get(f"{_run(dag_id, run_id)}/taskInstances{query}")
            rows = answer["task_instances"]
            found += [TaskState(**{name: row[name] for name in _FIELDS}) for row in rows]
            if not rows or len(found) >= answer["total_entries"]:
                return found

    def wait_for_task(
        self, dag_id: str, run_id: str, task_id: str, *, state: str, timeout_s: float = 120
    ) -> None:
        """Wait until the task (of map index -1) is in `state`.

        Raises:
            CwfError: it is not within `timeout_s`, or the run is over before.
        """

        def look() -> bool | None:
            over = self.dag_run_state(dag_id, run_id) in FINISHED_RUN
            states = {task.task_id: task.state for task in self.task_instances(dag_id, run_id)}
            if states.get(task_id) == state:
                return True
            if over:
                message = f"The run {run_id} is over, and {task_id} is {states.get(task_id)}."
                raise CwfError(message)
            return None

        wait_for(f"{task_id} is {state}", look, timeout_s=timeout_s, interval_s=0.3)

    def approve(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        *,
        option: str = "Approve",
        after_s: float = 4.0,
        timeout_s: float = 120,
    ) -> None:
        """Answer an approval `after_s` seconds after it was seen to wait.

        Answered at once, the resumed task is failed by the late news of the end of the process
        that had parked it (apache/airflow #72716); people are slow enough.
        """
        self.wait_for_task(dag_id, run_id, task_id, state="awaiting_input", timeout_s=timeout_s)
        threading.Event().wait(after_s)
        place = f"{_run(dag_id, run_id)}/taskInstances/{task_id}/{UNMAPPED}/hitlDetails"
        self._send("PATCH", place, {"chosen_options": [option], "params_input": {}})

    def clear(
        self, dag_id: str, run_id: str, *, task_ids: Sequence[str], downstream: bool = False
    ) -> None:
        """Have tasks run again, as the UI's *Clear* does, whatever their state."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": list(task_ids),
            "only_failed": False,
            "include_downstream": downstream,
            "reset_dag_runs": True,
        }
        self._send("POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", body)

    def xcom(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        *,
        key: str = "return_value",
        map_index: int = UNMAPPED,
    ) -> object:
        """Return an XCom value, or None where there is none."""
        place = f"{_run(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries/{key}"
        answer = self._client.get(f"{place}?map_index={map_index}&deserialize=false")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return _checked(answer)["value"]

    def task_log(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        *,
        try_number: int = 1,
        map_index: int = UNMAPPED,
    ) -> str:
        """Return the log of one try, one line per event."""
        place = f"{_run(dag_id, run_id)}/taskInstances/{task_id}/logs/{try_number}"
        answer = self._get(f"{place}?map_index={map_index}&full_content=true")
        return "\n".join(_log_line(line) for line in answer["content"])

    def _log_in(self) -> None:
        body = {"username": self.username, "password": self.password}
        token = self._send("POST", "/auth/token", body)["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"

    def _get(self, path: str) -> dict[str, Any]:
        return _checked(self._client.get(path))

    def _send(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return _checked(self._client.request(method, path, json=body))


def _checked(answer: httpx.Response) -> dict[str, Any]:
    if not answer.is_success:
        message = (
            f"The local Airflow answered {answer.status_code} to {answer.request.method} "
            f"{answer.request.url.path}: {answer.text}"
        )
        raise CwfError(message)
    parsed: dict[str, Any] = answer.json()
    return parsed


def _log_line(line: str | dict[str, Any]) -> str:
    if isinstance(line, str):
        return line
    errors = line.get("error_detail") or ()
    return "\n".join([str(line["event"]), *(f"{e['exc_type']}: {e['exc_value']}" for e in errors)])


def _run(dag_id: str, run_id: str) -> str:
    return f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"
