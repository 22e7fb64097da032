import json
import logging

import pytest

from airflow_cwf.core.errors import ConfigError, SignerError
from airflow_cwf.hooks.settings import read_settings
from airflow_cwf.hooks.signer import SignerHook
from airflow_cwf.wiring import write_keystore

KEY = "46" * 32
ADDRESS = "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def keystore():
    return write_keystore(bytes.fromhex(KEY), PASSWORD, scrypt_n=2)


def test_a_keystore_opens_from_its_text_its_object_and_its_file(connection, keystore, tmp_path):
    place = tmp_path / "payer.json"
    place.write_text(keystore)
    for extra in (
        {"keystore": keystore},
        {"keystore": json.loads(keystore)},
        {"keystore_path": str(place)},
    ):
        connection("cwf_signer_default", conn_type="cwf_signer", password=PASSWORD, extra=extra)
        assert SignerHook().get_conn().address == ADDRESS
        assert SignerHook().test_connection() == (True, f"The key of {ADDRESS} can sign.")


def test_without_a_keystore_the_password_is_the_key(connection):
    connection("cwf_signer_default", conn_type="cwf_signer", password=f"0x{KEY}")
    assert SignerHook().get_conn().address == ADDRESS


@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        ({"password": "guess"}, SignerError, "Locked keystore"),
        ({}, ConfigError, "no password"),
        ({"password": PASSWORD, "extra": {"keystore": "{"}}, SignerError, None),
        ({"password": PASSWORD, "extra": {"keystore_path": "/no/such"}}, ConfigError, "/no/such"),
        ({"password": "12" * 31}, SignerError, None),
        ({"password": PASSWORD, "extra": '{"keystore"'}, ConfigError, "not a JSON object"),
    ],
)
def test_a_key_that_cannot_be_opened_says_why_and_never_the_secret(
    connection, keystore, caplog, fields, error, said
):
    caplog.set_level(logging.DEBUG)
    if fields.get("password") == "guess":
        fields = fields | {"extra": {"keystore": keystore}}
    connection("cwf_signer_default", conn_type="cwf_signer", **fields)
    with pytest.raises(error, match=said) as raised:
        SignerHook().get_conn()
    passed, text = SignerHook().test_connection()
    assert not passed
    assert text == str(raised.value)
    for secret in ("guess", PASSWORD, "12" * 31):
        assert secret not in text + caplog.text


def test_a_connection_that_does_not_exist_fails_the_test():
    passed, text = SignerHook("nobody").test_connection()
    assert not passed
    assert "nobody" in text


def test_no_repr_of_the_settings_shows_the_secret(connection, keystore):
    connection(
        "cwf_signer_default",
        conn_type="cwf_signer",
        password=PASSWORD,
        extra={"keystore": keystore},
    )
    settings = read_settings(chains=[])
    assert settings.signer.secret == PASSWORD
    assert PASSWORD not in repr(settings)


def test_the_keys_own_policy_goes_before_the_policy_file(connection, option, tmp_path):
    place = tmp_path / "policy.json"
    place.write_text('{"max_per_run": {"USDC": "10"}}')
    option("policy_file", place)
    assert read_settings(chains=[]).policy.max_per_run == {"USDC": 10_000_000}
    connection(
        "cwf_signer_default",
        conn_type="cwf_signer",
        password=KEY,
        extra={"policy": {"max_per_run": {"USDC": "3"}, "require_approval": True}},
    )
    policy = read_settings(chains=[]).policy
    assert policy.max_per_run == {"USDC": 3_000_000}
    assert policy.require_approval


@pytest.mark.parametrize(
    "extra",
    [
        {"policy": {"max_per_rum": {"USDC": "3"}}},
        {"policy": "everything"},
        '{"policy": {"max_per_run": {"USDC": "3"}},}',
    ],
)
def test_a_policy_that_cannot_be_read_is_never_no_policy(connection, extra):
    connection("cwf_signer_default", conn_type="cwf_signer", password=KEY, extra=extra)
    with pytest.raises(ConfigError, match="cwf_signer_default"):
        read_settings(chains=[])


def test_a_policy_file_that_is_gone_is_never_no_policy(option, tmp_path):
    option("policy_file", tmp_path / "gone.json")
    with pytest.raises(ConfigError, match=r"gone\.json"):
        read_settings(chains=[])
