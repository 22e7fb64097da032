import json

import pytest

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.groth16 import BASE_ORDER
from airflow_cwf.core.evidence.snarkjs_files import (
    MAX_BYTES,
    key_document,
    key_from_document,
    parse_proof,
    parse_signals,
    parse_verification_key,
    proof_document,
)
from tests.fakes.groth16 import VECTORS, triple

FOLDER = VECTORS / "cwf-8"
KEY = json.loads((FOLDER / "verification_key.json").read_bytes())
PROOF = json.loads((FOLDER / "proof.json").read_bytes())


def changed(document, **members):
    return json.dumps({**document, **members}).encode()


def test_a_proof_is_written_as_snarkjs_writes_it():
    assert proof_document(triple("cwf-8").proof) == PROOF


def test_a_key_is_written_as_snarkjs_writes_it_save_what_is_computed():
    key = triple("cwf-8").key
    assert key_from_document(key_document(key)) == key
    assert key_document(key) == {k: v for k, v in KEY.items() if k != "vk_alphabeta_12"}


HOSTILE = [
    pytest.param(b"", id="empty"),
    pytest.param(b"null", id="null"),
    pytest.param(b"\xff\xfe", id="not UTF-8"),
    pytest.param(b"[" * 100_000, id="deep"),
    pytest.param(b'{"a":' * 50_000 + b"1" + b"}" * 50_000, id="deep objects"),
    pytest.param(b'{"protocol":"groth16","protocol":"groth16"}', id="twice"),
    pytest.param(b'{"nPublic":' + b"9" * 100_000 + b"}", id="huge number"),
    pytest.param(b"[1e400]", id="exponent"),
    pytest.param(b"[NaN]", id="NaN"),
    pytest.param(b" " * (MAX_BYTES + 1), id="large"),
    pytest.param(b'"text"', id="text"),
    pytest.param(b"{}", id="empty object"),
]


@pytest.mark.parametrize("data", HOSTILE)
@pytest.mark.parametrize(
    ("parse", "check"), [(parse_verification_key, 5), (parse_proof, 8), (parse_signals, 8)]
)
def test_hostile_json_is_refused_in_one_sentence(parse, check, data):
    with pytest.raises(VerificationError) as caught:
        parse(data)
    assert caught.value.check == check
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    "members",
    [
        {"pi_a": [*PROOF["pi_a"][:2], "0"]},
        {"pi_a": ["0", "1", "0"]},
        {"pi_a": PROOF["pi_a"][:2]},
        {"pi_a": [*PROOF["pi_a"], "1"]},
        {"pi_a": [str(int(PROOF["pi_a"][0]) + BASE_ORDER), *PROOF["pi_a"][1:]]},
        {"pi_a": ["0" + PROOF["pi_a"][0], *PROOF["pi_a"][1:]]},
        {"pi_a": ["-1", *PROOF["pi_a"][1:]]},
        {"pi_a": [hex(int(PROOF["pi_a"][0])), *PROOF["pi_a"][1:]]},
        {"pi_a": ["\N{ARABIC-INDIC DIGIT ONE}", *PROOF["pi_a"][1:]]},
        {"pi_a": [1, 2, 1]},
        {"pi_a": "12"},
        {"pi_b": [*PROOF["pi_b"][:2], ["0", "1"]]},
        {"pi_b": [*PROOF["pi_b"][:2], ["1", "0", "0"]]},
        {"pi_b": PROOF["pi_b"][:2]},
        {"pi_c": None},
        {"protocol": "plonk"},
        {"curve": "bls12381"},
        {"curve": ["bn128"]},
        {"further": 1},
    ],
)
def test_a_proof_out_of_form_is_refused(members):
    with pytest.raises(VerificationError):
        parse_proof(changed(PROOF, **members))


@pytest.mark.parametrize(
    "members",
    [
        {"nPublic": 8},
        {"nPublic": "9"},
        {"nPublic": True},
        {"IC": KEY["IC"][:9]},
        {"IC": []},
        {"IC": {}},
        {"IC": KEY["IC"] * 200},
        {"vk_gamma_2": KEY["vk_alpha_1"]},
        {"protocol": "fflonk"},
    ],
)
def test_a_key_out_of_form_is_refused(members):
    with pytest.raises(VerificationError) as caught:
        parse_verification_key(changed(KEY, **members))
    assert caught.value.check == 5


def test_a_circuit_without_public_signals_has_files_too():
    assert parse_signals(b"[]") == ()
    document = key_document(triple("cwf-8").key) | {"IC": KEY["IC"][:1], "nPublic": 0}
    assert len(key_from_document(document).ic) == 1


def test_more_signals_than_allowed_are_refused():
    with pytest.raises(VerificationError, match="at most 1024"):
        parse_signals(json.dumps(["0"] * 1025).encode())


def test_a_proof_without_its_curve_as_other_provers_write_it_is_read():
    document = {name: value for name, value in PROOF.items() if name != "curve"}
    assert parse_proof(json.dumps(document).encode()) == triple("cwf-8").proof


@pytest.mark.parametrize("item", [1, None, "", "01", "+1", " 1", "1\n", "0x1", "9" * 79, ["1"]])
def test_a_signal_that_is_no_plain_decimal_text_is_refused(item):
    with pytest.raises(VerificationError):
        parse_signals(json.dumps([item]).encode())
