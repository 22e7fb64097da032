"""Chooses and installs the prover; reads what the package carries about circuits and keys."""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Final, cast

from airflow_cwf.adapters.provers.install import Sources, install
from airflow_cwf.adapters.provers.snarkjs import SnarkjsProver
from airflow_cwf.core.circuits import Circuit, parse_circuits
from airflow_cwf.core.evidence.groth16 import VerificationKey
from airflow_cwf.core.evidence.snarkjs_files import parse_verification_key
from airflow_cwf.core.ports import Prover

DEVELOPMENT: Final = "development"
"""The `[cwf] environment` in which development keys will do."""


def load_circuits() -> dict[str, Circuit]:
    """Return the circuits this version knows, by id.

    Raises:
        ConfigError: the package is damaged.
    """
    return parse_circuits(_data("circuits.json").read_text(encoding="utf-8"))


def load_verification_key(circuit: str) -> VerificationKey:
    """Return the shipped verification key of a circuit.

    Raises:
        VerificationError: check 5; the package is damaged.
    """
    return parse_verification_key(_data("keys", f"{circuit}.json").read_bytes())


def open_prover(place: str | Path, *, environment: str) -> Prover:
    """Return the prover in a folder; nothing is looked at before the first proof.

    Args:
        place: where `install_prover` put it.
        environment: `[cwf] environment`; only `development` accepts development keys.
    """
    circuits = load_circuits()
    return SnarkjsProver(
        Path(place).resolve(),  # its programs run in a folder of their own
        circuits=circuits,
        keys={name: load_verification_key(name) for name in circuits},
        allow_development=environment == DEVELOPMENT,
    )


def install_prover(
    place: str | Path, *, offline: str | Path | None = None, report: Callable[[str], None]
) -> None:
    """Install programs and keys into a folder; see `adapters.provers.install`.

    Raises:
        ConfigError: Node or npm is missing, or `offline` holds no such files.
        ProverError: a program failed, or built another file than the pinned one.
    """
    install(
        Path(place),
        circuits=load_circuits(),
        sources=Sources(circuits=circuit_sources(), npm=_data("prover")),
        offline=None if offline is None else Path(offline),
        report=report,
    )


def circuit_sources() -> Path:
    """Return the folder of the circuits: in the wheel, else beside the package in a checkout."""
    shipped = _data("circuits")
    return shipped if shipped.is_dir() else _data().parents[1] / "circuits"


def _data(*parts: str) -> Path:
    return cast("Path", files("airflow_cwf")).joinpath("data", *parts)
