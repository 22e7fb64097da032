import json
import traceback

import pytest

from airflow_cwf.adapters.signers.keystore import open_keystore, write_keystore
from airflow_cwf.core.errors import SignerError

KEY = b"\x46" * 32
ADDRESS = "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def scrypt():
    return write_keystore(KEY, PASSWORD, scrypt_n=2)


@pytest.fixture(scope="module")
def pbkdf2():
    from eth_account import Account

    return json.dumps(Account.encrypt(KEY, PASSWORD, kdf="pbkdf2", iterations=1))


def changed(text, *path, to):
    keystore = json.loads(text)
    place = keystore
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = to
    return json.dumps(keystore)


@pytest.mark.parametrize("kind", ["scrypt", "pbkdf2"])
def test_the_password_opens_both_kinds(kind, request):
    assert open_keystore(request.getfixturevalue(kind), PASSWORD).address == ADDRESS


@pytest.mark.parametrize("kind", ["scrypt", "pbkdf2"])
def test_a_wrong_password_names_the_address_and_never_the_password(kind, request):
    guess = "hunter" + "2" * 3  # not in one piece: a traceback prints this source, too
    with pytest.raises(SignerError, match=f"(?i)locked keystore.*{ADDRESS}") as caught:
        open_keystore(request.getfixturevalue(kind), guess)
    assert guess not in "".join(traceback.format_exception(caught.value))


def test_a_file_without_an_address_opens_too(scrypt):
    keystore = json.loads(scrypt)
    del keystore["address"]
    assert open_keystore(json.dumps(keystore), PASSWORD).address == ADDRESS
    with pytest.raises(SignerError, match="this file"):
        open_keystore(json.dumps(keystore), "wrong")


def test_upper_case_member_names_are_read(scrypt):
    keystore = json.loads(scrypt)
    keystore["Crypto"] = keystore.pop("crypto")
    assert open_keystore(json.dumps(keystore), PASSWORD).address == ADDRESS


def test_a_file_that_names_another_address_is_refused(scrypt):
    with pytest.raises(SignerError, match="holds the key of"):
        open_keystore(changed(scrypt, "address", to="11" * 20), PASSWORD)


def test_an_address_that_is_none_is_not_repeated(scrypt):
    with pytest.raises(SignerError) as caught:
        open_keystore(changed(scrypt, "address", to="<script>"), "wrong")
    assert "script" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), 4),
        (("version",), "3"),
        (("crypto",), None),
        (("crypto", "cipher"), "aes-256-gcm"),
        (("crypto", "ciphertext"), "zz"),
        (("crypto", "ciphertext"), "00" * 33),
        (("crypto", "mac"), 5),
        (("crypto", "cipherparams"), []),
        (("crypto", "cipherparams", "iv"), "00"),
        (("crypto", "kdf"), "argon2"),
        (("crypto", "kdf"), ["scrypt"]),
        (("crypto", "kdfparams"), "n=2"),
        (("crypto", "kdfparams", "salt"), None),
        (("crypto", "kdfparams", "dklen"), 64),
        (("crypto", "kdfparams", "n"), 0),
        (("crypto", "kdfparams", "n"), 1),
        (("crypto", "kdfparams", "n"), 3),
        (("crypto", "kdfparams", "n"), True),
        (("crypto", "kdfparams", "n"), 2.0),
        (("crypto", "kdfparams", "r"), -8),
        (("crypto", "kdfparams", "p"), "1"),
    ],
)
def test_a_malformed_file_is_refused_before_any_work(scrypt, path, value):
    with pytest.raises(SignerError, match="not a keystore file"):
        open_keystore(changed(scrypt, *path, to=value), PASSWORD)


@pytest.mark.parametrize(("name", "value"), [("n", 2**40), ("r", 2**30), ("p", 2**30)])
def test_a_scrypt_bomb_is_refused_before_it_goes_off(scrypt, name, value):
    with pytest.raises(SignerError, match="memory or time"):
        open_keystore(changed(scrypt, "crypto", "kdfparams", name, to=value), PASSWORD)


def test_endless_pbkdf2_is_refused(pbkdf2):
    with pytest.raises(SignerError, match="more time"):
        open_keystore(changed(pbkdf2, "crypto", "kdfparams", "c", to=10**12), PASSWORD)
    with pytest.raises(SignerError, match="prf"):
        open_keystore(changed(pbkdf2, "crypto", "kdfparams", "prf", to="hmac-md5"), PASSWORD)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{",
        "46" * 32,
        "[" * 50_000,
        " " * 70_000 + "{}",
        '{"a":' * 700 + "1" + "}" * 700,
    ],
    ids=range(8),
)
def test_a_text_that_is_no_keystore_is_refused_and_not_repeated(text):
    with pytest.raises(SignerError) as caught:
        open_keystore(text, PASSWORD)
    assert "4646" not in "".join(traceback.format_exception(caught.value))


def test_a_number_that_is_no_key_is_not_written():
    with pytest.raises(SignerError):
        write_keystore(bytes(32), PASSWORD, scrypt_n=2)
