import pytest

from airflow_cwf.core.create2 import create2_address

# https://eips.ethereum.org/EIPS/eip-1014, "Examples", all seven.
ZERO = "0x" + "00" * 20
VECTORS = [
    (ZERO, "00" * 32, "00", "0x4d1a2e2bb4f88f0250f26ffff098b0b30b26bf38"),
    (
        "0xdeadbeef00000000000000000000000000000000",
        "00" * 32,
        "00",
        "0xb928f69bb1d91cd65274e3c79d8986362984fda3",
    ),
    (
        "0xdeadbeef00000000000000000000000000000000",
        "000000000000000000000000feed000000000000000000000000000000000000",
        "00",
        "0xd04116cdd17bebe565eb2422f2497e06cc1c9833",
    ),
    (ZERO, "00" * 32, "deadbeef", "0x70f2b2914a2a4b783faefb75f459a580616fcb5e"),
    (
        "0x00000000000000000000000000000000deadbeef",
        "00000000000000000000000000000000000000000000000000000000cafebabe",
        "deadbeef",
        "0x60f3f640a8508fc6a86d45df051962668e1e8ac7",
    ),
    (
        "0x00000000000000000000000000000000deadbeef",
        "00000000000000000000000000000000000000000000000000000000cafebabe",
        "deadbeef" * 11,
        "0x1d8bfdc5d46dc4f61d6b6115972536ebe6a8854c",
    ),
    (ZERO, "00" * 32, "", "0xe33c0c7f7df4809055c3eba6c09cfe4baf1bd9e0"),
]


@pytest.mark.parametrize(("deployer", "salt", "code", "address"), VECTORS)
def test_the_published_examples_hold(deployer, salt, code, address):
    assert create2_address(deployer, bytes.fromhex(salt), bytes.fromhex(code)) == address


def test_a_checksummed_deployer_gives_the_same_address():
    mixed = "0xDeaDBeef00000000000000000000000000000000"
    assert create2_address(mixed, bytes(32), b"\0") == VECTORS[1][3]


@pytest.mark.parametrize("deployer", ["0x00", "0x" + "00" * 21, "0xno"])
def test_a_broken_deployer_is_refused(deployer):
    with pytest.raises(ValueError, match=r"address|hexadecimal"):
        create2_address(deployer, bytes(32), b"")


def test_a_short_salt_is_refused():
    with pytest.raises(ValueError, match="32"):
        create2_address(ZERO, bytes(31), b"")
