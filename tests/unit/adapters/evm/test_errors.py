import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cwf.adapters.evm.errors import (
    NODE_TEXTS,
    PRINTED_CHARACTERS,
    NodeError,
    broadcast_error,
    matching_row,
    printable,
    read_error,
    revert_reason,
)
from airflow_cwf.core.abi import dynamic_bytes, uint_word
from airflow_cwf.core.errors import (
    CallRevertedError,
    NonceTooLowError,
    RateLimitedError,
    RejectedError,
    RpcError,
    TransportError,
    UnderpricedError,
)

CHAIN = "eip155:1"

SAMPLES = {
    "already known": "ALREADY_EXISTS: already known",
    "alreadyknown": "AlreadyKnown",
    "already imported": "transaction already imported",
    "existing tx with same hash": "INTERNAL_ERROR: existing tx with same hash",
    "known transaction": "Known transaction",
    "nonce too low": "nonce too low: next nonce 5, tx nonce 4",
    "oldnonce": "OldNonce, Current nonce: 22, nonce of rejected tx: 17",
    "nonce too high": "nonce too high: address 0xb68D, tx: 5 state: 3",
    "noncegap": "NonceGap, Future nonce. Expected nonce: 3",
    "noncetoofarinfuture": "NonceTooFarInFuture",
    "nonce is too distant": "Transaction nonce is too distant from current sender nonce",
    "lower nonce exists": "An invalid transaction with a lower nonce exists",
    "in-flight transaction limit reached": (
        "in-flight transaction limit reached for delegated accounts"
    ),
    "gapped-nonce tx": "gapped-nonce tx from delegated accounts",
    "tries to replace pending": "future transaction tries to replace pending",
    "replacement transaction underpriced": "Replacement transaction underpriced",
    "transaction underpriced": "transaction underpriced: gas tip cap 1, minimum needed 25",
    "less than block base fee": "max fee per gas less than block base fee: address 0xb6",
    "could not replace existing tx": "INTERNAL_ERROR: could not replace existing tx",
    "replacementnotallowed": "ReplacementNotAllowed",
    "feetoolow": "FeeTooLowToCompete",
    "fee too low": "fee too low",
    "underpriced": "underpriced",
    "below configured minimum gas price": "Gas price below configured minimum gas price",
    "below current base fee": "Gas price below current base fee",
    "insufficient funds": "Insufficient funds for gas * price + value",
    "insufficientfunds": "InsufficientFunds, Account balance: 4",
    "insufficient balance for transfer": "insufficient balance for transfer",
    "upfront cost exceeds account balance": "Upfront cost exceeds account balance",
    "not enough funds for gas": "not enough funds for gas",
    "exceeds block gas limit": "exceeds block gas limit",
    "gaslimitexceeded": "GasLimitExceeded, Gas limit: 30000000",
    "transaction gas limit too high": "transaction gas limit too high (cap: 16777216, tx: 2)",
    "intrinsic gas too": "intrinsic gas too high -- tx.gas_limit > env.block.gas_limit",
    "intrinsicgas": "IntrinsicGas",
    "intrinsic gas exceeds gas limit": "Intrinsic gas exceeds gas limit",
    "floor data gas": "insufficient gas for floor data gas cost: gas 21000, minimum needed 4",
    "exceeds the configured cap": "tx fee (1.20 ether) exceeds the configured cap (1.00 ether)",
    "transaction fee cap exceeded": "Transaction fee cap exceeded",
    "priority fee per gas higher than max fee": (
        "max priority fee per gas higher than max fee per gas"
    ),
    "priority fee per gas exceeds max fee": "Max priority fee per gas exceeds max fee per gas",
    "invalid sender": "invalid sender",
    "invalid chain id": "invalid chain id for signer: have 1 want 137",
    "wrong chainid": "Wrong chainId",
    "sender not an eoa": "sender not an eoa: address 0xb6, codehash: 0x1",
    "senderiscontract": "SenderIsContract",
    "oversized data": "oversized data: transaction size 131073, limit 131072",
    "rlptoolong": "RLPTooLong",
    "transaction type not supported": "transaction type not supported",
    "failed to decode transaction": "Failed to decode transaction",
    "execution reverted": "execution reverted: ERC20: transfer amount exceeds balance",
    "vm execution error": "VM execution error.",
    "vm exception": "VM Exception while processing transaction: revert paused",
    "out of gas": "out of gas",
    "invalid opcode": "invalid opcode: INVALID",
    "opcode not found": "EVM error OpcodeNotFound: opcode not found",
    "evm error": "EVM error InvalidFEOpcode",
    "invalid jump destination": "invalid jump destination",
    "stack underflow": "stack underflow (0 <=> 1)",
    "write protection": "write protection",
    "rate limit": "daily request count exceeded, request rate limited",
    "too many requests": "Too Many Requests",
    "request limit reached": "15/second request limit reached - reduce calls per second",
    "compute units per second": "Your app has exceeded its compute units per second capacity",
    "txpool is full": "txpool is full",
    "sub-pool is full": "INTERNAL_ERROR: queued sub-pool is full",
    "indexing is in progress": "transaction indexing is in progress",
    "sequencer temporarily not available": "sequencer temporarily not available",
    "failed to forward tx to sequencer": "failed to forward tx to sequencer, please try again",
    "sync is still in progress": "Initial sync is still in progress",
}


def test_every_row_has_a_sample_and_every_sample_a_row():
    assert [row.text for row in NODE_TEXTS] == list(SAMPLES)


@pytest.mark.parametrize("row", NODE_TEXTS, ids=lambda row: row.text)
def test_a_sample_reaches_its_own_row_and_no_earlier_one(row):
    assert matching_row(SAMPLES[row.text]) is row


def test_no_row_shadows_a_later_one():
    for place, row in enumerate(NODE_TEXTS):
        assert row.text == row.text.lower()
        shadowed = [later.text for later in NODE_TEXTS[place + 1 :] if row.text in later.text]
        assert shadowed == []


@pytest.mark.parametrize("row", NODE_TEXTS, ids=lambda row: row.text)
def test_a_broadcast_is_refused_left_open_or_unclassified(row):
    error = broadcast_error(NodeError(code=-32000, message=SAMPLES[row.text]), chain=CHAIN)
    expected = RpcError if row.error is CallRevertedError else row.error
    assert type(error) is expected
    assert error.chain == CHAIN


@pytest.mark.parametrize("row", NODE_TEXTS, ids=lambda row: row.text)
def test_a_read_reverts_waits_or_is_unclassified(row):
    error = read_error(NodeError(code=3, message=SAMPLES[row.text]), chain=CHAIN)
    assert type(error) is (RpcError if issubclass(row.error, RejectedError) else row.error)


def test_the_code_never_decides():
    for code in (None, 3, -32000, -32003, -32005, 429):
        known = broadcast_error(NodeError(code=code, message="nonce too low"), chain=CHAIN)
        unknown = broadcast_error(NodeError(code=code, message="no"), chain=CHAIN)
        assert type(known) is NonceTooLowError
        assert type(unknown) is RpcError
        assert unknown.code == code


def test_a_full_pool_leaves_the_outcome_open_instead_of_asking_for_a_higher_fee():
    error = broadcast_error(NodeError(code=-32000, message="txpool is full"), chain=CHAIN)
    assert isinstance(error, RateLimitedError)
    assert not isinstance(error, UnderpricedError)
    assert isinstance(error, TransportError)


def reverted(data, message="execution reverted"):
    return NodeError(code=3, message=message, data=data)


def error_string(content, *, offset=32):
    return bytes.fromhex("08c379a0") + uint_word(offset) + dynamic_bytes(content)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (reverted(error_string(b"Blacklistable: account is blacklisted")), None),
        (reverted(bytes.fromhex("4e487b71") + uint_word(0x11)), "panic 0x11 (arithmetic overflow)"),
        (
            reverted(bytes.fromhex("4e487b71") + uint_word(0x99)),
            "panic 0x99 (see the Solidity manual)",
        ),
        (reverted(bytes.fromhex("e450d38c") + uint_word(1)), "custom error 0xe450d38c"),
        (reverted(bytes.fromhex("4e487b71")), "custom error 0x4e487b71"),
        (reverted(error_string(b"")), "custom error 0x08c379a0"),
        (reverted(error_string(b"x", offset=2**255)), "custom error 0x08c379a0"),
        (reverted(b"", "execution reverted: paused"), "paused"),
        (reverted(b"", "VM Exception: reverted with reason 'paused'"), "paused"),
        (reverted(b"", "execution reverted"), "execution reverted"),
        (reverted(b"\1\2", "out of gas"), "out of gas"),
        (reverted(b"", ""), "no reason given"),
    ],
)
def test_a_revert_says_why(error, reason):
    assert revert_reason(error) == (reason or "Blacklistable: account is blacklisted")


def test_a_reverted_call_carries_reason_and_bytes():
    data = error_string(b"paused")
    error = read_error(reverted(data), chain=CHAIN)
    assert isinstance(error, CallRevertedError)
    assert (error.reason, error.data) == ("paused", data)
    assert str(error) == "[eip155:1] The call reverted: paused."


@given(st.binary(max_size=200), st.text(max_size=50))
def test_any_revert_bytes_give_a_short_printable_reason(data, message):
    reason = revert_reason(reverted(data, message))
    assert reason
    assert reason.isprintable()
    assert len(reason) <= PRINTED_CHARACTERS


def test_urls_and_transaction_bytes_of_a_node_are_not_repeated():
    shown = printable(
        "cannot decode 0x02f8" + "ab" * 120 + " at https://node.example/v2/s3cret\n(see "
        "wss://u:p4ss@node.example) \u202e" + "x" * 900
    )
    assert "abab" not in shown
    assert "s3cret" not in shown
    assert "p4ss" not in shown
    assert "\n" not in shown
    assert "\u202e" not in shown
    assert len(shown) == PRINTED_CHARACTERS


def test_a_hash_and_an_address_may_be_repeated():
    text = f"tx 0x{'ab' * 32} of 0x{'cd' * 20}"
    assert printable(text) == text
