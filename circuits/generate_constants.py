"""Write Poseidon's constants for the circuits, from the same Grain LFSR that Python uses.

    python circuits/generate_constants.py            write circuits/poseidon_constants.circom
    python circuits/generate_constants.py --check    exit 1 if the committed file is another

Only the widths that the circuits use are written: P_2 (tree), P_5 (root), P_9 (rows).
"""

# ruff: noqa: INP001 - a script, not a package

import argparse
import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Final

from airflow_cwf.core.evidence.poseidon import Parameters, parameters

TARGET: Final = Path(__file__).resolve().with_name("poseidon_constants.circom")
INPUTS: Final = (2, 5, 9)
_TABLES: Final = ("constants", "matrix")
_HEAD: Final = """\
// SPDX-License-Identifier: Apache-2.0
// Written by circuits/generate_constants.py from airflow_cwf/core/evidence/poseidon.py, which makes
// these numbers by the Grain LFSR of the paper (eprint 2019/458, appendix E). Do not edit.
pragma circom 2.1.6;
"""


def constants_file() -> str:
    """Return the text of the file: three functions of the width, which is n + 1."""
    widths = {inputs + 1: parameters(inputs + 1) for inputs in INPUTS}
    partial = "\n".join(
        f"    if (width == {width}) {{ return {one.partial_rounds}; }}"
        for width, one in widths.items()
    )
    parts = [
        _HEAD,
        f"function poseidon_partial_rounds(width) {{\n{partial}\n    return 0;\n}}\n",
        *(_function(name, widths) for name in _TABLES),
    ]
    return "\n".join(parts)


def _numbers(name: str, one: Parameters) -> list[int]:
    table = one.constants if name == "constants" else one.matrix
    return list(chain.from_iterable(table))


def _function(name: str, widths: dict[int, Parameters]) -> str:
    cases = "\n".join(
        f"    if (width == {width}) {{\n        return [\n{_lines(_numbers(name, one))}\n"
        "        ];\n    }"
        for width, one in widths.items()
    )
    return f"function poseidon_{name}(width) {{\n{cases}\n    return [0];\n}}\n"


def _lines(numbers: Iterable[int]) -> str:
    return ",\n".join(f"            {number}" for number in numbers)


def main() -> int:
    """Write or check the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    text = constants_file()
    if not parser.parse_args().check:
        TARGET.write_text(text, encoding="utf-8")
        return 0
    if TARGET.read_text(encoding="utf-8") == text:
        return 0
    print(f"{TARGET.name} is not what the generator writes; run it.", file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
