"""Canonical JSON: published vectors, and everything a hostile file may try."""

import json
import time
from decimal import Decimal
from pathlib import Path

import pytest

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.canonical import canonical_bytes, leaf_hash, parse_canonical
from airflow_cwf.core.hashes import sha3_256

VECTORS = Path(__file__).parents[3] / "vectors" / "rfc8785"
FLOATS = frozenset({"execution_time"})


def refused(data, **options):
    with pytest.raises(VerificationError) as caught:
        parse_canonical(data, **{"max_bytes": 2**20, "float_members": FLOATS, **options})
    assert caught.value.check == 1
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("name", ["structures", "unicode", "simpleString"])
def test_published_vectors_are_reproduced(name):
    given = json.loads(
        (VECTORS / f"{name}.input.json").read_bytes(), parse_float=lambda t: int(float(t))
    )
    assert canonical_bytes(given) == (VECTORS / f"{name}.output.json").read_bytes()


@pytest.mark.parametrize("name", ["french", "weird", "values"])
def test_what_the_rfc_allows_and_we_do_not_is_refused(name):
    with pytest.raises(VerificationError):
        canonical_bytes(json.loads((VECTORS / f"{name}.input.json").read_bytes()))


def test_the_published_escapes_and_literals_are_reproduced():
    given = json.loads((VECTORS / "values.input.json").read_bytes())
    expected = (VECTORS / "values.output.json").read_bytes()
    del given["numbers"]
    assert canonical_bytes(given) == expected.split(b',"numbers"')[0] + b"}"


@pytest.mark.parametrize(
    "value",
    [1.0, float("nan"), -1, 2**53, Decimal("0.5"), b"x", {1: 2}, {"é": 1}, {"a": {1, 2}}, "\ud800"],
)
def test_a_value_without_canonical_form_is_refused(value):
    with pytest.raises(VerificationError):
        canonical_bytes(value)


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (Decimal("0.001"), b"0.001"),
        (Decimal("1.5"), b"1.5"),
        (Decimal("4503599627370.495"), b"4503599627370.495"),
        (Decimal("12.340"), b"12.34"),
        (7, b"7"),
    ],
)
def test_execution_time_has_at_most_three_decimals_and_no_trailing_zero(time_ms, text):
    data = canonical_bytes({"execution_time": time_ms}, float_members=FLOATS)
    assert data == b'{"execution_time":' + text + b"}"
    assert parse_canonical(data, max_bytes=100, float_members=FLOATS) == {"execution_time": time_ms}


@pytest.mark.parametrize(
    "time_ms", ["0.0001", "NaN", "-1", "Infinity", "4503599627370.496", "1e20"]
)
def test_a_time_that_is_no_whole_number_of_microseconds_is_refused(time_ms):
    with pytest.raises(VerificationError):
        canonical_bytes({"execution_time": Decimal(time_ms)}, float_members=FLOATS)


def test_a_decimal_elsewhere_is_refused():
    assert refused(b'{"gas_used":1.5}')
    assert refused(b'{"execution_time":[1.5]}')
    assert refused(b'{"execution_time":1.5}', float_members=frozenset())


def test_a_leaf_is_prefixed():
    assert leaf_hash({"a": 1}) == sha3_256(b'\x00{"a":1}')


HOSTILE = {
    "empty file": b"",
    "truncated": b'{"a":1',
    "truncated string": b'{"a":"\\',
    "not an object": b"[1]",
    "invalid UTF-8": b'{"a":"\xff"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"a":1}',
    "lone surrogate": b'{"a":"\\ud800"}',
    "space": b'{"a": 1}',
    "newline at the end": b'{"a":1}\n',
    "second document": b'{"a":1}{"a":1}',
    "order of members": b'{"b":1,"a":1}',
    "member twice": b'{"a":1,"a":1}',
    "member twice inside": b'{"a":{"b":1,"b":2}}',
    "member twice by escape": b'{"a":1,"\\u0061":1}',
    "needless escape": b'{"a":"\\u0041"}',
    "fraction": b'{"a":1.0}',
    "exponent": b'{"a":1e3}',
    "huge exponent": b'{"execution_time":1e999999999}',
    "trailing zero": b'{"execution_time":1.50}',
    "four decimals": b'{"execution_time":1.0001}',
    "negative": b'{"a":-1}',
    "negative zero": b'{"a":-0}',
    "beyond 2^53": b'{"a":9007199254740992}',
    "million digits": b'{"a":' + b"9" * 1_000_000 + b"}",
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "deep lists": b"[" * 500_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "nine deep": b'{"a":' * 9 + b"1" + b"}" * 9,
    "deep after a closed document": b"{}" + b"]" * 100 + b"[" * 500_000,
    "deep behind an open string": b'{"a":"' + b'\\"[' * 300_000,
    "too large": b'{"a":"' + b"x" * 2**20 + b'"}',
    "name outside ASCII": '{"é":1}'.encode(),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_bytes_are_refused_in_one_line_and_soon(data):
    start = time.process_time()
    assert len(refused(data)) < 160
    assert time.process_time() - start < 2


def test_a_bomb_of_small_objects_is_refused_before_it_is_built():
    data = b'{"a":[' + b"{}," * 1_000_001 + b"{}]}"
    assert "objects and lists" in refused(data, max_bytes=2**24)


def test_brackets_inside_strings_are_not_depth():
    data = canonical_bytes({"a": "[" * 1000 + '\\"' + "{" * 1000})
    assert parse_canonical(data, max_bytes=10_000)["a"].startswith("[[")


def test_eight_deep_is_read():
    data = b'{"a":' * 8 + b"1" + b"}" * 8
    assert canonical_bytes(parse_canonical(data, max_bytes=100)) == data
