import pytest

from airflow_cwf import wiring
from tests.fakes.runtime import FakeWorld, entered


@pytest.fixture(autouse=True)
def _fake_processes(monkeypatch):
    monkeypatch.setattr(wiring, "runtime", entered)


@pytest.fixture
def world(tmp_path):
    return FakeWorld(tmp_path)


@pytest.fixture
def two_chains(tmp_path):
    return FakeWorld(tmp_path, chains=("ethereum", "polygon"))
