"""Poseidon over the scalar field of BN254, with circomlib's parameters.

Written from the paper (Grassi et al., https://eprint.iacr.org/2019/458): constants and matrix come
from its Grain LFSR (appendix E), so none is copied. Rounds: 8 full, and per width the partial ones
that circomlib uses. Checked against vectors of circomlibjs and go-iden3-crypto.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Final

from airflow_cwf.core.errors import VerificationError

FIELD_ORDER: Final = 21888242871839275222246405745257275088548364400416034343698204186575808495617
"""Order `r` of the BN254 groups: the field in which circuits compute."""

_FULL_ROUNDS: Final = 8
_PARTIAL_ROUNDS: Final = (56, 57, 56, 60, 60, 63, 64, 63, 60, 66, 60, 65, 70, 60, 64, 68)
"""By width, 2 .. 17: circomlib 2.0.5, circuits/poseidon.circom."""
_FIELD_BITS: Final = 254
_TAPS: Final = 1 << 62 | 1 << 51 | 1 << 38 | 1 << 23 | 1 << 13 | 1
_NEWEST: Final = 1 << 79
_WARM_UP: Final = 160


@dataclass(frozen=True, slots=True)
class Parameters:
    """The constants of one width, also what the circuits are generated from."""

    partial_rounds: int
    constants: tuple[tuple[int, ...], ...]
    """One row per round, one number per element of the state."""
    matrix: tuple[tuple[int, ...], ...]


def poseidon(inputs: Sequence[int]) -> int:
    """Return `P_n(inputs)`, n from 1 to 16, as circomlib's `Poseidon(n)` computes it.

    The first use of a width makes its constants (some tenths of a second) and keeps them.

    Raises:
        VerificationError: check 4; too many inputs, none, or one outside the field.
    """
    if not 1 <= len(inputs) <= len(_PARTIAL_ROUNDS):
        raise VerificationError("Poseidon takes 1 to 16 numbers.", check=4)
    if any(not 0 <= number < FIELD_ORDER for number in inputs):
        raise VerificationError("A number lies outside the field of the proof.", check=4)
    return _permute([0, *inputs])[0]


def _permute(state: list[int]) -> list[int]:
    table = parameters(len(state))
    half = _FULL_ROUNDS // 2
    for number, constants in enumerate(table.constants):
        state = [element + constant for element, constant in zip(state, constants, strict=True)]
        if half <= number < half + table.partial_rounds:
            state[0] = pow(state[0], 5, FIELD_ORDER)
        else:
            state = [pow(element, 5, FIELD_ORDER) for element in state]
        state = [
            sum(factor * element for factor, element in zip(row, state, strict=True)) % FIELD_ORDER
            for row in table.matrix
        ]
    return state


@cache
def parameters(width: int) -> Parameters:
    """Return the constants of a state of `width` elements, 2 to 17."""
    partial_rounds = _PARTIAL_ROUNDS[width - 2]
    bits = _grain(width=width, partial_rounds=partial_rounds)
    constants = tuple(
        tuple(islice(_below_order(bits), width)) for _ in range(_FULL_ROUNDS + partial_rounds)
    )
    # A Cauchy matrix from 2 * width further numbers, reduced, not rejected (paper, appendix E).
    numbers = [_number(bits) % FIELD_ORDER for _ in range(2 * width)]
    xs, ys = numbers[:width], numbers[width:]
    matrix = tuple(tuple(pow(x + y, -1, FIELD_ORDER) for y in ys) for x in xs)
    return Parameters(partial_rounds, constants, matrix)


def _grain(*, width: int, partial_rounds: int) -> Iterator[int]:
    """Yield the output bits of the self-shrinking 80-bit LFSR.

    Register bits leave in pairs; the second counts if the first is 1.
    """
    seed = (
        f"{1:02b}{0:04b}{_FIELD_BITS:012b}{width:012b}"
        f"{_FULL_ROUNDS:010b}{partial_rounds:010b}{'1' * 30}"
    )
    state = int(seed[::-1], 2)
    for _ in range(_WARM_UP):
        state = _shifted(state)
    while True:
        state = _shifted(state)
        keep = state & _NEWEST
        state = _shifted(state)
        if keep:
            yield 1 if state & _NEWEST else 0


def _shifted(state: int) -> int:
    """Shift the register by one: bit i of `state` is the paper's b_i."""
    return state >> 1 | ((state & _TAPS).bit_count() & 1) << 79


def _number(bits: Iterator[int]) -> int:
    value = 0
    for bit in islice(bits, _FIELD_BITS):
        value = value << 1 | bit
    return value


def _below_order(bits: Iterator[int]) -> Iterator[int]:
    while True:
        value = _number(bits)
        if value < FIELD_ORDER:
            yield value
