"""What a node answers is checked before it is used."""

import asyncio

import pytest

from airflow_cwf.core.abi import dynamic_bytes, selector, uint_word
from airflow_cwf.core.errors import (
    RpcError,
    TransportError,
)
from tests.fakes.node_answers import (
    ANSWERS,
    BLOCK,
    CHAIN,
    HASH,
    HISTORY,
    LOG,
    OTHER_HASH,
    PAYEE,
    RECEIPT,
    ask,
    balance,
    broadcast,
    failing,
    malformed,
    under,
    without,
)

VALUE_FAULTS = {
    "null": malformed(result=None),
    "a number instead of hex": malformed(result=16),
    "hex without 0x": malformed(result="10"),
    "empty hex": malformed(result="0x"),
    "more than 256 bits": malformed(result="0x1" + "0" * 64),
    "an object": malformed(result={}),
}


@pytest.mark.parametrize("fault", VALUE_FAULTS.values(), ids=VALUE_FAULTS)
@pytest.mark.parametrize("question", [balance, broadcast, lambda client: client.chain_id()])
def test_a_value_of_another_shape_is_a_transport_error(fault, question):
    result, _, _ = under([fault], question)
    assert type(result) is TransportError


def test_a_broadcast_acknowledged_under_another_hash_leaves_the_outcome_open():
    result, _, _ = under([malformed(result=OTHER_HASH)], broadcast)
    assert type(result) is TransportError
    assert under([], broadcast)[0] is None


def test_a_version_is_made_printable():
    result, _, _ = under([], lambda client: client.client_version())
    assert result == "node/v1 [31m <url>"


def test_another_block_than_asked_is_malformed():
    assert type(under([], lambda client: client.block(6))[0]) is TransportError
    assert under([], lambda client: client.block(5))[0].number == 5


def test_a_block_from_before_eip_1559_has_no_base_fee():
    answers = ANSWERS | {"eth_getBlockByNumber": without(BLOCK, "baseFeePerGas")}
    block, _, _ = under([], lambda client: client.block("latest"), answers=answers)
    assert block.base_fee_per_gas == 0


@pytest.mark.parametrize("name", ["number", "hash", "timestamp"])
def test_a_block_that_lacks_a_part_is_malformed(name):
    answers = ANSWERS | {"eth_getBlockByNumber": without(BLOCK, name)}
    result, _, _ = under([], lambda client: client.block("latest"), answers=answers)
    assert type(result) is TransportError


def receipts(client):
    return client.receipts([HASH])


def test_a_receipt_is_read_with_logs_in_their_places_and_the_rollups_fee():
    answers = ANSWERS | {"eth_getTransactionReceipt": RECEIPT | {"l1Fee": "0x64"}}
    result, _, _ = under([], receipts, answers=answers)
    receipt = result[HASH]
    assert [log.position for log in receipt.logs] == [0, 1]
    assert receipt.fee == 21_000 * 2 + 100


@pytest.mark.parametrize(
    "receipt",
    [
        [],
        RECEIPT | {"transactionHash": OTHER_HASH},
        RECEIPT | {"status": "0x2"},
        RECEIPT | {"status": None},
        RECEIPT | {"blockHash": None},
        RECEIPT | {"from": "0x99"},
        RECEIPT | {"gasUsed": 21000},
        RECEIPT | {"l1Fee": -1},
        RECEIPT | {"logs": None},
        RECEIPT | {"logs": [None]},
        RECEIPT | {"logs": [LOG | {"topics": [7]}]},
        RECEIPT | {"logs": [LOG | {"data": "0x1"}]},
        without(RECEIPT, "effectiveGasPrice"),
    ],
    ids=range(13),
)
def test_a_receipt_of_another_shape_or_transaction_is_malformed(receipt):
    answers = ANSWERS | {"eth_getTransactionReceipt": receipt}
    assert type(under([], receipts, answers=answers)[0]) is TransportError


def history(client):
    return client.fee_history(2, [50])


def test_a_fee_history_ends_at_its_newest_block():
    fees, _, _ = under([], history)
    assert (fees.newest_block, fees.base_fees, fees.rewards) == (5, (1, 2, 3), ((1,), (2,)))
    bare, _, _ = under([], lambda client: client.fee_history(2, []))
    assert bare.rewards == ((), ())


@pytest.mark.parametrize(
    "fees",
    [
        None,
        without(HISTORY, "oldestBlock"),
        HISTORY | {"gasUsedRatio": [], "baseFeePerGas": ["0x1"]},
        HISTORY | {"baseFeePerGas": ["0x1", "0x2"]},
        HISTORY | {"gasUsedRatio": [0.5, "1"]},
        HISTORY | {"gasUsedRatio": [0.5, True]},
        HISTORY | {"gasUsedRatio": [0.5, float("nan")]},
        HISTORY | {"gasUsedRatio": [0.5, float("inf")]},
        HISTORY | {"gasUsedRatio": [0.5, -0.1]},
        HISTORY | {"gasUsedRatio": [0.5, 10**400]},
        HISTORY | {"reward": [["0x1"]]},
        HISTORY | {"reward": [["0x1"], []]},
        HISTORY | {"reward": None},
        HISTORY | {"baseFeePerGas": [1, 2, 3]},
    ],
    ids=range(14),
)
def test_a_fee_history_that_does_not_fit_together_is_malformed(fees):
    answers = ANSWERS | {"eth_feeHistory": fees}
    assert type(under([], history, answers=answers)[0]) is TransportError


def test_nethermind_writes_reverted_before_the_bytes():
    data = selector("Error(string)") + uint_word(32) + dynamic_bytes(b"paused")
    answer = failing("VM execution error.", code=-32015, data="Reverted 0x" + data.hex())
    result, _, _ = under(
        [], lambda client: client.call(PAYEE, b""), answers=ANSWERS | {"eth_call": answer}
    )
    assert (result.reason, result.data) == ("paused", data)


def test_revert_data_that_is_no_bytes_is_ignored():
    for data in ("nonsense", {"a": 1}, 5):
        answer = failing("execution reverted: paused", code=3, data=data)
        result, _, _ = under(
            [], lambda client: client.call(PAYEE, b""), answers=ANSWERS | {"eth_call": answer}
        )
        assert (result.reason, result.data) == ("paused", b"")


def test_a_client_does_not_show_its_urls():
    shown = ask("http://node/s3cret", lambda client: asyncio.sleep(0, repr(client)))
    assert shown == f"EvmClient({CHAIN})"


def test_a_version_that_is_no_text_is_malformed():
    answers = ANSWERS | {"web3_clientVersion": 5}
    result, _, _ = under([], lambda client: client.client_version(), answers=answers)
    assert type(result) is TransportError


def test_a_receipt_that_the_node_still_indexes_is_waited_for_and_an_unknown_error_raised():
    indexing = ANSWERS | {
        "eth_getTransactionReceipt": failing("transaction indexing is in progress")
    }
    result, node, _ = under([], receipts, answers=indexing, attempts=3)
    assert type(result) is TransportError
    assert node.calls["eth_getTransactionReceipt"] == 3
    broken = ANSWERS | {"eth_getTransactionReceipt": failing("database closed")}
    assert type(under([], receipts, answers=broken)[0]) is RpcError
