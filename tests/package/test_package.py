"""What a user gets: the built wheel, in an environment that has never seen this checkout."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

pytestmark = pytest.mark.package

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")
GOOD_FILE = ROOT / "tests" / "vectors" / "payments" / "good.csv"
LINKED = {
    "operators": "operators",
    "hooks": "hooks",
    "example_dags": "dags",
    "data/circuits": "circuits",
}
CARRIED = [
    *("chains.json", "circuits.json", "trust.json", "keys/cwf-8.json"),
    *("contracts/BatchPayment.json", "contracts/WorkflowAnchor.json"),
    *("prover/package.json", "prover/package-lock.json"),
    *("circuits/cwf-8.circom", "circuits/workflow.circom", "circuits/poseidon.circom"),
    *("circuits/poseidon_constants.circom", "circuits/development_key.mjs"),
    "circuits/published_randomness.cjs",
]
"""What an installed package brings along: chains, contracts, trust, and what makes the prover."""
PROOFS = ROOT / "tests" / "vectors" / "groth16" / "cwf-8"

NAMES = """
import importlib, json, sys
import airflow_cwf
homes = {"airflow_cwf": airflow_cwf.__all__, "airflow_cwf.agents": None}
for module in homes:
    loaded = importlib.import_module(module)
    for name in loaded.__all__:
        getattr(loaded, name)
from airflow_cwf.provider_info import get_provider_info
info = get_provider_info()
modules = [m for kind in ("operators", "hooks") for m in info[kind][0]["python-modules"]]
for module in modules:
    importlib.import_module(module)
print(json.dumps({"place": airflow_cwf.__file__, "modules": modules}))
"""

DAGS = """
import json
from importlib.resources import files
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder=str(files("airflow_cwf").joinpath("example_dags")))
tasks = {name: sorted(dag.task_ids) for name, dag in bag.dags.items()}
print(json.dumps({"errors": bag.import_errors, "dags": tasks}))
"""


def run(*command, exit_status=0, **options):
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == exit_status, (
        f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    )
    return done.stdout


def last_line(text):
    return json.loads(text.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build the sdist, and the wheel out of the sdist; return both files."""
    out = tmp_path_factory.mktemp("dist")
    run(UV, "build", "--quiet", "--python", sys.executable, "--out-dir", out, ROOT)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="module")
def environment(built, tmp_path_factory):
    """Install the wheel, at the locked versions, into a new environment; return a runner."""
    folder = tmp_path_factory.mktemp("installed")
    pins = folder / "pins.txt"
    export = ("export", "--quiet", "--frozen", "--no-dev", "--no-emit-project", "--no-hashes")
    run(UV, *export, "--output-file", pins, cwd=ROOT)
    run(UV, "venv", "--quiet", "--python", sys.executable, folder / "venv")
    python = folder / "venv" / "bin" / "python"
    uv = {name: value for name, value in os.environ.items() if name != "UV_LINK_MODE"}
    wheel = built[0]
    install = ("pip", "install", "--quiet", "--python", python, "--constraint", pins)
    run(UV, *install, wheel, env=uv)
    clean = {
        "PATH": f"{python.parent}:/usr/bin:/bin",
        "HOME": str(folder),
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "COLUMNS": "120",
    }

    def inside(program, *arguments, exit_status=0):
        command = (python.with_name(program), *arguments)
        return run(*command, exit_status=exit_status, cwd=folder, env=clean)

    return inside


def test_the_wheel_holds_plain_files_and_no_tests(built):
    with zipfile.ZipFile(built[0]) as wheel:
        names = set(wheel.namelist())
        links = [
            i.filename for i in wheel.infolist() if (i.external_attr >> 16) & 0o170000 == 0o120000
        ]
        for inside, folder in LINKED.items():
            for path in files_of(folder):
                assert wheel.read(f"airflow_cwf/{inside}/{path.name}") == path.read_bytes()
    assert links == []
    assert {name.split("/")[0] for name in names} == {
        "airflow_cwf",
        f"airflow_cwf-{version('airflow-cwf')}.dist-info",
    }
    data = {f"airflow_cwf/data/{p.relative_to(ROOT / 'airflow_cwf/data')}" for p in data_files()}
    assert data <= names
    assert {f"airflow_cwf/data/{name}" for name in CARRIED} <= names
    assert "airflow_cwf/py.typed" in names
    assert [name for name in names if "test" in name.lower()] == []


def test_the_sdist_holds_plain_files_and_no_tests(built):
    with tarfile.open(built[1]) as sdist:
        members = sdist.getmembers()
    assert [m.name for m in members if not m.isreg() and not m.isdir()] == []
    names = {m.name.partition("/")[2] for m in members}
    for inside, folder in LINKED.items():
        assert {f"airflow_cwf/{inside}/{p.name}" for p in files_of(folder)} <= names
    assert {f"airflow_cwf/data/{name}" for name in CARRIED} <= names
    assert {"README.md", "CHANGELOG.md", "LICENSE"} <= names
    assert {"contracts/BatchPayment.sol", "contracts/WorkflowAnchor.sol"} <= names
    assert [name for name in names if name.startswith(("tests/", "node_modules/", "."))] == [
        ".gitignore"
    ]


def test_every_public_name_is_importable_from_the_installed_package(environment):
    found = last_line(environment("python", "-c", NAMES))
    assert str(ROOT) not in found["place"]
    assert "site-packages" in found["place"]
    assert "airflow_cwf.operators.agent" in found["modules"]


def test_the_command_works_and_checks_a_payments_file(environment):
    assert "payroll" in environment("cwf", "--help")
    checked = json.loads(environment("cwf", "payroll", "check", GOOD_FILE, "--json"))
    assert checked["ok"] is True
    assert checked["payments"] == checked["rows"] > 0


def test_the_installed_command_checks_proofs_and_knows_how_to_verify(environment, tmp_path):
    names = {"--vk": "verification_key.json", "--public": "public.json", "--proof": "proof.json"}
    given = {option: PROOFS / name for option, name in names.items()}

    def verdict(files, *, exit_status):
        words = [word for pair in files.items() for word in pair]
        return environment("cwf", "proof", "verify", *words, exit_status=exit_status)

    assert verdict(given, exit_status=0).startswith("HELD")
    signals = json.loads(given["--public"].read_bytes())
    signals[2] = str(int(signals[2]) + 1)
    changed = tmp_path / "public.json"
    changed.write_text(json.dumps(signals))
    assert verdict(given | {"--public": changed}, exit_status=1).startswith("FALSE")
    assert "--receipts" in environment("cwf", "verify", "--help")


def test_airflow_loads_the_example_dags_of_the_installed_package(environment):
    found = last_line(environment("python", "-c", DAGS))
    assert found["errors"] == {}
    assert found["dags"] == {
        "anchor_every_n_blocks": ["anchor"],
        "cross_chain_payroll": ["approve", "load", "pay", "prove", "screen"],
    }


def test_airflow_lists_the_provider(environment):
    listed = json.loads(environment("airflow", "providers", "list", "--output", "json"))
    (own,) = [entry for entry in listed if entry["package_name"] == "airflow-cwf"]
    assert own["version"] == version("airflow-cwf")


def data_files():
    return list((ROOT / "airflow_cwf" / "data").rglob("*.json"))


def files_of(folder):
    return [path for path in (ROOT / folder).iterdir() if path.is_file()]
