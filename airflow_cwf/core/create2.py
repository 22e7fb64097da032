"""Deterministic contract addresses (EIP-1014, `CREATE2`)."""

from typing import Final

from airflow_cwf.core.hashes import keccak256

DETERMINISTIC_DEPLOYER: Final = "0x4e59b44847b379578588920ca78fbf26c0b4956c"
"""https://github.com/Arachnid/deterministic-deployment-proxy: the same address on most chains.
Its calldata is salt (32 bytes) then init code."""

NO_SALT: Final = bytes(32)
"""The salt of contracts that this package deploys: their code alone decides the address."""

_ADDRESS_BYTES: Final = 20
_SALT_BYTES: Final = 32


def create2_address(deployer: str, salt: bytes, init_code: bytes) -> str:
    """Return the lower-case address at which `deployer` creates `init_code` under `salt`.

    Args:
        deployer: `0x` address of the account that runs the opcode.
        salt: 32 bytes.
        init_code: creation bytecode, constructor arguments included.

    Raises:
        ValueError: `deployer` is not 20 bytes of hex, or `salt` is not 32 bytes.
    """
    account = bytes.fromhex(deployer.removeprefix("0x"))
    if len(account) != _ADDRESS_BYTES:
        message = f"The deployer {deployer!r} is not an address of 20 bytes."
        raise ValueError(message)
    if len(salt) != _SALT_BYTES:
        message = f"The salt has {len(salt)} bytes; CREATE2 takes 32."
        raise ValueError(message)
    return "0x" + keccak256(b"\xff" + account + salt + keccak256(init_code))[12:].hex()
