"""The three JSON files of a snarkjs Groth16 proof, read strictly and written back without loss.

Files are hostile until proved otherwise: size, nesting and length of numbers are bounded before
anything is computed, a member given twice is refused, and a number is a decimal text in its one
shortest form. Coordinates must be affine (third coordinate 1).
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn, cast

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.groth16 import (
    KEY_CHECK,
    PROOF_CHECK,
    Proof,
    VerificationKey,
    require_coordinates,
)
from airflow_cwf.core.evidence.points import G1, G2

MAX_BYTES: Final = 2**20
MAX_SIGNALS: Final = 1024
_MAX_DEPTH: Final = 6
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,77}")
_PROTOCOL: Final = "groth16"
_CURVES: Final = ("bn128", "bn254", "altbn128")
_KEY_POINTS: Final = ("vk_alpha_1", "vk_beta_2", "vk_gamma_2", "vk_delta_2", "IC")
_KEY_MEMBERS: Final = frozenset({"protocol", "curve", "nPublic", "vk_alphabeta_12", *_KEY_POINTS})
_PROOF_POINTS: Final = ("pi_a", "pi_b", "pi_c")
_PROOF_MEMBERS: Final = frozenset({"protocol", "curve", *_PROOF_POINTS})


def parse_verification_key(data: bytes) -> VerificationKey:
    """Read `verification_key.json`.

    `vk_alphabeta_12` is ignored: it is computed from alpha and beta.

    Raises:
        VerificationError: check 5.
    """
    return key_from_document(_object(data, what="The verification key", check=KEY_CHECK))


def key_from_document(document: Mapping[str, object]) -> VerificationKey:
    """Return the key in a parsed `verification_key.json`, such as a trust file holds.

    Raises:
        VerificationError: check 5.
    """
    what, check = "the verification key", KEY_CHECK
    _check_members(document, _KEY_POINTS, _KEY_MEMBERS, what=what, check=check)
    points = document["IC"]
    if not isinstance(points, list) or not 0 < len(points) <= MAX_SIGNALS + 1:
        raise VerificationError(f"IC of {what} has not 1 to {MAX_SIGNALS + 1} points.", check=check)
    signals = document.get("nPublic")
    if type(signals) is not int or signals != len(points) - 1:
        raise VerificationError(f"nPublic of {what} does not fit the length of IC.", check=check)
    return VerificationKey(
        alpha=_g1(document["vk_alpha_1"], what=what, check=check),
        beta=_g2(document["vk_beta_2"], what=what, check=check),
        gamma=_g2(document["vk_gamma_2"], what=what, check=check),
        delta=_g2(document["vk_delta_2"], what=what, check=check),
        ic=tuple(_g1(point, what=what, check=check) for point in points),
    )


def parse_proof(data: bytes) -> Proof:
    """Read `proof.json`.

    Raises:
        VerificationError: check 8.
    """
    what, check = "the proof", PROOF_CHECK
    document = _object(data, what="The proof", check=check)
    _check_members(document, _PROOF_POINTS, _PROOF_MEMBERS, what=what, check=check)
    return Proof(
        a=_g1(document["pi_a"], what=what, check=check),
        b=_g2(document["pi_b"], what=what, check=check),
        c=_g1(document["pi_c"], what=what, check=check),
    )


def parse_signals(data: bytes) -> tuple[int, ...]:
    """Read `public.json`; whether signals are below r is for `groth16.verify` to say.

    Raises:
        VerificationError: check 8.
    """
    value = _json(data, what="The list of public signals", check=PROOF_CHECK)
    if not isinstance(value, list) or len(value) > MAX_SIGNALS:
        message = f"The public signals are not a list of at most {MAX_SIGNALS} numbers."
        raise VerificationError(message, check=PROOF_CHECK)
    return tuple(_number(item, what="the public signals", check=PROOF_CHECK) for item in value)


def proof_document(proof: Proof) -> dict[str, object]:
    """Return the proof as snarkjs writes it in `proof.json`."""
    return {
        "pi_a": _g1_texts(proof.a),
        "pi_b": _g2_texts(proof.b),
        "pi_c": _g1_texts(proof.c),
        "protocol": _PROTOCOL,
        "curve": "bn128",
    }


def key_document(key: VerificationKey) -> dict[str, object]:
    """Return the key as snarkjs writes it, without `vk_alphabeta_12`."""
    return {
        "protocol": _PROTOCOL,
        "curve": "bn128",
        "nPublic": len(key.ic) - 1,
        "vk_alpha_1": _g1_texts(key.alpha),
        "vk_beta_2": _g2_texts(key.beta),
        "vk_gamma_2": _g2_texts(key.gamma),
        "vk_delta_2": _g2_texts(key.delta),
        "IC": [_g1_texts(point) for point in key.ic],
    }


def _object(data: bytes, *, what: str, check: int) -> Mapping[str, object]:
    value = _json(data, what=what, check=check)
    if not isinstance(value, dict):
        raise VerificationError(f"{what} is not a JSON object.", check=check)
    return cast("Mapping[str, object]", value)


def _json(data: bytes, *, what: str, check: int) -> object:
    def refuse(reason: str) -> NoReturn:
        raise VerificationError(f"{what} is refused: {reason}.", check=check)

    def members(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len({name for name, _ in pairs}) != len(pairs):
            refuse("a member stands twice in one object")
        return dict(pairs)

    def integer(text: str) -> int:
        return int(text) if len(text) <= len(str(MAX_SIGNALS)) else refuse("a number is too long")

    if len(data) > MAX_BYTES:
        refuse(f"it has more than {MAX_BYTES} bytes")
    if _depth(data) > _MAX_DEPTH:
        refuse("its objects and lists are nested too deep")
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=members,
            parse_int=integer,
            parse_float=lambda _: refuse("it holds a number with decimals or an exponent"),
            parse_constant=lambda _: refuse("it holds NaN or an infinite number"),
        )
    except (UnicodeDecodeError, json.JSONDecodeError):
        refuse("it is not JSON in UTF-8")


def _depth(data: bytes) -> int:
    """Return an upper bound of the nesting; brackets inside texts count, no honest file has any."""
    depth = deepest = 0
    for mark in re.finditer(rb"[\[\]{}]", data):
        depth += 1 if mark.group() in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _check_members(
    document: Mapping[str, object],
    needed: Sequence[str],
    known: frozenset[str],
    *,
    what: str,
    check: int,
) -> None:
    if missing := [name for name in needed if name not in document]:
        raise VerificationError(f"A member of {what} is missing: {missing[0]}.", check=check)
    if document.keys() - known:
        raise VerificationError(f"There is an unknown member in {what}.", check=check)
    if document.get("protocol") != _PROTOCOL or document.get("curve", "bn128") not in _CURVES:
        raise VerificationError(f"It is not Groth16 over BN254: {what}.", check=check)


def _g1(value: object, *, what: str, check: int) -> G1:
    x, y, z = _numbers(value, 3, what=what, check=check)
    if z != 1:
        message = f"A point of {what} is at infinity or not affine."
        raise VerificationError(message, check=check)
    return x, y


def _g2(value: object, *, what: str, check: int) -> G2:
    if not isinstance(value, list) or len(value) != len(("x", "y", "z")):
        raise VerificationError(f"A point of {what} is not in its form.", check=check)
    x, y, z = (_numbers(pair, 2, what=what, check=check) for pair in value)
    if z != [1, 0]:
        message = f"A point of {what} is at infinity or not affine."
        raise VerificationError(message, check=check)
    return x[0], x[1], y[0], y[1]


def _numbers(value: object, count: int, *, what: str, check: int) -> list[int]:
    if not isinstance(value, list) or len(value) != count:
        raise VerificationError(f"A point of {what} is not in its form.", check=check)
    numbers = [_number(item, what=what, check=check) for item in value]
    require_coordinates(numbers, what=what, check=check)
    return numbers


def _number(value: object, *, what: str, check: int) -> int:
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        message = f"A number of {what} is not a decimal text of at most 78 digits."
        raise VerificationError(message, check=check)
    return int(value)


def _g1_texts(point: G1) -> list[str]:
    return [str(point[0]), str(point[1]), "1"]


def _g2_texts(point: G2) -> list[list[str]]:
    x0, x1, y0, y1 = point
    return [[str(x0), str(x1)], [str(y0), str(y1)], ["1", "0"]]
