import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cwf.core.addresses import AddressError, parse_evm_address, to_checksum_address

# SOURCE: https://eips.ethereum.org/EIPS/eip-55, test cases
EIP_55 = [
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]
GOOD = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


@pytest.mark.parametrize("address", EIP_55)
def test_published_checksums_are_accepted_and_made_again(address):
    assert parse_evm_address(address) == address.lower()
    assert to_checksum_address(address.lower()) == address


@given(st.binary(min_size=20, max_size=20).filter(any))
def test_every_address_survives_its_checksum_form(raw):
    address = "0x" + raw.hex()
    assert parse_evm_address(to_checksum_address(address)) == address
    assert parse_evm_address("0x" + raw.hex().upper()) == address


@given(st.integers(0, 39))
def test_changing_the_case_of_one_letter_is_noticed(place):
    digits = GOOD[2:]
    if digits[place] not in string.ascii_letters:
        return
    changed = digits[:place] + digits[place].swapcase() + digits[place + 1 :]
    with pytest.raises(AddressError) as caught:
        parse_evm_address("0x" + changed)
    assert caught.value.code == "bad_checksum"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("0x" + "0" * 40, "zero_address"),
        ("vitalik.eth", "ens_unsupported"),
        ("pay.vitalik.eth", "ens_unsupported"),
        (GOOD[:-1], "wrong_length"),
        (GOOD + "0", "wrong_length"),
        ("0x", "wrong_length"),
        (GOOD[2:], "missing_prefix"),
        ("0x" + "g" * 40, "not_hex"),
        ("0x\N{CYRILLIC SMALL LETTER A}" + "b" * 39, "not_hex"),
        ("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "not_hex"),
        (GOOD + "\N{ZERO WIDTH SPACE}", "invisible_character"),
        ("\N{ZERO WIDTH NO-BREAK SPACE}" + GOOD, "invisible_character"),
        (GOOD[:9] + "\N{NO-BREAK SPACE}" + GOOD[9:], "invisible_character"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}" + GOOD, "invisible_character"),
        (GOOD + "\n", "invisible_character"),
        (GOOD + "\N{HANGUL FILLER}", "invisible_character"),
    ],
)
def test_what_is_not_an_address_is_refused_with_its_code(text, code):
    with pytest.raises(AddressError) as caught:
        parse_evm_address(text)
    assert caught.value.code == code
    assert caught.value.reason == str(caught.value)


def test_a_reason_names_the_invisible_character_and_never_the_address():
    with pytest.raises(AddressError, match=r"U\+200B, zero width space") as caught:
        parse_evm_address(GOOD + "\N{ZERO WIDTH SPACE}")
    assert GOOD[2:] not in caught.value.reason


def test_a_control_character_has_no_name_and_is_still_reported():
    with pytest.raises(AddressError, match=r"U\+0007, control character"):
        parse_evm_address(GOOD + "\a")
