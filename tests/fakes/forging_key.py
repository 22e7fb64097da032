"""A verification key whose secret is known: with it a proof of any signals is made in Python.

Groth16 is only as good as the secrecy of its setup. Whoever knows alpha, beta, gamma, delta and the
IC scalars picks A and B freely and solves the pairing's equation for C. So verification is tested
on any statement, also on ones that no circuit would prove, without a prover.
"""

import json
from collections.abc import Sequence

from airflow_cwf.core.evidence.bn254 import curve
from airflow_cwf.core.evidence.groth16 import Proof, VerificationKey, vk_digest
from airflow_cwf.core.evidence.poseidon import FIELD_ORDER as R
from airflow_cwf.core.evidence.snarkjs_files import key_document

# By way of our own module, which puts the recursion limit back that py_ecc raises.
FQ, FQ2, G1, G2 = curve.FQ, curve.FQ2, curve.G1, curve.G2
multiply, normalize = curve.multiply, curve.normalize


def g1(scalar: int) -> tuple[int, int]:
    x, y = normalize(multiply(G1, scalar % R))
    return x.n, y.n


def g2(scalar: int) -> tuple[int, int, int, int]:
    x, y = normalize(multiply(G2, scalar % R))
    return tuple(int(part) for part in (*x.coeffs, *y.coeffs))


class ForgingKey:
    """Keys of different seeds are different keys."""

    def __init__(self, seed: int, *, signals: int = 9, gamma: int = 5, delta: int = 7):
        self.alpha, self.beta, self.gamma, self.delta = seed, seed + 1, gamma, delta
        self.ic = [seed * 100 + index for index in range(signals + 1)]
        self.key = VerificationKey(
            alpha=g1(self.alpha),
            beta=g2(self.beta),
            gamma=g2(self.gamma),
            delta=g2(self.delta),
            ic=tuple(g1(scalar) for scalar in self.ic),
        )
        self.digest = vk_digest(self.key)

    def prove(self, signals: Sequence[int], *, a: int = 11, b: int = 13) -> Proof:
        """Return a proof; another `a` or `b` gives another one of the same statement."""
        combined = self.ic[0] + sum(s * ic for s, ic in zip(signals, self.ic[1:], strict=True))
        rest = a * b - self.alpha * self.beta - self.gamma * combined
        return Proof(a=g1(a), b=g2(b), c=g1(rest * pow(self.delta, -1, R)))

    def entry(self, *, circuit: str = "cwf-8", development: bool = False) -> dict[str, object]:
        """Return what a trust file says of this key."""
        return {"circuit": circuit, "development": development, "key": key_document(self.key)}


def randomised(proof: Proof, *, factor: int) -> Proof:
    """Return another proof of the same, as anybody can: A / t, B * t, C."""
    a = multiply((FQ(proof.a[0]), FQ(proof.a[1]), FQ(1)), pow(factor, -1, R))
    b = multiply((FQ2(proof.b[:2]), FQ2(proof.b[2:]), FQ2((1, 0))), factor)
    (ax, ay), (bx, by) = normalize(a), normalize(b)
    return Proof(a=(ax.n, ay.n), b=tuple(int(part) for part in (*bx.coeffs, *by.coeffs)), c=proof.c)


def trust_file(
    keys: dict[str, dict[str, object]],
    *,
    contracts: Sequence[str] = (),
    submitters: Sequence[str] = (),
) -> bytes:
    return json.dumps(
        {
            "format": "cwf-trust/1",
            "keys": keys,
            "contracts": list(contracts),
            "submitters": list(submitters),
        }
    ).encode()
