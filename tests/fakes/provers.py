"""Provers that need no Node."""

import itertools

from airflow_cwf.core.evidence.groth16 import Proof
from airflow_cwf.core.evidence.statement import Statement


class FormalProver:
    """Makes proofs that are proofs in form only, each another one, as snarkjs does.

    What is told by them is who proved when; that proofs hold is tested elsewhere.
    """

    def __init__(self) -> None:
        self.numbers = itertools.count(1)
        self.proved: list[Statement] = []

    def prove(self, statement: Statement) -> Proof:
        self.proved.append(statement)
        number = next(self.numbers)
        return Proof(a=(number, 2), b=(3, 4, 5, 6), c=(7, 8))
