"""Connections for hooks, as a deployment would set them."""

import json

import pytest


@pytest.fixture
def connection(monkeypatch):
    """Return a function that adds a connection from the fields of its JSON form."""

    def add(conn_id, **fields):
        text = json.dumps(fields)
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", text)
        return conn_id

    return add


@pytest.fixture
def option(monkeypatch):
    """Return a function that sets an option of `[cwf]`."""

    def put(name, value):
        monkeypatch.setenv(f"AIRFLOW__CWF__{name.upper()}", str(value))

    return put


@pytest.fixture(autouse=True)
def home(tmp_path, option):
    """Give each test a `[cwf] home` of its own."""
    option("home", tmp_path / "cwf")
    return tmp_path / "cwf"
