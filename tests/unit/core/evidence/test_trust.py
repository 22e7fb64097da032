"""The trust file: strict, because whoever writes it decides what is believed."""

import json

import pytest

from airflow_cwf.core.errors import ConfigError, VerificationError
from airflow_cwf.core.evidence.trust import open_key, parse_trust
from tests.fakes.forging_key import ForgingKey, trust_file

KEY = ForgingKey(3)
CONTRACT = "eip155:1:0x" + "c0" * 20
GOOD = {
    "format": "cwf-trust/1",
    "keys": {KEY.digest: KEY.entry()},
    "contracts": [CONTRACT],
    "submitters": [],
}


def encoded(value) -> bytes:
    return json.dumps(value, indent=2).encode()


def refused(data: bytes, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        parse_trust(data)


def test_a_good_file_is_read_and_its_key_is_the_one_its_digest_names():
    trust = parse_trust(encoded(GOOD))
    assert trust.contracts == {CONTRACT}
    assert trust.submitters == frozenset()
    entry = trust.keys[KEY.digest]
    assert (entry.circuit, entry.development) == ("cwf-8", False)
    assert open_key(entry) == KEY.key


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"format": "cwf-trust/2"}, "`format`"),
        ({"keys": []}, "`keys`"),
        ({"keys": {"0x12": KEY.entry()}}, "64 hex digits"),
        ({"keys": {KEY.digest: []}}, "not an object"),
        ({"keys": {KEY.digest: KEY.entry() | {"more": 1}}}, "does not know"),
        ({"keys": {KEY.digest: KEY.entry(circuit="cwf-9")}}, "`circuit`"),
        ({"keys": {KEY.digest: KEY.entry() | {"development": 0}}}, "`development`"),
        ({"keys": {KEY.digest: KEY.entry() | {"key": "x"}}}, "`key`"),
        ({"contracts": CONTRACT}, "`contracts`"),
        ({"contracts": [CONTRACT.upper()]}, "`contracts`"),
        ({"contracts": [CONTRACT[:-1]]}, "`contracts`"),
        ({"contracts": ["0x" + "c0" * 20]}, "`contracts`"),
        ({"submitters": ["cosmos:hub:abc"]}, "`submitters`"),
        ({"submitters": [1]}, "`submitters`"),
        ({"more": 1}, "does not know"),
    ],
)
def test_every_member_out_of_form_is_refused(change, match):
    refused(encoded(GOOD | change), match)


@pytest.mark.parametrize("member", sorted(GOOD))
def test_every_missing_member_is_refused(member):
    refused(encoded({name: GOOD[name] for name in GOOD if name != member}), member)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"format":"cwf-trust/1","format":"cwf-trust/1"}', "stands twice"),
        (b'{"format":1.5}', "number"),
        (b'{"format":NaN}', "number"),
        (b'{"format":' + b"9" * 10_000 + b"}", "number"),
        (b" " * (2**20 + 1), "more than"),
    ],
)
def test_hostile_bytes_are_refused_in_one_sentence(data, match):
    refused(data, match)


def test_a_key_of_another_digest_or_shape_is_false_at_5():
    other, short = ForgingKey(4), ForgingKey(5, signals=8)
    broken = KEY.entry() | {"key": {"protocol": "groth16"}}
    for name, entry in (
        (KEY.digest, other.entry()),
        (short.digest, short.entry()),
        (KEY.digest, broken),
    ):
        trust = parse_trust(trust_file({name: entry}))
        with pytest.raises(VerificationError) as caught:
            open_key(trust.keys[name])
        assert caught.value.check == 5


def test_the_shipped_file_names_development_keys_as_such():
    from airflow_cwf.wiring.verification import load_trust

    trust = load_trust()
    for entry in trust.keys.values():
        assert entry.development
        open_key(entry)
