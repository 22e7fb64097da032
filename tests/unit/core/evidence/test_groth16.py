import json
from dataclasses import replace

import pytest

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence import groth16
from airflow_cwf.core.evidence.groth16 import (
    BASE_ORDER,
    Proof,
    check_key,
    decode_proofs,
    encode_proofs,
    verify,
    vk_digest,
)
from airflow_cwf.core.evidence.poseidon import FIELD_ORDER
from airflow_cwf.wiring.prover import load_circuits, load_verification_key
from tests.fakes.groth16 import VECTORS, forge, negated_g1, triple

# On the twist, not of order r: x = 1, y^2 = x^3 + 3 / (9 + u).
OUTSIDE_THE_SUBGROUP = (
    1,
    0,
    18278151005453108793778860132295291098363647455926340152056652516292830556603,
    5912654199736721486680175016176231956195085055698687135131307249486702594212,
)
GOOD = triple("cwf-8")
PRODUCT = triple("product")


def refused(key, proof, signals, *, check, match):
    with pytest.raises(VerificationError, match=match) as caught:
        verify(key, proof, signals)
    assert caught.value.check == check


@pytest.mark.parametrize("name", ["cwf-8", "product"])
def test_proofs_made_by_snarkjs_hold(name):
    made = triple(name)
    verify(made.key, made.proof, made.signals)


def test_another_value_of_a_signal_is_refused():
    for index in range(2):
        changed = list(PRODUCT.signals)
        changed[index] += 1
        refused(PRODUCT.key, PRODUCT.proof, changed, check=8, match="does not hold")


@pytest.mark.parametrize("index", range(9))
def test_a_signal_of_r_or_more_is_refused_although_it_is_the_same_number(index):
    signals = list(GOOD.signals)
    signals[index] += FIELD_ORDER
    refused(GOOD.key, GOOD.proof, signals, check=8, match=f"signal {index} is not below r")


def test_a_negative_signal_is_refused():
    signals = (GOOD.signals[0] - FIELD_ORDER, *GOOD.signals[1:])
    refused(GOOD.key, GOOD.proof, signals, check=8, match="not below r")


@pytest.mark.parametrize("count", [0, 8, 10])
def test_another_number_of_signals_is_refused(count):
    signals = [*GOOD.signals, 0][:count]
    refused(GOOD.key, GOOD.proof, signals, check=8, match=f"there are {count}")


@pytest.mark.parametrize("point", ["a", "b", "c"])
def test_a_coordinate_of_q_or_more_is_refused_although_it_is_the_same_point(point):
    coordinates = list(getattr(GOOD.proof, point))
    for index in range(len(coordinates)):
        changed = [*coordinates[:index], coordinates[index] + BASE_ORDER, *coordinates[index + 1 :]]
        proof = replace(GOOD.proof, **{point: tuple(changed)})
        refused(GOOD.key, proof, GOOD.signals, check=8, match="not below q")


@pytest.mark.parametrize("point", ["a", "b", "c"])
def test_the_point_at_infinity_is_refused(point):
    zero = (0,) * len(getattr(GOOD.proof, point))
    proof = replace(GOOD.proof, **{point: zero})
    refused(GOOD.key, proof, GOOD.signals, check=8, match="at infinity")


@pytest.mark.parametrize("point", ["a", "b", "c"])
def test_a_point_off_the_curve_is_refused(point):
    coordinates = getattr(GOOD.proof, point)
    proof = replace(GOOD.proof, **{point: (*coordinates[:-1], coordinates[-1] ^ 1)})
    refused(GOOD.key, proof, GOOD.signals, check=8, match="not on the curve")


def test_the_words_of_b_in_the_other_order_are_refused():
    x0, x1, y0, y1 = GOOD.proof.b
    proof = replace(GOOD.proof, b=(x1, x0, y1, y0))
    refused(GOOD.key, proof, GOOD.signals, check=8, match="B of the proof is not on the curve")


def test_a_point_outside_the_subgroup_is_refused():
    proof = replace(GOOD.proof, b=OUTSIDE_THE_SUBGROUP)
    refused(GOOD.key, proof, GOOD.signals, check=8, match="not in the subgroup")


def test_a_negated_point_is_refused():
    proof = replace(GOOD.proof, a=negated_g1(GOOD.proof.a))
    refused(GOOD.key, proof, GOOD.signals, check=8, match="does not hold")


def test_a_proof_can_be_made_into_another_one_of_the_same():
    x0, x1, y0, y1 = PRODUCT.proof.b
    b = (x0, x1, BASE_ORDER - y0, BASE_ORDER - y1)
    verify(PRODUCT.key, Proof(negated_g1(PRODUCT.proof.a), b, PRODUCT.proof.c), PRODUCT.signals)


def test_a_proof_under_another_key_is_refused():
    refused(PRODUCT.key, GOOD.proof, PRODUCT.signals, check=8, match="does not hold")


def test_a_key_straight_from_setup_is_refused_because_anybody_forges_under_it():
    key = triple("setup_only").key
    invented = (FIELD_ORDER - 1, 4711)
    forged = forge(key, invented)
    assert groth16._pairing_holds(key, forged, invented)
    refused(key, forged, invented, check=5, match="gamma equals delta")


def test_the_same_forgery_does_not_hold_under_a_contributed_key():
    forged = forge(PRODUCT.key, (1, 2))
    refused(PRODUCT.key, forged, (1, 2), check=8, match="does not hold")


@pytest.mark.parametrize("name", ["alpha", "beta", "gamma", "delta"])
def test_a_point_of_the_key_off_its_curve_is_refused(name):
    point = getattr(GOOD.key, name)
    key = replace(GOOD.key, **{name: (*point[:-1], point[-1] ^ 1)})
    refused(key, GOOD.proof, GOOD.signals, check=5, match=f"{name} of the key is not on the curve")


@pytest.mark.parametrize("name", ["beta", "gamma", "delta"])
def test_a_point_of_the_key_outside_the_subgroup_is_refused(name):
    key = replace(GOOD.key, **{name: OUTSIDE_THE_SUBGROUP})
    refused(key, GOOD.proof, GOOD.signals, check=5, match=f"{name} of the key is not in the subg")


def test_a_signal_whose_point_is_at_infinity_would_be_free_and_is_refused():
    key = replace(GOOD.key, ic=(*GOOD.key.ic[:9], (0, 0)))
    refused(key, GOOD.proof, GOOD.signals, check=5, match="IC_9 of the key is the point at inf")


def test_zk_proof_keeps_every_coordinate_in_the_order_of_the_contract():
    text = encode_proofs([GOOD.proof, PRODUCT.proof])
    assert decode_proofs(text, chunks=2) == (GOOD.proof, PRODUCT.proof)
    file = json.loads((VECTORS / "cwf-8" / "proof.json").read_bytes())
    (x0, x1), (y0, y1), _ = file["pi_b"]
    words = [*file["pi_a"][:2], x1, x0, y1, y0, *file["pi_c"][:2]]
    assert encode_proofs([GOOD.proof]) == "0x" + "".join(f"{int(word):064x}" for word in words)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[2:],
        lambda text: text[:-2],
        lambda text: text + "00" * 256,
        lambda text: "0x" + text[2:].upper(),
        lambda text: text[:-1] + "_",
        lambda text: text[:-2] + "+1",
        lambda text: "",
    ],
)
def test_a_zk_proof_out_of_form_is_refused(change):
    with pytest.raises(VerificationError) as caught:
        decode_proofs(change(encode_proofs([GOOD.proof])), chunks=1)
    assert caught.value.check == 8


def test_a_coordinate_of_q_or_more_in_a_zk_proof_is_refused():
    x, y = GOOD.proof.a
    with pytest.raises(VerificationError, match="not below q"):
        decode_proofs(encode_proofs([replace(GOOD.proof, a=(x + BASE_ORDER, y))]), chunks=1)


def test_the_digest_of_a_key_covers_every_coordinate():
    digests = {vk_digest(GOOD.key)}
    for name in ("alpha", "beta", "gamma", "delta"):
        point = getattr(GOOD.key, name)
        for index in range(len(point)):
            other = (*point[:index], point[index] ^ 1, *point[index + 1 :])
            digests.add(vk_digest(replace(GOOD.key, **{name: other})))
    digests.add(vk_digest(replace(GOOD.key, ic=GOOD.key.ic[:-1])))
    assert len(digests) == 16


def test_the_shipped_key_is_sound_and_the_one_that_is_pinned():
    for name, circuit in load_circuits().items():
        key = load_verification_key(name)
        check_key(key)
        assert vk_digest(key) == circuit.verification_key
        assert len(key.ic) == 10
