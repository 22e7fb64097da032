"""Groth16 over BN254: keys, proofs, and the check of one proof, as strict as it can be.

A verifier that is lenient about encodings can be made to accept what nobody proved, so all of it is
refused: coordinates of q or more, signals of r or more (the same number twice), the point at
infinity, points off the curve or outside the subgroup, and a key whose gamma equals its delta (a
key straight from `setup`: anybody can forge under it).

The pairing (`bn254`) is imported where it is used, so that importing this module stays cheap.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.points import G1, G2
from airflow_cwf.core.evidence.poseidon import FIELD_ORDER
from airflow_cwf.core.hashes import sha3_256

BASE_ORDER: Final = 21888242871839275222246405745257275088696311157297823662689037894645226208583
"""Order `q` of the field in which the coordinates of points lie."""
PROOF_WORDS: Final = 8
KEY_CHECK: Final = 5
PROOF_CHECK: Final = 8


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """The public key of one circuit; `vk_digest` names it."""

    alpha: G1
    beta: G2
    gamma: G2
    delta: G2
    ic: tuple[G1, ...]
    """One point more than there are public signals."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Three points. Anybody can make another proof of the same from it: never an identifier."""

    a: G1
    b: G2
    c: G1


def vk_digest(key: VerificationKey) -> str:
    """Return the key's name: `H` over 32-byte words alpha, beta, gamma, delta, IC_0 .. IC_n."""
    words = [*key.alpha, *_swapped(key.beta), *_swapped(key.gamma), *_swapped(key.delta)]
    words += [word for point in key.ic for word in point]
    return f"0x{sha3_256(b''.join(_word(number) for number in words)).hex()}"


def encode_proofs(proofs: Iterable[Proof]) -> str:
    """Return `zk_proof`: per chunk A.x A.y B.x1 B.x0 B.y1 B.y0 C.x C.y, 32 bytes each, in hex."""
    words = (word for one in proofs for word in (*one.a, *_swapped(one.b), *one.c))
    return "0x" + b"".join(_word(number) for number in words).hex()


def decode_proofs(text: str, *, chunks: int) -> tuple[Proof, ...]:
    """Return the proofs inside a `zk_proof`, one per chunk.

    Raises:
        VerificationError: check 8; not `0x` and 512 lower-case hex digits per chunk, or a
            coordinate of q or more.
    """
    size = 64 * PROOF_WORDS
    digits = text[2:]
    if not text.startswith("0x") or len(digits) != size * chunks or set(digits) - _HEX:
        message = f"zk_proof is not `0x` and {size} lower-case hex digits for each of {chunks}."
        raise VerificationError(message, check=PROOF_CHECK)
    numbers = [int(digits[at : at + 64], 16) for at in range(0, len(digits), 64)]
    require_coordinates(numbers, what="the proof", check=PROOF_CHECK)
    starts = range(0, len(numbers), PROOF_WORDS)
    return tuple(_proof(numbers[start : start + PROOF_WORDS]) for start in starts)


def verify(key: VerificationKey, proof: Proof, signals: Sequence[int]) -> None:
    """Check one proof of the statement with these public signals; takes about half a second.

    Raises:
        VerificationError: check 5, the key is unusable or unsafe; check 8, the proof or a signal
            is malformed, or the proof does not hold.
    """
    check_key(key)
    _check_signals(key, signals)
    _check_proof(proof)
    if not _pairing_holds(key, proof, signals):
        message = "The proof does not hold for these public signals under this key."
        raise VerificationError(message, check=PROOF_CHECK)


@lru_cache(maxsize=16)
def check_key(key: VerificationKey) -> None:
    """Check a verification key by itself: points, subgroup, gamma != delta.

    Raises:
        VerificationError: check 5.
    """
    named_g1 = [("alpha", key.alpha), *((f"IC_{i}", point) for i, point in enumerate(key.ic))]
    named_g2 = [("beta", key.beta), ("gamma", key.gamma), ("delta", key.delta)]
    for name, point in named_g1:
        _check_g1(point, what=f"{name} of the key", check=KEY_CHECK)
    if key.gamma == key.delta:
        message = "gamma equals delta: the key comes straight from `setup`, anybody can forge."
        raise VerificationError(message, check=KEY_CHECK)
    for name, twisted in named_g2:
        _check_g2(twisted, what=f"{name} of the key", check=KEY_CHECK)


def require_coordinates(numbers: Iterable[int], *, what: str, check: int) -> None:
    """Check that all numbers are coordinates, from 0 to q - 1.

    Raises:
        VerificationError: `check`.
    """
    if any(not 0 <= number < BASE_ORDER for number in numbers):
        raise VerificationError(f"A coordinate of {what} is not below q.", check=check)


_HEX: Final = frozenset("0123456789abcdef")


def _check_signals(key: VerificationKey, signals: Sequence[int]) -> None:
    if len(signals) + 1 != len(key.ic):
        message = f"The key takes {len(key.ic) - 1} public signals; there are {len(signals)}."
        raise VerificationError(message, check=PROOF_CHECK)
    for index, signal in enumerate(signals):
        if not 0 <= signal < FIELD_ORDER:
            raise VerificationError(f"Public signal {index} is not below r.", check=PROOF_CHECK)


def _check_proof(proof: Proof) -> None:
    _check_g1(proof.a, what="A of the proof", check=PROOF_CHECK)
    _check_g1(proof.c, what="C of the proof", check=PROOF_CHECK)
    _check_g2(proof.b, what="B of the proof", check=PROOF_CHECK)


def _check_g1(point: G1, *, what: str, check: int) -> None:
    """Check y^2 = x^3 + 3. The curve's order is r itself: on the curve is in the group."""
    require_coordinates(point, what=what, check=check)
    x, y = point
    if (x, y) == (0, 0):
        raise VerificationError(f"{what} is the point at infinity.", check=check)
    if (y * y - x * x * x - 3) % BASE_ORDER:
        raise VerificationError(f"{what} is not on the curve.", check=check)


def _check_g2(point: G2, *, what: str, check: int) -> None:
    """Check that the point is on the twist and of order r: most points of the twist are not."""
    from airflow_cwf.core.evidence import bn254

    require_coordinates(point, what=what, check=check)
    if not any(point):
        raise VerificationError(f"{what} is the point at infinity.", check=check)
    if not bn254.is_on_twist(point):
        raise VerificationError(f"{what} is not on the curve.", check=check)
    if not bn254.is_in_subgroup(point):
        raise VerificationError(f"{what} is not in the subgroup.", check=check)


def _pairing_holds(key: VerificationKey, proof: Proof, signals: Sequence[int]) -> bool:
    """Check e(A, B) = e(alpha, beta) e(X, gamma) e(C, delta), X = IC_0 + sum s_i IC_i."""
    from airflow_cwf.core.evidence import bn254

    return bn254.product_is_one(
        (
            (bn254.negated(proof.a), proof.b),
            (bn254.g1_point(key.alpha), key.beta),
            (bn254.sum_of_multiples(key.ic[0], signals, key.ic[1:]), key.gamma),
            (bn254.g1_point(proof.c), key.delta),
        )
    )


def _proof(numbers: Sequence[int]) -> Proof:
    a_x, a_y, b_x1, b_x0, b_y1, b_y0, c_x, c_y = numbers
    return Proof(a=(a_x, a_y), b=(b_x0, b_x1, b_y0, b_y1), c=(c_x, c_y))


def _swapped(point: G2) -> tuple[int, int, int, int]:
    return point[1], point[0], point[3], point[2]


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")
