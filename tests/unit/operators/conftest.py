"""A journal in a fresh `[cwf] home`, and the context that Airflow gives a task."""

from types import SimpleNamespace

import pytest

from airflow_cwf.hooks.settings import read_settings
from airflow_cwf.wiring import migrate_journal, open_journal


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CWF__HOME", str(tmp_path / "cwf"))
    migrate_journal(read_settings(chains=[]))
    return tmp_path / "cwf"


@pytest.fixture
def journal(home):
    opened = open_journal(str(home), f"sqlite:///{home / 'journal.db'}")
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def context_of():
    """Return a function that makes a task's context; `states` are those of its run's tasks."""

    def make(task, **states):
        def get_task_states(*, dag_id, task_ids, run_ids):
            assert (dag_id, run_ids) == ("d", ["r"])
            known = {name: s for name, s in states.items() if name.split("_")[0] in task_ids}
            return {"r": known}

        return {
            "task": task,
            "dag_run": SimpleNamespace(dag_id="d", run_id="r"),
            "ti": SimpleNamespace(get_task_states=get_task_states),
        }

    return make
