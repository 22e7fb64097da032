"""Puts the prover in place: snarkjs and circom2 from npm, and the keys this version pins.

A place looks like this; any place can be copied to a machine without network (`offline`):

    package-lock.json  node_modules/          programs, pinned with their integrity
    cwf-8/circuit.wasm  cwf-8/proving.zkey    files, pinned by `data/circuits.json`
    work/                                     of running proofs, swept
    .lock                                     held by the one process that installs
"""

import fcntl
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from airflow_cwf.adapters.provers.development_key import R1CS, Report, build_development_key
from airflow_cwf.adapters.provers.node import Limits, find_npm, run_node
from airflow_cwf.adapters.provers.snarkjs import CLI, PROVING_KEY, WASM, require_digest
from airflow_cwf.core.circuits import Circuit
from airflow_cwf.core.errors import ConfigError, ProverError

_LOCK: Final = "package-lock.json"
_MODULES: Final = "node_modules"
_NPM: Final = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
_NPM_LIMITS: Final = Limits(time_s=600, memory_mb=1024)


@dataclass(frozen=True, slots=True)
class Sources:
    """What the package carries to install from."""

    circuits: Path
    """Folder of the circom files and of the scripts that make development keys."""
    npm: Path
    """Folder of `package.json` and `package-lock.json`."""


def install(
    place: Path,
    *,
    circuits: Mapping[str, Circuit],
    sources: Sources,
    offline: Path | None,
    report: Report,
) -> None:
    """Bring programs and keys into `place`; what is already right is left alone.

    Of several processes at once one installs, the others wait for it and find everything right.

    Args:
        place: folder of the prover, made if it does not exist.
        circuits: the circuits to install keys of.
        sources: what to install from.
        offline: another place to copy from; then nothing is downloaded.
        report: takes one sentence per step.

    Raises:
        ConfigError: Node or npm is missing, or `offline` holds no such files.
        ProverError: a program failed, or built another file than the pinned one.
    """
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone_in(place):
        install_programs(place, npm=sources.npm, offline=offline, report=report)
        for circuit in circuits.values():
            if not _is_right(place / circuit.id, circuit):
                _install_circuit(place, circuit, sources=sources, offline=offline, report=report)
    report(f"The prover is installed in {place}.")


def install_programs(place: Path, *, npm: Path, offline: Path | None, report: Report) -> None:
    """Install snarkjs and circom2 into a place; see `install`."""
    lock = (npm / _LOCK).read_bytes()
    if _read(place / _LOCK) == lock and (place / CLI).is_file():
        return
    with _scratch(place) as work:
        if offline is None:
            report("Installing snarkjs and circom2 from npm")
            for name in ("package.json", _LOCK):
                shutil.copy(npm / name, work)
            run_node([find_npm(), *_NPM], cwd=work, limits=_NPM_LIMITS, own_environment=True)
        else:
            report(f"Copying the programs from {offline}")
            if _read(offline / _LOCK) != lock or not (offline / CLI).is_file():
                message = (
                    f"{offline} does not hold the programs this version pins: make it with "
                    "`cwf prover install` of the same version."
                )
                raise ConfigError(message)
            shutil.copytree(offline / _MODULES, work / _MODULES, symlinks=True)
            shutil.copy(offline / _LOCK, work)
        # The lock file goes last: with it in place, the programs count as complete.
        _put(work / _MODULES, place / _MODULES)
        _put(work / _LOCK, place / _LOCK)


def _install_circuit(
    place: Path, circuit: Circuit, *, sources: Sources, offline: Path | None, report: Report
) -> None:
    with _scratch(place) as work:
        if offline is not None and (offline / circuit.id).is_dir():
            report(f"Copying the key of {circuit.id} from {offline}")
            for name in (WASM, PROVING_KEY):
                shutil.copy(offline / circuit.id / name, work)
        elif circuit.development:
            build_development_key(
                circuit.id, sources=sources.circuits, programs=place, work=work, report=report
            )
            _require_built(work / R1CS, circuit.r1cs)
        else:
            message = (
                f"The key of {circuit.id} comes from a ceremony: give its folder with --offline."
            )
            raise ConfigError(message)
        _require_built(work / WASM, circuit.wasm)
        _require_built(work / PROVING_KEY, circuit.proving_key)
        folder = work / "installed"
        folder.mkdir(mode=0o700)
        for name in (WASM, PROVING_KEY):
            (work / name).rename(folder / name)
        _put(folder, place / circuit.id)


def _is_right(folder: Path, circuit: Circuit) -> bool:
    try:
        require_digest(folder / WASM, circuit.wasm)
        require_digest(folder / PROVING_KEY, circuit.proving_key)
    except ConfigError:
        return False
    return True


def _require_built(path: Path, digest: str) -> None:
    try:
        require_digest(path, digest)
    except ConfigError as error:
        message = f"{path.name} came out other than this version pins; nothing was installed."
        raise ProverError(message) from error


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _put(source: Path, target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    source.replace(target)


@contextmanager
def _alone_in(place: Path) -> Iterator[None]:
    """Wait until no other process installs here; the system lets go of the lock of a killed one."""
    with (place / ".lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _scratch(place: Path) -> Iterator[Path]:
    """Give a folder on the same file system, so that what is finished can be renamed into place."""
    folder = place / f".install-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
