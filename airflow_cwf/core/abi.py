"""The few parts of the contract ABI that fixed calls need, written out.

https://docs.soliditylang.org/en/latest/abi-spec.html. `eth_abi` can do more, but half a second
of imports is too much for code that a DAG file may reach.
"""

import re
from typing import Final

from airflow_cwf.core.hashes import keccak256

WORD: Final = 32
_ADDRESS: Final = re.compile(r"0x[0-9a-f]{40}")


def selector(signature: str) -> bytes:
    """Return the first four bytes of the hash of a canonical function or error signature."""
    return keccak256(signature.encode())[:4]


def event_topic(signature: str) -> str:
    """Return the first topic of a canonical event signature, as `0x` hex."""
    return "0x" + keccak256(signature.encode()).hex()


def uint_word(value: int) -> bytes:
    """Return a uint256."""
    return value.to_bytes(WORD)


def bytes32_word(value: bytes) -> bytes:
    """Return `value` itself.

    Raises:
        ValueError: it is not 32 bytes.
    """
    if len(value) != WORD:
        message = f"{len(value)} bytes stand where a bytes32 (a scope, a digest) belongs."
        raise ValueError(message)
    return value


def address_bytes(address: str) -> bytes:
    """Return the 20 bytes of a lower-case `0x` address.

    Raises:
        ValueError: it is not one.
    """
    if not _ADDRESS.fullmatch(address):
        message = f"{address!r} is not a lower-case 0x address."
        raise ValueError(message)
    return bytes.fromhex(address[2:])


def address_word(address: str) -> bytes:
    """Return a lower-case `0x` address as a word.

    Raises:
        ValueError: it is not one.
    """
    return address_bytes(address).rjust(WORD, b"\0")


def dynamic_bytes(content: bytes) -> bytes:
    """Return the tail of a `bytes` argument: length, content, padding to whole words."""
    return uint_word(len(content)) + content + bytes(-len(content) % WORD)


def dynamic_at(words: bytes, offset: int) -> bytes:
    """Return the content of the `bytes` tail at `offset`; short if `words` ends before it does."""
    start = offset + WORD
    return words[start : start + int.from_bytes(words[offset:start])]
