"""The group arithmetic and the pairing that Groth16 needs, on py_ecc's BN254 (`optimized_bn128`).

Import this module where it is used: it takes half a second.

py_ecc raises Python's recursion limit to 100,000 for the whole process when it is imported. With
that limit, deeply nested JSON from outside crashes the interpreter instead of raising
`RecursionError`, so the limit is put back, and nothing here uses py_ecc's recursive multiplication.
"""

import sys
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from airflow_cwf.core.evidence.points import G1, G2

_RECURSION_LIMIT: Final = sys.getrecursionlimit()

from py_ecc.fields import (  # noqa: E402 - between reading the limit and putting it back
    optimized_bn128_FQ as FQ,
)
from py_ecc.fields import optimized_bn128_FQ2 as FQ2  # noqa: E402
from py_ecc.fields import optimized_bn128_FQ12 as FQ12  # noqa: E402
from py_ecc.optimized_bn128 import optimized_curve as curve  # noqa: E402
from py_ecc.optimized_bn128 import optimized_pairing as pairing  # noqa: E402

sys.setrecursionlimit(_RECURSION_LIMIT)

G1Point: TypeAlias = tuple[FQ, FQ, FQ]
G2Point: TypeAlias = tuple[FQ2, FQ2, FQ2]
"""Projective; third coordinate 0 is infinity."""

_WINDOW: Final = 4


def g1_point(point: G1) -> G1Point:
    """Return an affine point in projective coordinates."""
    return FQ(point[0]), FQ(point[1]), FQ(1)


def g2_point(point: G2) -> G2Point:
    """Return an affine point of the twist in projective coordinates."""
    return FQ2(point[:2]), FQ2(point[2:]), FQ2((1, 0))


def is_on_twist(point: G2) -> bool:
    """Tell whether y^2 = x^3 + 3 / (9 + u)."""
    return curve.is_on_curve(g2_point(point), curve.b2)


def is_in_subgroup(point: G2) -> bool:
    """Tell whether r times the point, which lies on the twist, is infinity."""
    twisted = g2_point(point)
    total = curve.Z2
    for bit in f"{curve.curve_order:b}":
        total = curve.double(total)
        if bit == "1":
            total = curve.add(total, twisted)
    return curve.is_inf(total)


def sum_of_multiples(first: G1, factors: Sequence[int], points: Sequence[G1]) -> G1Point:
    """Return `first` plus the sum of `factor * point`, factors below 2^256.

    Pippenger's buckets: each point costs one addition per four bits, so a thousand take a second.
    """
    group = [g1_point(point) for point in points]
    total = curve.Z1
    for shift in range(256 - _WINDOW, -1, -_WINDOW):
        for _ in range(_WINDOW):
            total = curve.double(total)
        buckets = [curve.Z1] * (1 << _WINDOW)
        for factor, point in zip(factors, group, strict=True):
            digit = factor >> shift & (len(buckets) - 1)
            buckets[digit] = curve.add(buckets[digit], point)
        running = curve.Z1
        for bucket in reversed(buckets[1:]):  # bucket d is counted d times
            running = curve.add(running, bucket)
            total = curve.add(total, running)
    return curve.add(g1_point(first), total)


def negated(point: G1) -> G1Point:
    """Return the inverse of a point."""
    return curve.neg(g1_point(point))


def product_is_one(pairs: Iterable[tuple[G1Point, G2]]) -> bool:
    """Tell whether the product of the pairings e(first, second) is 1."""
    product = FQ12.one()
    for first, second in pairs:
        product *= pairing.pairing(g2_point(second), first, final_exponentiate=False)
    return pairing.final_exponentiate(product) == FQ12.one()
