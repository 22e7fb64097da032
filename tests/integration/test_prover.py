"""Real proofs: compiler, development key and snarkjs, installed once into .cache/prover."""

import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_cwf.adapters.provers.node import Limits, run_node
from airflow_cwf.adapters.provers.snarkjs import CLI
from airflow_cwf.core.errors import ConfigError, ProverError, VerificationError
from airflow_cwf.core.evidence.binding import binding
from airflow_cwf.core.evidence.groth16 import BASE_ORDER, verify
from airflow_cwf.core.evidence.metadata import AgentEvidence
from airflow_cwf.core.evidence.outputs import from_view
from airflow_cwf.core.evidence.poseidon import FIELD_ORDER
from airflow_cwf.core.evidence.record import core_digest, core_of
from airflow_cwf.core.evidence.snarkjs_files import key_document, proof_document
from airflow_cwf.core.evidence.statement import SIGNALS, Context, outputs_roots, statements
from airflow_cwf.wiring.prover import (
    circuit_sources,
    install_prover,
    load_circuits,
    load_verification_key,
    open_prover,
)
from tests.fakes.constraints import read_constraints, read_witness
from tests.fakes.evidence import agents, metadata, output
from tests.fakes.groth16 import negated_g1

pytestmark = pytest.mark.prover

PLACE = Path(__file__).parents[2] / ".cache" / "prover"
KEY = load_verification_key("cwf-8")
LIMITS = Limits(time_s=300, memory_mb=1024)


@pytest.fixture(scope="session")
def place():
    install_prover(PLACE, report=print)
    return PLACE


@pytest.fixture(scope="session")
def document():
    fourth = AgentEvidence(output("ReportAgent", number=4, chain=None, fee=0))
    return metadata([*agents(), fourth]).document


@pytest.fixture(scope="session")
def statement(document):
    context = Context(
        bytes.fromhex(document["workflow_id"][2:]),
        document["chain_id"],
        binding(core_digest(core_of(document)), anchor_to=None),
    )
    outputs = [from_view(view, where="it") for view in document["agent_outputs"]]
    (one,) = statements(outputs, context)
    commitments = [int(step["commitment"], 16) for step in document["steps"]]
    assert outputs_roots(commitments, context) == one.signals[:1]
    return one


@pytest.fixture(scope="session")
def proof(place, statement):
    return open_prover(place, environment="development").prove(statement)


def snarkjs_holds(place, folder, *, proof, signals):
    files = {
        "vk.json": key_document(KEY),
        "public.json": [str(signal) for signal in signals],
        "proof.json": proof_document(proof),
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    try:
        run_node([place / CLI, "groth16", "verify", *files], cwd=folder, limits=LIMITS)
    except ProverError:
        return False
    return True


def python_holds(*, proof, signals):
    try:
        verify(KEY, proof, signals)
    except VerificationError:
        return False
    return True


def test_the_proof_of_a_workflow_says_its_totals(document, statement, proof):
    named = dict(zip(SIGNALS, statement.signals, strict=True))
    totals = document["totals"]
    assert (named["n_agents"], named["n_success"]) == (4, totals["n_success"])
    assert str(named["total_gas"]) == totals["total_gas"]
    assert str(named["total_time_us"]) == totals["total_time_us"]
    assert python_holds(proof=proof, signals=statement.signals)


def test_python_and_snarkjs_agree_on_good_and_on_changed_proofs(place, tmp_path, statement, proof):
    signals = statement.signals
    x0, x1, y0, y1 = proof.b
    changed = [
        (proof, (*signals[:2], signals[2] + 1, *signals[3:])),
        (proof, (*signals[:8], signals[8] ^ 1)),
        (proof, (signals[0] + FIELD_ORDER, *signals[1:])),
        (replace(proof, a=negated_g1(proof.a)), signals),
        (replace(proof, c=proof.a), signals),
        (replace(proof, b=(x1, x0, y1, y0)), signals),
    ]
    assert snarkjs_holds(place, tmp_path, proof=proof, signals=signals)
    malleable = replace(proof, a=negated_g1(proof.a), b=(x0, x1, BASE_ORDER - y0, BASE_ORDER - y1))
    assert python_holds(proof=malleable, signals=signals)
    assert snarkjs_holds(place, tmp_path, proof=malleable, signals=signals)
    for other, values in changed:
        assert not python_holds(proof=other, signals=values)
        assert not snarkjs_holds(place, tmp_path, proof=other, signals=values)


def test_two_proofs_of_the_same_differ(place, statement, proof):
    assert open_prover(place, environment="development").prove(statement) != proof


def test_a_place_without_network_is_filled_from_another_one(place, tmp_path, statement):
    said = []
    install_prover(tmp_path / "new", offline=place, report=said.append)
    assert [line.partition(" ")[0] for line in said] == ["Copying", "Copying", "The"]
    proof = open_prover(tmp_path / "new", environment="development").prove(statement)
    assert python_holds(proof=proof, signals=statement.signals)
    assert not [item for item in (tmp_path / "new").iterdir() if item.name.startswith(".install")]


def test_a_copy_with_another_key_is_refused_and_nothing_is_installed(place, tmp_path):
    other = tmp_path / "other"
    (other / "cwf-8").mkdir(parents=True)
    for name in ("node_modules", "package-lock.json"):
        (other / name).symlink_to(place / name)
    (other / "cwf-8" / "circuit.wasm").write_bytes(b"another")
    (other / "cwf-8" / "proving.zkey").write_bytes(b"another")
    with pytest.raises(ProverError, match="other than this version pins"):
        install_prover(tmp_path / "new", offline=other, report=print)
    assert not (tmp_path / "new" / "cwf-8").exists()


def test_a_copy_of_other_programs_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="does not hold the programs"):
        install_prover(tmp_path / "new", offline=tmp_path, report=print)


# --- What the constraints refuse, whatever a witness generator would say --------------------------


@pytest.fixture(scope="session")
def circuit(place, tmp_path_factory):
    """The pinned constraints, and a generator of witnesses without its assertions."""
    strict, lax = tmp_path_factory.mktemp("strict"), tmp_path_factory.mktemp("lax")
    for source in circuit_sources().glob("*.circom"):
        shutil.copy(source, strict)
        text = re.sub(r"^.* === .*;.*$", "", source.read_text(), flags=re.MULTILINE)
        (lax / source.name).write_text(text)
    compiler = place / "node_modules" / "circom2" / "cli.js"
    run_node([compiler, "cwf-8.circom", "--r1cs", "--sym", "--O2"], cwd=strict, limits=LIMITS)
    run_node([compiler, "cwf-8.circom", "--wasm", "--sym", "--O0"], cwd=lax, limits=LIMITS)
    r1cs = strict / "cwf-8.r1cs"
    assert "0x" + hashlib.sha256(r1cs.read_bytes()).hexdigest() == load_circuits()["cwf-8"].r1cs
    constraints = read_constraints(r1cs, strict / "cwf-8.sym")

    def witness(inputs):
        (lax / "input.json").write_text(json.dumps(inputs))
        wasm = Path("cwf-8_js", "cwf-8.wasm")
        calculate = [place / CLI, "wtns", "calculate", wasm, "input.json", "out.wtns"]
        run_node(calculate, cwd=lax, limits=LIMITS)
        return read_witness(lax / "out.wtns", lax / "cwf-8.sym")

    return constraints, witness


def at(index, value, *columns):
    """Change one row of the inputs (four agents, four of padding)."""

    def change(inputs):
        for column in columns:
            inputs[column] = [*inputs[column][:index], str(value), *inputs[column][index + 1 :]]

    return change


def everywhere(value, *names):
    return lambda inputs: inputs.update(dict.fromkeys(names, str(value)))


ROW = ("agent_hi", "agent_lo", "tx_hi", "tx_lo", "fee", "time_us", "err", "salt")
FALSE = {
    "a gap in the prefix": at(1, 0, "active", *ROW),
    "an agent after the padding": at(7, 1, "active"),
    "active is 2": at(3, 2, "active"),
    "active is -1": at(3, FIELD_ORDER - 1, "active"),
    "no agents": lambda inputs: inputs.update({name: ["0"] * 8 for name in ("active", *ROW)}),
    "a padding row with a fee": at(7, 1, "fee"),
    "a padding row with an error": at(7, 1, "err"),
    "a padding row with an agent": at(7, 1, "agent_lo"),
    "a fee of 2^64": at(1, 2**64, "fee"),
    "a negative fee": at(1, FIELD_ORDER - 1, "fee"),
    "a time of 2^64": at(1, 2**64, "time_us"),
    "an error of 249 bits": at(1, 2**248, "err"),
    **{
        f"129 bits in {name}": at(1, 2**128, name)
        for name in ("agent_hi", "agent_lo", "tx_hi", "tx_lo", "salt")
    },
    "129 bits in workflow_id_hi": everywhere(2**128, "workflow_id_hi"),
    "129 bits in workflow_id_lo": everywhere(2**128, "workflow_id_lo"),
    "a chain of 54 bits": everywhere(2**53, "chain_id"),
    "a binding of 249 bits": everywhere(2**248, "binding"),
}


@pytest.mark.parametrize("name", FALSE)
def test_a_false_witness_breaks_a_constraint(circuit, statement, name):
    constraints, witness = circuit
    inputs = dict(statement.inputs)
    FALSE[name](inputs)
    assert constraints.broken(witness(inputs)) is not None


def test_the_limits_themselves_satisfy_the_constraints(circuit, statement):
    constraints, witness = circuit
    inputs = dict(statement.inputs)
    widths = (128, 128, 128, 128, 64, 64, 248, 128)
    for column, bits in zip(ROW, widths, strict=True):
        inputs[column] = [str(2**bits - 1)] * 8
    inputs |= {"active": ["1"] * 8, "chain_id": str(2**53 - 1), "binding": str(2**248 - 1)}
    inputs |= dict.fromkeys(("workflow_id_hi", "workflow_id_lo"), str(2**128 - 1))
    assert constraints.broken(witness(inputs)) is None


def test_no_public_signal_and_no_success_is_free(circuit, statement):
    constraints, witness = circuit
    values = witness(statement.inputs)
    assert constraints.broken(values) is None
    assert tuple(values[f"main.{name}"] for name in SIGNALS) == statement.signals
    for name in (*SIGNALS, "row[0].success", "row[2].success", "row[3].leaf"):
        changed = values | {f"main.{name}": (values[f"main.{name}"] + 1) % FIELD_ORDER}
        assert constraints.broken(changed) is not None, name
