"""Proves with snarkjs, a separate program under GPL-3.0 that `cwf prover install` fetches from npm.

The witness inputs go through a pipe and touch no disk; snarkjs keeps the witness in memory. Only
the proof and the public signals, which are published anyway, come back as files.
"""

import hashlib
import json
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from airflow_cwf.adapters.provers.node import Limits, run_node
from airflow_cwf.core.circuits import Circuit
from airflow_cwf.core.errors import ConfigError, ProverError, VerificationError
from airflow_cwf.core.evidence.groth16 import Proof, VerificationKey, verify, vk_digest
from airflow_cwf.core.evidence.snarkjs_files import parse_proof, parse_signals
from airflow_cwf.core.evidence.statement import Statement

CLI: Final = Path("node_modules", "snarkjs", "build", "cli.cjs")
WASM: Final = "circuit.wasm"
PROVING_KEY: Final = "proving.zkey"
LIMITS: Final = Limits(time_s=180, memory_mb=1024)
_STDIN: Final = "/dev/stdin"
_LATER: Final = "The payments are not touched by this; clear the task to prove later."


class SnarkjsProver:
    """Makes proofs with the programs and keys in one folder.

    Args:
        place: the folder that `install` filled.
        circuits: the circuits this version knows, by id.
        keys: their verification keys, by circuit id.
        allow_development: whether development keys will do; never where money is real.
        limits: time and memory of one proof.
    """

    def __init__(
        self,
        place: Path,
        *,
        circuits: Mapping[str, Circuit],
        keys: Mapping[str, VerificationKey],
        allow_development: bool,
        limits: Limits = LIMITS,
    ) -> None:
        self._place = place
        self._circuits = circuits
        self._keys = keys
        self._allow_development = allow_development
        self._limits = limits

    def prove(self, statement: Statement) -> Proof:
        """Prove one statement, and verify the proof before it is returned.

        Raises:
            ConfigError: no Node, no snarkjs, no accepted key, or a file that is not the pinned one.
            ProverError: snarkjs failed, took too long, or proved something else.
        """
        circuit, key = self._accepted(statement.circuit)
        folder = self._place / circuit.id
        self._require_installed(folder, circuit)
        inputs = json.dumps(statement.inputs).encode("ascii")
        with _work_folder(self._place / "work", keep_s=self._limits.time_s) as work:
            run_node(
                [
                    *(self._place / CLI, "groth16", "fullprove", _STDIN),
                    *(folder / WASM, folder / PROVING_KEY, "proof.json", "public.json"),
                ],
                cwd=work,
                limits=self._limits,
                stdin=inputs,
            )
            return _checked(work, statement=statement, key=key)

    def _accepted(self, name: str) -> tuple[Circuit, VerificationKey]:
        circuit, key = self._circuits.get(name), self._keys.get(name)
        if circuit is None or key is None:
            most = max((one.agents for one in self._circuits.values()), default=0)
            message = (
                f"This version proves workflows of up to {most} agents; this one needs the circuit "
                f"{name}, which comes with a later version. {_LATER}"
            )
            raise ConfigError(message)
        if circuit.development and not self._allow_development:
            message = (
                f"The only key for {name} is a development key, under which anybody can forge. Set "
                "`[cwf] environment = development` to use it where nothing is real, or install a "
                f"key from a ceremony. {_LATER}"
            )
            raise ConfigError(message)
        if vk_digest(key) != circuit.verification_key:
            raise ConfigError(f"The verification key of {name} is not the pinned one. {_LATER}")
        return circuit, key

    def _require_installed(self, folder: Path, circuit: Circuit) -> None:
        if not (self._place / CLI).is_file():
            message = (
                f"snarkjs is not installed in {self._place}: run `cwf prover install`. {_LATER}"
            )
            raise ConfigError(message)
        for name, digest in ((WASM, circuit.wasm), (PROVING_KEY, circuit.proving_key)):
            require_digest(folder / name, digest)


def require_digest(path: Path, expected: str) -> None:
    """Check that a file is there and is the pinned one.

    Raises:
        ConfigError: it is not.
    """
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}): run `cwf prover install`. {_LATER}"
        raise ConfigError(message) from error
    if f"0x{found}" != expected:
        message = f"{path} is not the file this version pins: run `cwf prover install`. {_LATER}"
        raise ConfigError(message)


def _checked(work: Path, *, statement: Statement, key: VerificationKey) -> Proof:
    """Return the proof in `work` if it proves just this statement."""
    try:
        proof = parse_proof((work / "proof.json").read_bytes())
        signals = parse_signals((work / "public.json").read_bytes())
        if signals != statement.signals:
            raise ProverError(
                "snarkjs computed other public signals than Python: a bug, report it."
            )
        verify(key, proof, signals)
    except OSError as error:
        raise ProverError("snarkjs ended without a proof.") from error
    except VerificationError as error:
        raise ProverError(f"snarkjs gave a proof that does not hold: {error}") from error
    return proof


@contextmanager
def _work_folder(parent: Path, *, keep_s: float) -> Iterator[Path]:
    """Give a folder that only its owner can enter, and remove it; sweep what a kill left behind."""
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in parent.iterdir():
        # A folder younger than two proofs may belong to another worker.
        if time.time() - old.stat().st_mtime > 2 * keep_s:
            shutil.rmtree(old, ignore_errors=True)
    folder = parent / secrets.token_hex(8)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
