"""Poseidon against two other implementations."""

import json
from pathlib import Path

import pytest

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.poseidon import FIELD_ORDER, poseidon

VECTORS = Path(__file__).parents[3] / "vectors" / "poseidon"


@pytest.mark.parametrize("file", sorted(VECTORS.glob("*.json")), ids=lambda file: file.stem)
def test_every_vector_of_the_other_implementation_is_reproduced(file):
    cases = json.loads(file.read_bytes())["cases"]
    assert cases
    for case in cases:
        assert poseidon([int(number) for number in case["inputs"]]) == int(case["hash"])


def test_circomlibjs_vectors_cover_every_width():
    cases = json.loads((VECTORS / "circomlibjs.json").read_bytes())["cases"]
    assert {len(case["inputs"]) for case in cases} == set(range(1, 17))


@pytest.mark.parametrize("inputs", [[], [0] * 17, [-1], [FIELD_ORDER]])
def test_what_the_circuit_cannot_take_is_refused(inputs):
    with pytest.raises(VerificationError) as refused:
        poseidon(inputs)
    assert refused.value.check == 4
