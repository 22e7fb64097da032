"""A run proved by snarkjs with the circuit and the key that this package ships."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

from airflow_cwf.actions.verify import State, verify
from airflow_cwf.core.evidence.groth16 import decode_proofs, encode_proofs
from airflow_cwf.core.evidence.record import parse_document, record_of
from airflow_cwf.wiring.verification import load_trust
from tests.fakes.forging_key import randomised
from tests.fakes.proved import TERMS, TRUST, as_bytes

DATA = (Path(__file__).parents[2] / "vectors" / "evidence" / "proved.json").read_bytes()
RECORD = record_of(parse_document(DATA))
TRUSTED = replace(TERMS, trust=replace(TRUST, keys=load_trust().keys), offline=True)
DEV = replace(TRUSTED, dev=True)


def states(data, terms):
    result = asyncio.run(verify(data if isinstance(data, bytes) else as_bytes(data), terms))
    return {line.number: line.state for line in result.lines}, result.exit_code


def test_the_real_proof_holds_as_that_of_a_development_key():
    found, code = states(DATA, DEV)
    assert {number for number, state in found.items() if state is State.HELD} == set(range(1, 12))
    assert code == 0


def test_without_dev_it_falls_at_5():
    found, code = states(DATA, TRUSTED)
    assert found[5] is State.FALSE
    assert code == 1


def test_a_randomised_real_proof_holds_and_one_of_other_signals_does_not():
    (proof,) = decode_proofs(RECORD["zk_proof"], chunks=1)
    again = RECORD | {"zk_proof": encode_proofs([randomised(proof, factor=7)])}
    assert states(again, DEV)[1] == 0
    vectors = Path(__file__).parents[2] / "vectors" / "groth16" / "cwf-8"
    other = json.loads((vectors / "proof.json").read_bytes())
    assert other["pi_a"][0] != str(proof.a[0])
    from airflow_cwf.core.evidence.snarkjs_files import parse_proof

    strange = encode_proofs([parse_proof((vectors / "proof.json").read_bytes())])
    assert states(RECORD | {"zk_proof": strange}, DEV)[0][8] is State.FALSE
