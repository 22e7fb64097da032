"""Names of what is paid: fixed for ever, and a plan file that pays only what was approved."""

import hashlib
import json
from dataclasses import replace

import pytest

from airflow_cwf.core.errors import InputError
from airflow_cwf.core.intents import (
    Plan,
    PlanItem,
    Scope,
    asset_id,
    decode_plan,
    encode_plan,
    hashed_key,
    item_digest,
    plan_digest,
    scope_digest,
    scope_id,
    sums_by_scope,
)

SECRET = bytes(range(32))
CHAIN = "eip155:1"
PAYER, CONTRACT, TOKEN, PAYEE = ("0x" + digit * 40 for digit in "1234")

# These stand in journals and on chains: if one of them changes, every payroll would be a new one.
SCOPE_ID = "e04e522fc13607435bb0434f3729b158024e08b7117f60ef9e43c1115525b93a"
KEYS = (
    "fe6ea5a0cccdf7519c7cff921f8c1670e1a7d3516a2c5e938439af0e5f0809cf",
    "7d137191fae71d1f5f026699dd666b55b54e148ce6a6b84310345f78264ef954",
)
DIGESTS = (
    "636c8276b89a5699a5eaf9f32e02af7dcdc03ce5f7a023938c4c124e42869058",
    "1379a435f1df588bcfc4ac085fbc49f28929d3a3cc5d1ec096f1eed4105427cd",
)
SCOPE_DIGEST = "e30374793c786b4c545dda8377db7d1a80d3e6c9849638a817c0b21273613c56"
PLAN_DIGEST = "10de46371914a51ad8346c17fafb21c602967721ba86aa5442a10e5d791a6bc2"

SCOPE = Scope(SCOPE_ID, "2026-q3", CHAIN, PAYER, CONTRACT, TOKEN, 0, SCOPE_DIGEST)
ITEMS = tuple(
    PlanItem(key, 0, digest, SCOPE_ID, index, f"emp-{index + 1}", PAYEE, index + 1)
    for index, (key, digest) in enumerate(zip(KEYS, DIGESTS, strict=True))
)
PLAN = Plan("2026-q3", PLAN_DIGEST, (SCOPE,), ITEMS)


def test_names_and_digests_are_what_they_always_were():
    asset = asset_id(CHAIN, TOKEN)
    assert asset == f"eip155:1/erc20:{TOKEN}"
    made = tuple(hashed_key(SECRET, f"payroll/2026-q3/emp-{number}") for number in (1, 2))
    assert made == KEYS
    digests = tuple(
        item_digest(caip2=CHAIN, asset=asset, payee=PAYEE, amount=amount) for amount in (1, 2)
    )
    assert digests == DIGESTS
    number = scope_id(payroll_id="2026-q3", caip2=CHAIN, payer=PAYER, contract=CONTRACT, part=0)
    assert number == SCOPE_ID
    assert scope_digest(SECRET, SCOPE_ID, KEYS) == SCOPE_DIGEST
    assert plan_digest("2026-q3", ITEMS) == PLAN_DIGEST


def test_a_scope_s_id_is_the_hash_of_what_the_engine_s_rules_say():
    text = f'["cwf-scope/1","2026-q3","eip155:1","{PAYER}","{CONTRACT}",0]'
    assert hashlib.sha3_256(text.encode()).hexdigest() == SCOPE_ID
    moved = f'["eip155:1","eip155:1/erc20:{TOKEN}","{PAYEE}","1"]'
    assert hashlib.sha3_256(moved.encode()).hexdigest() == DIGESTS[0]


def test_a_manifest_s_digest_needs_the_secret_and_the_order():
    assert scope_digest(b"\x01" * 32, SCOPE_ID, KEYS) != SCOPE_DIGEST
    assert scope_digest(SECRET, SCOPE_ID, reversed(KEYS)) != SCOPE_DIGEST
    assert scope_digest(SECRET, KEYS[0], KEYS) != SCOPE_DIGEST


def test_a_plan_s_digest_does_not_depend_on_the_order_of_its_rows():
    assert plan_digest("2026-q3", reversed(ITEMS)) == PLAN_DIGEST
    assert plan_digest("2026-q4", ITEMS) != PLAN_DIGEST


def test_a_plan_comes_back_from_its_file_as_it_was():
    assert decode_plan(encode_plan(PLAN), expected_digest=PLAN_DIGEST) == PLAN


def test_a_plan_is_not_another_one():
    with pytest.raises(InputError, match="not the plan asked for"):
        decode_plan(encode_plan(PLAN), expected_digest="0" * 64)


def test_a_file_cannot_call_itself_by_the_digest_of_an_approved_plan():
    data = encode_plan(replace(PLAN, digest="a" * 64))
    with pytest.raises(InputError, match="not the plan asked for"):
        decode_plan(data, expected_digest=PLAN_DIGEST)


def changes():
    other = "0x" + "9" * 40
    for member, value in [("payroll_id", "2026-q4"), ("digest", "0" * 64), ("format", "x/1")]:
        yield pytest.param((member,), value, id=member)
    values = ["0" * 64, "other", "eip155:5", other, other, other, 1, None]
    for place, value in enumerate(values):
        if value is not None:  # the manifest's digest is the journal's and the chain's to check
            yield pytest.param(("scopes", 0, place), value, id=f"scope {place}")
    values = ["0" * 64, 1, "0" * 64, 1, None, None, other, "9"]
    for place, value in enumerate(values):
        if value is not None:  # the index is the journal's to check; the reference pays nobody
            yield pytest.param(("items", 0, place), value, id=f"item {place}")


@pytest.mark.parametrize(("path", "value"), list(changes()))
def test_a_changed_field_is_refused(path, value):
    document = json.loads(encode_plan(PLAN))
    *way, last = path
    holder = document
    for step in way:
        holder = holder[step]
    assert holder[last] != value
    holder[last] = value
    with pytest.raises(InputError, match="The plan file"):
        decode_plan(json.dumps(document).encode(), expected_digest=PLAN_DIGEST)


@pytest.mark.parametrize(
    "wrong", [None, True, 1.5, -1, [], {}, "x", "1.0", "01", " 1", "1_0", "-1"]
)
@pytest.mark.parametrize("place", [0, 1, 2, 3, 4, 6, 7])
def test_a_field_of_another_kind_is_refused_with_no_other_error(place, wrong):
    document = json.loads(encode_plan(PLAN))
    document["items"][0][place] = wrong
    with pytest.raises(InputError):
        decode_plan(json.dumps(document).encode(), expected_digest=PLAN_DIGEST)


@pytest.mark.parametrize("member", ["format", "payroll_id", "digest", "scopes", "items"])
@pytest.mark.parametrize("wrong", [None, 7, [7], [[]], {"a": 1}, "gone"])
def test_a_damaged_file_is_refused_with_no_other_error(member, wrong):
    document = json.loads(encode_plan(PLAN))
    document[member] = wrong
    if wrong == "gone":
        del document[member]
    with pytest.raises(InputError):
        decode_plan(json.dumps(document).encode(), expected_digest=PLAN_DIGEST)


@pytest.mark.parametrize(
    "data", [b"", b"null", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"format": NaN}']
)
def test_bytes_that_are_no_plan_are_refused_with_no_other_error(data):
    with pytest.raises(InputError, match="damaged"):
        decode_plan(data, expected_digest=PLAN_DIGEST)


def test_two_items_cannot_be_folded_into_one():
    """Their concatenation has the same digest; the lengths tell them apart."""
    folded_key = KEYS[1] + "00000000" + DIGESTS[1] + KEYS[0]  # in order of keys
    folded = replace(ITEMS[0], key=folded_key)
    assert plan_digest("2026-q3", [folded]) == PLAN_DIGEST
    with pytest.raises(InputError, match="damaged"):
        decode_plan(encode_plan(replace(PLAN, items=(folded,))), expected_digest=PLAN_DIGEST)


@pytest.mark.parametrize("twice", ["items", "scopes"])
def test_nothing_stands_in_a_plan_twice(twice):
    document = json.loads(encode_plan(PLAN))
    document[twice].append(document[twice][0])
    items = (*ITEMS, ITEMS[0]) if twice == "items" else ITEMS
    digest = document["digest"] = plan_digest("2026-q3", items)
    with pytest.raises(InputError, match="twice"):
        decode_plan(json.dumps(document).encode(), expected_digest=digest)


def test_a_refusal_repeats_no_name_from_the_file():
    data = encode_plan(PLAN).replace(b'"emp-1"', b'"emp-\xff"')
    with pytest.raises(InputError) as caught:
        decode_plan(data, expected_digest=PLAN_DIGEST)
    assert "emp" not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_a_plan_is_looked_at_by_chain_and_scope():
    assert PLAN.scopes_on(CHAIN) == (SCOPE,)
    assert PLAN.scopes_on("eip155:5") == ()
    assert PLAN.items_of(SCOPE_ID) == ITEMS
    assert PLAN.items_of("0" * 64) == ()
    assert sums_by_scope(ITEMS) == {SCOPE_ID: 3}
