"""Build the circuits and their DEVELOPMENT keys anew and write what the package pins.

    python circuits/setup.py            write circuits.json, keys/, trust.json in airflow_cwf/data
    python circuits/setup.py --check    exit 1 if the committed files are not what it gives

Everything is the same on every machine (ADR 0006). Programs come from a folder that `cwf prover
install` made, given with --programs, else from .cache/prover, which is made here.
"""

# ruff: noqa: INP001, T201 - a script, not a package

import argparse
import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Final

from airflow_cwf.adapters.provers.development_key import R1CS, build_development_key
from airflow_cwf.adapters.provers.install import install_programs
from airflow_cwf.adapters.provers.node import Limits, run_node
from airflow_cwf.adapters.provers.snarkjs import CLI, PROVING_KEY, WASM
from airflow_cwf.core.circuits import FORMAT
from airflow_cwf.core.evidence.groth16 import VerificationKey, check_key, vk_digest
from airflow_cwf.core.evidence.snarkjs_files import key_document, parse_verification_key
from airflow_cwf.core.evidence.statement import CIRCUITS

ROOT: Final = Path(__file__).resolve().parents[1]
DATA: Final = ROOT / "airflow_cwf" / "data"
CACHE: Final = ROOT / ".cache" / "prover"
BUILT: Final = ("cwf-8",)
_LIMITS: Final = Limits(time_s=120, memory_mb=1024)
_KEY: Final = "verification_key.json"


def build(programs: Path) -> dict[Path, str]:
    """Build all circuits and return the texts of the files that pin them."""
    circuits: dict[str, object] = {}
    keys: dict[str, VerificationKey] = {}
    for name in BUILT:
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            build_development_key(
                name, sources=ROOT / "circuits", programs=programs, work=work, report=print
            )
            export = ("zkey", "export", "verificationkey", PROVING_KEY, _KEY)
            run_node([programs / CLI, *export], cwd=work, limits=_LIMITS)
            keys[name] = parse_verification_key((work / _KEY).read_bytes())
            check_key(keys[name])
            circuits[name] = _pins(name, work=work, key=keys[name])
    return {
        DATA / "circuits.json": _json({"format": FORMAT, "circuits": circuits}),
        DATA / "trust.json": _json(_trust(keys)),
        **{DATA / "keys" / f"{name}.json": _json(key_document(key)) for name, key in keys.items()},
    }


def _pins(name: str, *, work: Path, key: VerificationKey) -> dict[str, object]:
    return {
        "agents": CIRCUITS[name],
        "constraints": _constraints((work / R1CS).read_bytes()),
        "development": True,
        "r1cs": _sha256(work / R1CS),
        "wasm": _sha256(work / WASM),
        "proving_key": _sha256(work / PROVING_KEY),
        "verification_key": vk_digest(key),
    }


def _trust(keys: dict[str, VerificationKey]) -> dict[str, object]:
    """Return the shipped trust file; `cwf verify` refuses development keys unless told."""
    entries = {
        vk_digest(key): {"circuit": name, "development": True, "key": key_document(key)}
        for name, key in keys.items()
    }
    return {"format": "cwf-trust/1", "keys": entries, "contracts": [], "submitters": []}


def _constraints(r1cs: bytes) -> int:
    """Read the number of constraints from the header, the section with number 1."""
    at = 12
    while int.from_bytes(r1cs[at : at + 4], "little") != 1:
        at += 12 + int.from_bytes(r1cs[at + 4 : at + 12], "little")
    return int.from_bytes(r1cs[at + 72 : at + 76], "little")


def _sha256(path: Path) -> str:
    return f"0x{hashlib.sha256(path.read_bytes()).hexdigest()}"


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def main() -> int:
    """Write or check the files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--programs", type=Path, default=CACHE, help="folder with node_modules")
    arguments = parser.parse_args()
    arguments.programs.mkdir(parents=True, exist_ok=True)
    install_programs(arguments.programs, npm=DATA / "prover", offline=None, report=print)
    texts = build(arguments.programs.resolve())
    if not arguments.check:
        for path, text in texts.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return 0
    changed = [path.name for path, text in texts.items() if path.read_text("utf-8") != text]
    if changed:
        print(f"Not what the circuits give: {', '.join(changed)}.", file=sys.stderr)
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
