"""Signs and decodes EIP-1559 transactions (https://eips.ethereum.org/EIPS/eip-1559).

The wire form is `02 || rlp([chain_id, nonce, max_priority_fee, max_fee, gas_limit, to, value, data,
access_list, y_parity, r, s])`. Access lists and contract creation are not used here, and refused.
"""

from collections.abc import Sequence
from typing import Any, Final

import rlp
from coincurve import PublicKey

from airflow_cwf.core.abi import address_bytes
from airflow_cwf.core.errors import CwfError
from airflow_cwf.core.hashes import keccak256
from airflow_cwf.core.ports import Signer
from airflow_cwf.core.transactions import (
    Call,
    FeeQuote,
    SignedTransaction,
    UnsignedTransaction,
)

TRANSACTION_TYPE: Final = b"\x02"
MAX_BYTES: Final = 128 * 1024
"""geth refuses longer transactions (core/txpool/legacypool, txMaxSize)."""

_FIELDS: Final = 12
_ADDRESS_BYTES: Final = 20
_WORD: Final = 32
_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_MAX_UINT64: Final = 2**64 - 1
_MAX_UINT256: Final = 2**256 - 1


class TransactionFormatError(CwfError):
    """A transaction cannot be written or read in the one form that this package uses."""


class Eip1559Codec:
    """Encodes, signs and decodes type 2 transactions; implements `TransactionCodec`."""

    def sign(self, transaction: UnsignedTransaction, signer: Signer) -> SignedTransaction:
        """Sign and return hash and bytes; nothing is sent.

        Raises:
            TransactionFormatError: a field is out of its range, or the whole is too long.
            SignerError: the key cannot be used.
        """
        fields = _fields(transaction)
        signature = signer.sign_digest(keccak256(TRANSACTION_TYPE + rlp.encode(fields)))
        raw = TRANSACTION_TYPE + rlp.encode([*fields, *signature])
        if len(raw) > MAX_BYTES:
            raise TransactionFormatError(
                f"The transaction has {len(raw)} bytes and nodes take {MAX_BYTES}; nothing was "
                f"sent. Put fewer items into it."
            )
        return SignedTransaction(hash="0x" + keccak256(raw).hex(), raw=raw)


def decode_signed(raw: bytes) -> tuple[UnsignedTransaction, str, str]:
    """Return what signed bytes say: the transaction, its sender and its hash.

    Strict: exactly one encoding of a transaction is accepted, so `decode` and `sign` are inverse.
    The block of the quote is not on the wire and reads 0.

    Raises:
        TransactionFormatError: the bytes are not such a transaction, or its signature is false.
    """
    if len(raw) > MAX_BYTES or raw[:1] != TRANSACTION_TYPE:
        raise _malformed("not a type 2 transaction of permitted length")
    try:
        fields = rlp.decode(raw[1:], strict=True)
    except (rlp.exceptions.RLPException, RecursionError) as error:
        raise _malformed("not canonical RLP") from error
    if not isinstance(fields, Sequence) or len(fields) != _FIELDS:
        raise _malformed("not twelve fields")
    transaction = _transaction(fields)
    sender = _sender(fields)
    return transaction, sender, "0x" + keccak256(raw).hex()


def _fields(transaction: UnsignedTransaction) -> list[Any]:
    call, fees = transaction.call, transaction.fees
    _check_ranges(transaction)
    return [
        transaction.chain_id,
        transaction.nonce,
        fees.max_priority_fee_per_gas,
        fees.max_fee_per_gas,
        call.gas_limit,
        _recipient(call),
        call.value,
        call.data,
        [],
    ]


def _check_ranges(transaction: UnsignedTransaction) -> None:
    call, fees = transaction.call, transaction.fees
    # EIP-2681 keeps 2^64 - 1 itself from being a nonce.
    checks = (
        ("chain id", transaction.chain_id, 1, _MAX_UINT64),
        ("nonce", transaction.nonce, 0, _MAX_UINT64 - 1),
        ("gas limit", call.gas_limit, 1, _MAX_UINT64),
        ("value", call.value, 0, _MAX_UINT256),
        ("fee cap", fees.max_fee_per_gas, 0, _MAX_UINT256),
        ("tip", fees.max_priority_fee_per_gas, 0, fees.max_fee_per_gas),
    )
    for name, value, least, most in checks:
        if not least <= value <= most:
            raise TransactionFormatError(
                f"The {name} {value} is not between {least} and {most}; nothing was signed."
            )


def _recipient(call: Call) -> bytes:
    try:
        return address_bytes(call.to)
    except ValueError as error:
        raise TransactionFormatError(
            "The recipient is not a lower-case address; nothing was signed."
        ) from error


def _transaction(fields: Sequence[Any]) -> UnsignedTransaction:
    chain_id, nonce, tip, cap, gas_limit = (_integer(field) for field in fields[:5])
    to, data, access_list = fields[5], fields[7], fields[8]
    if not isinstance(to, bytes) or len(to) != _ADDRESS_BYTES:
        raise _malformed("no recipient")
    if not isinstance(data, bytes):
        raise _malformed("call data are a list")
    if isinstance(access_list, bytes) or len(access_list):
        raise _malformed("an access list")
    transaction = UnsignedTransaction(
        chain_id=chain_id,
        nonce=nonce,
        call=Call(to="0x" + to.hex(), data=data, gas_limit=gas_limit, value=_integer(fields[6])),
        fees=FeeQuote(max_fee_per_gas=cap, max_priority_fee_per_gas=tip, block=0),
    )
    _check_ranges(transaction)
    return transaction


def _sender(fields: Sequence[Any]) -> str:
    y_parity, r, s = (_integer(field) for field in fields[9:])
    if y_parity > 1 or not 0 < r < _ORDER or not 0 < s <= _ORDER // 2:  # EIP-2: low s only
        raise _malformed("a signature out of range")
    digest = keccak256(TRANSACTION_TYPE + rlp.encode(list(fields[:9])))
    compact = r.to_bytes(32) + s.to_bytes(32) + bytes([y_parity])
    try:
        key = PublicKey.from_signature_and_message(compact, digest, hasher=None)
    except ValueError as error:
        raise _malformed("a signature of no key") from error
    return "0x" + keccak256(key.format(compressed=False)[1:])[12:].hex()


def _integer(field: object) -> int:
    if not isinstance(field, bytes) or field[:1] == b"\0" or len(field) > _WORD:
        raise _malformed("a number that is not canonical")
    return int.from_bytes(field)


def _malformed(what: str) -> TransactionFormatError:
    return TransactionFormatError(f"The bytes are not a transaction of this package: {what}.")
