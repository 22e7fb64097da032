"""A fresh journal for each test, and other processes that share it."""

import multiprocessing
import os
import shutil
import traceback
from collections.abc import Callable

import pytest

from airflow_cwf.adapters.journal import SqlJournal
from tests.fakes.desk import SECRET, Desk


@pytest.fixture(scope="session")
def empty_journal(tmp_path_factory):
    path = tmp_path_factory.mktemp("journal") / "journal.db"
    journal = SqlJournal(f"sqlite:///{path}", secret=SECRET)
    journal.migrate()
    journal.close()
    return path


@pytest.fixture
def desk(empty_journal, tmp_path):
    path = tmp_path / "journal.db"
    shutil.copy(empty_journal, path)
    desk = Desk(path, SqlJournal(f"sqlite:///{path}", secret=SECRET))
    yield desk
    desk.journal.close()


@pytest.fixture
def processes():
    """Run functions in processes of their own; `start` returns one that may be killed."""
    started = []

    def start(work: Callable[[], None]) -> multiprocessing.Process:
        process = multiprocessing.get_context("fork").Process(target=_run, args=(work,))
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()
        process.close()


def _run(work: Callable[[], None]) -> None:
    try:
        work()
    except BaseException:  # noqa: BLE001 - whatever it was, it must not reach pytest here
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
