"""Installing the prover: what is right is left alone, and one process installs at a time."""

import fcntl
import threading

import pytest

from airflow_cwf.adapters.provers.install import Sources, install
from airflow_cwf.adapters.provers.snarkjs import CLI

PATIENCE_S = 10


@pytest.fixture
def sources(tmp_path):
    npm = tmp_path / "npm"
    npm.mkdir()
    (npm / "package-lock.json").write_text("{}")
    return Sources(circuits=tmp_path / "circuits", npm=npm)


@pytest.fixture
def place(tmp_path, sources):
    """A place whose programs are right already."""
    place = tmp_path / "prover"
    (place / CLI).parent.mkdir(parents=True)
    (place / CLI).touch()
    (place / "package-lock.json").write_bytes((sources.npm / "package-lock.json").read_bytes())
    return place


def test_what_is_right_is_left_alone_and_only_the_place_is_said(place, sources):
    said = []
    install(place, circuits={}, sources=sources, offline=None, report=said.append)
    assert said == [f"The prover is installed in {place}."]


def test_an_install_waits_for_the_one_that_is_under_way(place, sources):
    done = threading.Event()

    def second():
        install(place, circuits={}, sources=sources, offline=None, report=lambda _: done.set())

    with (place / ".lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        other = threading.Thread(target=second)
        other.start()
        assert not done.wait(0.3)
    assert done.wait(PATIENCE_S)
    other.join(PATIENCE_S)
