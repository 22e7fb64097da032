"""The trust file: which keys, contracts and submitters a verifier believes.

It comes from the verifier, never from the document. What it says about a verification key is
checked where the key is used: the digest is computed again from the points, which come from here.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn, cast

from airflow_cwf.core.errors import ConfigError, VerificationError
from airflow_cwf.core.evidence.forms import (
    Form,
    check_form,
    exactly,
    is_digest,
    list_of,
    one_of,
)
from airflow_cwf.core.evidence.groth16 import KEY_CHECK, VerificationKey, vk_digest
from airflow_cwf.core.evidence.snarkjs_files import key_from_document
from airflow_cwf.core.evidence.statement import CIRCUITS, SIGNALS

FORMAT: Final = "cwf-trust/1"
MAX_TRUST_BYTES: Final = 2**20

_MAX_DEPTH: Final = 12
_ACCOUNT: Final = re.compile(r"eip155:[1-9][0-9]{0,15}:0x[0-9a-f]{40}")
_IC_POINTS: Final = len(SIGNALS) + 1


def _is_account(value: object) -> bool:
    return isinstance(value, str) and _ACCOUNT.fullmatch(value) is not None


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping)


_FORM: Final[Form] = {
    "format": exactly(FORMAT),
    "keys": _is_object,
    "contracts": list_of(_is_account),
    "submitters": list_of(_is_account),
}
_KEY_FORM: Final[Form] = {
    "circuit": one_of(*CIRCUITS),
    "development": lambda value: isinstance(value, bool),
    "key": _is_object,
}


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """What a trust file says under the digest of one verification key."""

    digest: str
    """The name under which it stands; `open_key` compares it with the points."""
    circuit: str
    """The circuit that it verifies, `cwf-8`."""
    development: bool
    """Its secret is public: anybody can forge a proof under it."""
    points: Mapping[str, object] = field(repr=False)
    """The key as snarkjs writes it, not yet read."""


@dataclass(frozen=True, slots=True)
class Trust:
    """A verifier's own list of what it believes."""

    keys: Mapping[str, TrustedKey] = field(default_factory=dict)
    """By digest."""
    contracts: frozenset[str] = frozenset()
    """`WorkflowAnchor`s in CAIP-10, lower case."""
    submitters: frozenset[str] = frozenset()
    """CAIP-10, lower case."""


NO_TRUST: Final = Trust()


def parse_trust(data: bytes) -> Trust:
    """Read a trust file, `cwf-trust/1`.

    Its JSON need not be canonical, because people write it; a member given twice or an unknown one
    is refused all the same. Keys are read when they are used.

    Raises:
        ConfigError: the file is no trust file; says which member.
    """
    document = _read(data)
    try:
        check_form(document, _FORM, where="The trust file")
        entries = cast("Mapping[str, object]", document["keys"])
        keys = {digest: _trusted(digest, entry) for digest, entry in entries.items()}
    except VerificationError as error:
        raise ConfigError(str(error)) from error
    return Trust(
        keys=keys,
        contracts=frozenset(cast("list[str]", document["contracts"])),
        submitters=frozenset(cast("list[str]", document["submitters"])),
    )


def open_key(entry: TrustedKey) -> VerificationKey:
    """Return the key of an entry: its points, if they are those that its digest names.

    Whether they lie on their curves is for `groth16.check_key` to say.

    Raises:
        VerificationError: check 5; the points are out of form, are not for nine signals, or belong
            to another key.
    """
    key = key_from_document(entry.points)
    if len(key.ic) != _IC_POINTS:
        message = f"The trusted key is not one for {len(SIGNALS)} public signals."
        raise VerificationError(message, check=KEY_CHECK)
    if vk_digest(key) != entry.digest:
        message = "The trusted key's points are not those that its digest names."
        raise VerificationError(message, check=KEY_CHECK)
    return key


def _trusted(digest: str, entry: object) -> TrustedKey:
    if not is_digest(digest):
        raise ConfigError("The trust file has a key whose name is not 0x and 64 hex digits.")
    check_form(entry, _KEY_FORM, where=f"Key {digest} of the trust file")
    members = cast("Mapping[str, object]", entry)
    return TrustedKey(
        digest=digest,
        circuit=cast("str", members["circuit"]),
        development=cast("bool", members["development"]),
        points=cast("Mapping[str, object]", members["key"]),
    )


def _read(data: bytes) -> dict[str, object]:
    if len(data) > MAX_TRUST_BYTES:
        _refuse(f"it has more than {MAX_TRUST_BYTES} bytes")
    if _nesting(data) > _MAX_DEPTH:
        _refuse("its objects and lists are nested too deep")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=lambda text: int(text) if len(text) <= len("1024") else _refuse_number(),
            parse_float=lambda _: _refuse_number(),
            parse_constant=lambda _: _refuse_number(),
        )
    except (UnicodeDecodeError, json.JSONDecodeError):
        _refuse("it is not JSON in UTF-8")
    return value if isinstance(value, dict) else _refuse("it is not a JSON object")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        _refuse("a member stands twice in one object")
    return members


def _nesting(data: bytes) -> int:
    """Return an upper bound of the nesting; brackets inside texts count, no honest file has any."""
    depth = deepest = 0
    for mark in re.finditer(rb"[\[\]{}]", data):
        depth += 1 if mark.group() in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _refuse_number() -> NoReturn:
    _refuse("it holds a number out of form; coordinates are decimal texts")


def _refuse(reason: str) -> NoReturn:
    raise ConfigError(f"The trust file is refused: {reason}.")
