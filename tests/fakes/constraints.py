"""The constraints of a compiled circuit, checked one by one in Python (iden3's r1cs format, v1).

Wires come by name: a witness is a map from signal names to numbers, whoever computed them.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from airflow_cwf.core.evidence.poseidon import FIELD_ORDER

Combination = list[tuple[int, int]]


@dataclass(frozen=True)
class Constraints:
    wires: int
    rows: list[tuple[Combination, Combination, Combination]]
    names: Mapping[int, str]
    """Wire to one of the names of its signal."""

    def broken(self, values: Mapping[str, int]) -> int | None:
        """Return the first constraint that does not hold, None if all hold."""
        wires = [1] + [values[self.names[wire]] for wire in range(1, self.wires)]
        for index, row in enumerate(self.rows):
            a, b, c = (sum(factor * wires[wire] for wire, factor in side) for side in row)
            if (a * b - c) % FIELD_ORDER:
                return index
        return None


def read_constraints(r1cs: Path, sym: Path) -> Constraints:
    sections = dict(_sections(r1cs.read_bytes()))
    wires, *_, count = struct.unpack_from("<IIIIQI", sections[1], 36)
    data, at, rows = sections[2], 0, []
    for _ in range(count):
        row = []
        for _ in range(3):
            (size,) = struct.unpack_from("<I", data, at)
            at += 4
            side = []
            for _ in range(size):
                wire = int.from_bytes(data[at : at + 4], "little")
                side.append((wire, int.from_bytes(data[at + 4 : at + 36], "little")))
                at += 36
            row.append(side)
        rows.append(tuple(row))
    names = {wire: name for _, wire, name in read_sym(sym) if wire >= 0}
    return Constraints(wires, rows, names)


def read_witness(wtns: Path, sym: Path) -> dict[str, int]:
    """Return the values of a witness by signal name."""
    data = dict(_sections(wtns.read_bytes()))[2]
    values = [int.from_bytes(data[at : at + 32], "little") for at in range(0, len(data), 32)]
    return {name: values[wire] for _, wire, name in read_sym(sym) if wire >= 0}


def read_sym(path: Path) -> Iterator[tuple[int, int, str]]:
    """Yield label, wire (-1: substituted away) and name of each signal."""
    for line in path.read_text().splitlines():
        label, wire, _, name = line.split(",")
        yield int(label), int(wire), name


def _sections(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 12
    while at < len(data):
        kind, size = struct.unpack_from("<IQ", data, at)
        yield kind, data[at + 12 : at + 12 + size]
        at += 12 + size
