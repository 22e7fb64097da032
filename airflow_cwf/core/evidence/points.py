"""Points of BN254 as plain numbers, as keys and proofs hold them."""

from typing import TypeAlias

G1: TypeAlias = tuple[int, int]
"""x, y."""
G2: TypeAlias = tuple[int, int, int, int]
"""x.c0, x.c1, y.c0, y.c1: coordinates are x = c0 + c1 * u with u^2 = -1."""
