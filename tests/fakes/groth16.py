"""The vectors of tests/vectors/groth16, read, and what an attacker does with them."""

from dataclasses import dataclass
from pathlib import Path

from airflow_cwf.core.evidence.bn254 import curve, negated, sum_of_multiples
from airflow_cwf.core.evidence.groth16 import Proof, VerificationKey
from airflow_cwf.core.evidence.points import G1
from airflow_cwf.core.evidence.snarkjs_files import (
    parse_proof,
    parse_signals,
    parse_verification_key,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "groth16"


@dataclass(frozen=True)
class Triple:
    key: VerificationKey
    proof: Proof
    signals: tuple[int, ...]


def triple(name: str) -> Triple:
    folder = VECTORS / name
    return Triple(
        parse_verification_key((folder / "verification_key.json").read_bytes()),
        parse_proof((folder / "proof.json").read_bytes()),
        parse_signals((folder / "public.json").read_bytes()),
    )


def negated_g1(point: G1) -> G1:
    return _affine(negated(point))


def forge(key: VerificationKey, signals: tuple[int, ...]) -> Proof:
    """Forge a proof of any signals under a key with gamma = delta: A = alpha, B = beta, C = -X."""
    combined = sum_of_multiples(key.ic[0], signals, key.ic[1:])
    return Proof(a=key.alpha, b=key.beta, c=_affine(curve.neg(combined)))


def _affine(point) -> G1:
    x, y = curve.normalize(point)
    return x.n, y.n
