import json
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_cwf.core.circuits import parse_circuits
from airflow_cwf.core.errors import ConfigError
from airflow_cwf.core.evidence.statement import CIRCUITS
from airflow_cwf.core.evidence.trust import open_key, parse_trust
from airflow_cwf.wiring.prover import circuit_sources, load_circuits, load_verification_key

ROOT = Path(__file__).parents[3]
DATA = ROOT / "airflow_cwf" / "data"


def test_the_shipped_circuits_are_known_and_named_development():
    for name, circuit in load_circuits().items():
        assert circuit.agents == CIRCUITS[name]
        assert circuit.development
        assert (circuit_sources() / f"{name}.circom").is_file()


def test_the_shipped_trust_file_names_the_shipped_keys_as_development_keys():
    trust = parse_trust((DATA / "trust.json").read_bytes())
    circuits = load_circuits()
    assert set(trust.keys) == {circuit.verification_key for circuit in circuits.values()}
    for entry in trust.keys.values():
        assert entry.development
        assert open_key(entry) == load_verification_key(entry.circuit)
    assert (trust.contracts, trust.submitters) == (frozenset(), frozenset())


def test_the_constants_of_the_circuits_are_those_of_python():
    script = ROOT / "circuits" / "generate_constants.py"
    run = subprocess.run([sys.executable, script, "--check"], cwd=ROOT, check=False)
    assert run.returncode == 0


def test_the_programs_are_pinned_with_their_integrity():
    lock = json.loads((DATA / "prover" / "package-lock.json").read_text())
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert packages["node_modules/snarkjs"]["version"] == "0.7.6"
    assert packages["node_modules/circom2"]["version"] == "0.2.23"
    assert all(one["integrity"].startswith("sha512-") for one in packages.values())
    assert not any("resolved" in one for one in packages.values())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format":"cwf-circuits/2","circuits":{}}',
        '{"format":"cwf-circuits/1","circuits":[]}',
        '{"format":"cwf-circuits/1","circuits":{"cwf-8":{"agents":8}}}',
        '{"format":"cwf-circuits/1","circuits":{"cwf-8":[]}}',
    ],
)
def test_a_damaged_table_is_refused(text):
    with pytest.raises(ConfigError):
        parse_circuits(text)
