"""Builds a circuit and its DEVELOPMENT key: the same bytes on every machine, secrets known to all.

Compile with circom2, make the key from a published secret, contribute published bytes, close with a
published beacon (ADR 0006). Contribution and beacon hide nothing; they make gamma and delta differ,
as in a key from a ceremony, so that the strict checks hold for it without an exception.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from airflow_cwf.adapters.provers.node import Limits, run_node
from airflow_cwf.adapters.provers.snarkjs import CLI, PROVING_KEY, WASM

R1CS: Final = "circuit.r1cs"
_COMPILER: Final = Path("node_modules", "circom2", "cli.js")
_LIMITS: Final = Limits(time_s=1800, memory_mb=2048)
_BEACON: Final = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"
_ITERATIONS: Final = "10"

Report = Callable[[str], None]


def build_development_key(
    name: str, *, sources: Path, programs: Path, work: Path, report: Report
) -> None:
    """Leave `circuit.r1cs`, `circuit.wasm` and `proving.zkey` of one circuit in `work`.

    Takes 12 to 25 s of CPU time for `cwf-8`.

    Args:
        name: circuit id, also the name of its main file.
        sources: folder of the circuits and of the two scripts.
        programs: folder with `node_modules`.
        work: an empty folder.
        report: takes one sentence per step.

    Raises:
        ConfigError: Node or a program is missing.
        ProverError: a program failed.
    """
    for source in sources.glob("*.circom"):
        shutil.copy(source, work)
    report(f"Compiling {name}")
    compiler = (programs / _COMPILER, f"{name}.circom", "--r1cs", "--wasm", "--O2", "-o", ".")
    run_node(compiler, cwd=work, limits=_LIMITS)
    (work / f"{name}.r1cs").rename(work / R1CS)
    (work / f"{name}_js" / f"{name}.wasm").rename(work / WASM)
    report(f"Making the development key of {name}")
    modules = programs / "node_modules"
    run_node([sources / "development_key.mjs", R1CS, "0.zkey", modules], cwd=work, limits=_LIMITS)
    report("Contributing and closing with a beacon, both published")
    published = ("--require", sources / "published_randomness.cjs", programs / CLI, "zkey")
    run_node(
        [*published, "contribute", "0.zkey", "1.zkey", "--name=development", "-e=published"],
        cwd=work,
        limits=_LIMITS,
    )
    beacon = ("beacon", "1.zkey", PROVING_KEY, _BEACON, _ITERATIONS, "--name=development")
    run_node([programs / CLI, "zkey", *beacon], cwd=work, limits=_LIMITS)
