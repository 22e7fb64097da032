"""One value, one text: canonical JSON bytes, and the only reader of foreign ones.

`J(x)` of `docs/evidence.md` is RFC 8785 narrowed until nothing is left to interpretation: no
floats, integers from 0 to 2^53 - 1, ASCII member names, well-formed Unicode that is not
normalised. One exception: a member that the caller names (`execution_time` of the float view) may
hold a `Decimal` of at most three decimals, written as RFC 8785 writes that number.

What comes from outside is bounded in size, nesting and number of objects before a parser sees it.
Every refusal is a `VerificationError` of check 1 that repeats nothing of what it read.
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NoReturn, cast

import rfc8785

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.hashes import sha3_256

MAX_INTEGER: Final = 2**53 - 1
MAX_DEPTH: Final = 8
"""Objects and lists inside one another, the outermost included."""
MAX_CONTAINERS: Final = 1_000_000
"""Objects and lists in one document: a bound on memory, not on meaning."""
LEAF_PREFIX: Final = b"\x00"
"""RFC 6962, section 2.1: a leaf is never taken for a node."""

_NO_MEMBERS: Final = frozenset[str]()
_MAX_DECIMAL: Final = Decimal(2**52) / 1000
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\[\s\S])*+"?|[\[\]{}]')
"""A string, perhaps cut off at the end, or a bracket. Possessive, hence linear in any input."""
_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]{0,12})\.[0-9]{0,2}[1-9]")


def canonical_bytes(
    value: object, *, max_depth: int = MAX_DEPTH, float_members: frozenset[str] = _NO_MEMBERS
) -> bytes:
    """Return `J(value)`.

    Args:
        value: None, bool, int, str, list, tuple or mapping of these.
        max_depth: objects and lists that may stand inside one another.
        float_members: names of members that may hold a `Decimal` with up to three decimals.

    Raises:
        VerificationError: check 1; the value has no canonical form.
    """
    plain = _plain(value, member=None, room=max_depth, floats=float_members)
    try:
        return rfc8785.dumps(cast("None", plain))
    except rfc8785.CanonicalizationError as error:
        raise _refusal("it holds text that is not well-formed Unicode") from error


def leaf_hash(value: Mapping[str, object]) -> bytes:
    """Return `leaf(value) = H(0x00 || J(value))`, 32 bytes.

    Raises:
        VerificationError: check 1; the value has no canonical form.
    """
    return sha3_256(LEAF_PREFIX + canonical_bytes(value))


def parse_canonical(
    data: bytes,
    *,
    max_bytes: int,
    max_depth: int = MAX_DEPTH,
    float_members: frozenset[str] = _NO_MEMBERS,
) -> dict[str, object]:
    """Read one JSON object from bytes that must be its own canonical form.

    Args:
        data: hostile until proved otherwise.
        max_bytes: size above which nothing is read.
        max_depth: objects and lists that may stand inside one another.
        float_members: names of members whose number may have decimals; these come as `Decimal`.

    Raises:
        VerificationError: check 1; too large, too deep, not JSON, a member given twice, a number
            out of form, or bytes that differ from their own re-encoding.
    """
    if len(data) > max_bytes:
        raise _refusal(f"it has more than {max_bytes} bytes")
    _bound_nesting(data, max_depth)
    value = _parse(data)
    if not isinstance(value, dict):
        raise _refusal("it is not a JSON object")
    if canonical_bytes(value, max_depth=max_depth, float_members=float_members) != data:
        raise _refusal("its bytes differ from their canonical form (RFC 8785)")
    return cast("dict[str, object]", value)


def _refusal(reason: str) -> VerificationError:
    return VerificationError(f"The document is refused: {reason}.", check=1)


def _plain(value: object, *, member: str | None, room: int, floats: frozenset[str]) -> object:
    """Return `value` in the types the encoder knows, refusing what `J` leaves out."""
    if isinstance(value, Mapping):
        _require_room(room)
        return {
            _name(key): _plain(item, member=key, room=room - 1, floats=floats)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        _require_room(room)
        return [_plain(item, member=None, room=room - 1, floats=floats) for item in value]
    if isinstance(value, Decimal) and member in floats:
        return _shortest(value)
    return _scalar(value)


def _scalar(value: object) -> object:
    if value is None or isinstance(value, bool | str):
        return value
    if not isinstance(value, int):
        raise _refusal("it holds a value that is no whole number, text, list or object")
    if not 0 <= value <= MAX_INTEGER:
        raise _refusal("it holds an integer outside 0 .. 2^53 - 1")
    return value


def _shortest(value: Decimal) -> float:
    """Return the float whose RFC 8785 text is `value`.

    Below 2^52 / 1000 two numbers of three decimals are never the same float, so the shortest text
    that reads back as this float, which is what RFC 8785 writes, is `value` itself.
    """
    if not value.is_finite() or not 0 <= value < _MAX_DECIMAL or value * 1000 % 1:
        raise _refusal("it holds a time that is not a whole number of microseconds below 2^52")
    return float(value)


def _name(key: object) -> str:
    if not isinstance(key, str) or not key.isascii():
        raise _refusal("it has a member name that is not ASCII text")
    return key


def _require_room(room: int) -> None:
    if room < 1:
        raise _refusal("its objects and lists are nested too deep")


def _bound_nesting(data: bytes, max_depth: int) -> None:
    depth = containers = 0
    for token in _TOKEN.finditer(data):
        mark = data[token.start()]
        if mark in b"[{":
            depth += 1
            containers += 1
        elif mark in b"]}":
            depth -= 1
        if depth > max_depth:
            raise _refusal("its objects and lists are nested too deep")
        if containers > MAX_CONTAINERS:
            raise _refusal(f"it has more than {MAX_CONTAINERS} objects and lists")


def _parse(data: bytes) -> object:
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_decimal,
            parse_constant=_constant,
        )
    except UnicodeDecodeError as error:
        raise _refusal(f"it is not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise _refusal(f"it is not JSON at character {error.pos}") from error


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _refusal("a member stands twice in one object")
    return members


def _integer(text: str) -> int:
    if len(text) > len(str(MAX_INTEGER)):
        raise _refusal("it holds an integer outside 0 .. 2^53 - 1")
    return int(text)


def _decimal(text: str) -> Decimal:
    if not _DECIMAL.fullmatch(text):
        raise _refusal("it holds a number with an exponent or with decimals out of form")
    return Decimal(text)


def _constant(_text: str) -> NoReturn:
    raise _refusal("it holds NaN or an infinite number")
