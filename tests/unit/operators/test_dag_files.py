"""What Airflow's dag-processor does with the DAG files that this package ships."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
DAGS = ROOT / "dags"

PARSE = """
import json, runpy, sys, time
import airflow.sdk
before, began = set(sys.modules), time.perf_counter()
for place in sys.argv[1:]:
    runpy.run_path(place)
took = time.perf_counter() - began
new = sorted(set(sys.modules) - before)
print(json.dumps({"seconds": took, "all": sorted(sys.modules), "new": new}))
"""
SERIALISE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.models.serialized_dag import SerializedDagModel
from airflow.serialization.serialized_objects import DagSerialization
bag = DagBag(sys.argv[1])
found = {}
for name, dag in bag.dags.items():
    data = DagSerialization.to_dict(dag)
    found[name] = {"hash": SerializedDagModel.hash(data), "text": json.dumps(data)}
print(json.dumps({"errors": bag.import_errors, "dags": found}))
"""


def run(program, *arguments):
    """Run a program in a process of its own, as Airflow parses each file."""
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "random"},
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_parsing_a_dag_file_imports_no_chain_library_and_no_adapter():
    parsed = run(PARSE, *DAGS.glob("*.py"))
    heavy = {"web3", "eth_account", "solders", "coincurve", "eth_abi", "rlp", "aiohttp", "requests"}
    assert not heavy & set(parsed["all"])
    assert "airflow_cwf.operators.agent" in parsed["new"]
    ours = [name for name in parsed["new"] if name.startswith("airflow_cwf.")]
    assert not [n for n in ours if n.startswith(("airflow_cwf.adapters", "airflow_cwf.wiring"))]
    assert not [name for name in parsed["new"] if name.split(".")[0] in {"httpx", "sqlalchemy"}]
    # Generous: 0.2 s on a quiet machine of 2 cores.
    assert parsed["seconds"] < 5


def test_the_dags_load_and_are_the_same_at_every_parse():
    first, second = run(SERIALISE, DAGS), run(SERIALISE, DAGS)
    assert first["errors"] == {}
    assert set(first["dags"]) == {"anchor_every_n_blocks", "cross_chain_payroll"}
    for name, dag in first["dags"].items():
        assert dag["hash"] == second["dags"][name]["hash"]
        assert " object at 0x" not in dag["text"]
