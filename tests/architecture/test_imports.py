"""Who may import what, and what an import may cost."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]

WALK = """
import importlib, pkgutil, sys, time
for name in {blocked!r}:
    sys.modules[name] = None
began = time.process_time()
for room in {rooms!r}:
    module = importlib.import_module(f"airflow_cwf.{{room}}")
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), f"{{module.__name__}}."):
        if ".migrations." not in found.name:
            importlib.import_module(found.name)
print(time.process_time() - began, *sorted(sys.modules))
"""

# Not `bind`: urllib3 binds a socket to ::1 to learn whether the machine has IPv6.
PARSE = """
import runpy, sys
def watch(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto"}:
        print("opened a socket:", event, arguments, file=sys.stderr)
        sys.exit(7)
sys.addaudithook(watch)
if len(sys.argv) > 2:
    exec(sys.argv[2])
runpy.run_path(sys.argv[1])
print(*sorted(sys.modules))
"""


def python(code, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        check=False,
    )


def walk(rooms, *, blocked):
    done = python(WALK.format(rooms=rooms, blocked=blocked))
    assert done.returncode == 0, done.stderr
    seconds, *modules = done.stdout.split()
    return float(seconds), set(modules)


def test_the_import_contracts_of_pyproject_hold():
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"{len(CONTRACTS['contracts'])} kept, 0 broken" in done.stdout


def test_core_needs_nobody_and_is_loaded_at_once():
    """Of CPU, so that a busy machine changes little. pydantic is most of it, in core/schemas.py."""
    outside = ["airflow", "httpx", "sqlalchemy", "alembic", "web3", "eth_account", "boto3", "upath"]
    seconds, modules = walk(["core"], blocked=outside)
    assert seconds < 2
    assert "airflow_cwf.core.evidence.metadata" in modules
    assert not {name for name in modules if name.startswith("airflow_cwf.adapters")}


def test_everything_below_the_hooks_works_without_airflow():
    rooms = ["core", "actions", "adapters", "agents", "wiring", "workflow"]
    _, modules = walk(rooms, blocked=["airflow", "web3", "solders"])
    assert "airflow_cwf.workflow" in modules


@pytest.fixture(scope="module")
def airflow_home(tmp_path_factory):
    return str(tmp_path_factory.mktemp("airflow_home"))


@pytest.mark.parametrize("dag", sorted(ROOT.glob("dags/*.py")), ids=lambda path: path.stem)
def test_parsing_an_example_opens_no_socket_and_loads_no_chain_library(dag, airflow_home):
    done = python(PARSE, dag, AIRFLOW_HOME=airflow_home)
    assert done.returncode == 0, done.stderr[-2000:]
    modules = set(done.stdout.split())
    assert "airflow_cwf.operators.base" in modules
    heavy = {"web3", "solders", "eth_account", "coincurve", "airflow_cwf.wiring"}
    assert modules & heavy == set()


def test_the_watch_sees_a_socket_when_there_is_one(airflow_home):
    call = "import socket; socket.getaddrinfo('127.0.0.1', 9)"
    done = python(PARSE, ROOT / "dags" / "cross_chain_payroll.py", call, AIRFLOW_HOME=airflow_home)
    assert done.returncode == 7
