"""The head's promises on a real node: compared, swapped, told, and nobody else's."""

from dataclasses import replace

import pytest

from airflow_cwf.core.abi import selector
from airflow_cwf.core.anchors import (
    NO_HEAD,
    AppendCall,
    AppendedEvent,
    Head,
    append_gas_limit,
    appended_events,
    decode_head,
    decode_refusal,
    encode_append,
    encode_head,
)
from airflow_cwf.core.create2 import DETERMINISTIC_DEPLOYER, NO_SALT, create2_address
from airflow_cwf.core.evidence.batch_document import LogId, compose_batch
from airflow_cwf.core.evidence.cid import raw_cid
from airflow_cwf.core.evidence.log import log_leaves
from contracts.compile import ARTIFACT, SOURCE, compile_source, render
from contracts.test.dev_chain import CallRefusedError, calldata, logs_of

pytestmark = pytest.mark.chain

FIRST = AppendCall(NO_HEAD, Head(3, b"\xa1" * 32), b"\xb1" * 32)
SECOND = AppendCall(FIRST.new, Head(7, b"\xa2" * 32), b"\xb2" * 32)


@pytest.fixture(scope="session")
def anchor_artifact():
    return compile_source(SOURCE.with_stem("WorkflowAnchor"))["WorkflowAnchor"]


@pytest.fixture
def anchor(chain, anchor_artifact):
    return chain.deploy(anchor_artifact["bytecode"])


@pytest.fixture
def append(chain, anchor):
    def send(call, sender=None, **kwargs):
        sender = sender or chain.accounts[1]
        return chain.send(anchor, encode_append(call), sender=sender, **kwargs)

    return send


@pytest.fixture
def head(chain, anchor):
    def read(account=None):
        return decode_head(chain.call(anchor, encode_head(account or chain.accounts[1])))

    return read


@pytest.fixture
def refusal(chain, anchor, append):
    """Return why a call reverts, and see that sending it does too."""

    def ask(call, sender=None):
        sender = sender or chain.accounts[1]
        with pytest.raises(CallRefusedError) as caught:
            chain.call(anchor, encode_append(call), sender=sender)
        receipt = append(call, sender)
        assert receipt["status"] == "0x0"
        assert receipt["logs"] == []
        return decode_refusal(caught.value.data)

    return ask


def test_the_shipped_artifact_is_what_the_source_compiles_to(anchor_artifact):
    shipped = ARTIFACT.with_stem("WorkflowAnchor").read_text(encoding="utf-8")
    assert shipped == render(anchor_artifact)


def test_the_code_stands_where_create2_says(chain, anchor_artifact):
    code = bytes.fromhex(anchor_artifact["bytecode"][2:])
    assert chain.send(DETERMINISTIC_DEPLOYER, NO_SALT + code)["status"] == "0x1"
    address = create2_address(DETERMINISTIC_DEPLOYER, NO_SALT, code)
    assert chain.rpc("eth_getCode", address, "latest") == anchor_artifact["deployedBytecode"]
    assert chain.read(address, "VERSION()") == 1
    assert chain.call(address, selector("EMPTY_ROOT()")) == NO_HEAD.root


def test_an_unset_head_is_the_empty_log(head):
    assert head() == NO_HEAD


def test_an_append_sets_the_head_and_tells_it(chain, anchor, append, head):
    for call in (FIRST, SECOND):
        receipt = append(call)
        assert receipt["status"] == "0x1"
        assert head() == call.new
        (event,) = appended_events(logs_of(receipt), contract=anchor)
        assert event == AppendedEvent(chain.accounts[1], call, position=0)


def test_the_same_append_again_is_refused_with_the_head_it_made(append, head, refusal):
    append(FIRST)
    assert refusal(FIRST) == FIRST.new
    assert head() == FIRST.new


def test_of_two_appends_at_once_one_is_refused(chain, anchor, head):
    """Both stand in one block: the second is what a lost race looks like."""
    sender = chain.accounts[1]
    other = replace(FIRST, new=Head(4, b"\xa9" * 32))
    chain.rpc("evm_setAutomine", False)
    try:
        hashes = [
            chain.rpc(
                "eth_sendTransaction",
                {"from": sender, "to": anchor, "data": "0x" + encode_append(call).hex()}
                | {"gas": hex(200_000)},
            )
            for call in (FIRST, other)
        ]
        chain.rpc("evm_mine")
    finally:
        chain.rpc("evm_setAutomine", True)
    receipts = [chain.rpc("eth_getTransactionReceipt", name) for name in hashes]
    assert [receipt["status"] for receipt in receipts] == ["0x1", "0x0"]
    assert receipts[0]["blockNumber"] == receipts[1]["blockNumber"]
    assert head() == FIRST.new


@pytest.mark.parametrize(
    "old",
    [Head(2, FIRST.new.root), Head(3, b"\xaa" * 32), NO_HEAD],
    ids=["another size", "another root", "the empty log"],
)
def test_an_append_to_another_head_is_refused(append, head, refusal, old):
    append(FIRST)
    assert refusal(replace(SECOND, old=old)) == FIRST.new
    assert head() == FIRST.new


def test_the_zero_root_is_not_the_empty_log(chain, anchor):
    words = (0, bytes(32), 1, b"\xa1" * 32, b"\xb1" * 32)
    data = calldata("append(uint256,bytes32,uint256,bytes32,bytes32)", *words)
    with pytest.raises(CallRefusedError) as caught:
        chain.call(anchor, data, sender=chain.accounts[1])
    assert decode_refusal(caught.value.data) == NO_HEAD


@pytest.mark.parametrize("size", [0, 2, 3])
def test_a_log_that_does_not_grow_is_refused(chain, anchor, append, head, size):
    append(FIRST)
    words = (3, FIRST.new.root, size, b"\xa2" * 32, b"\xb2" * 32)
    data = calldata("append(uint256,bytes32,uint256,bytes32,bytes32)", *words)
    with pytest.raises(CallRefusedError) as caught:
        chain.call(anchor, data, sender=chain.accounts[1])
    assert decode_refusal(caught.value.data) == "the new log is not larger than the old one"
    assert chain.send(anchor, data, sender=chain.accounts[1])["status"] == "0x0"
    assert head() == FIRST.new


def test_submitters_do_not_share_heads(chain, append, head, refusal):
    append(FIRST)
    stranger = chain.accounts[2]
    assert head(stranger) == NO_HEAD
    assert refusal(SECOND, stranger) == NO_HEAD
    assert append(FIRST, stranger)["status"] == "0x1"
    assert append(SECOND)["status"] == "0x1"
    assert head() == SECOND.new
    assert head(stranger) == FIRST.new


def test_coins_are_refused(append, head):
    assert append(FIRST, value=1)["status"] == "0x0"
    assert head() == NO_HEAD


def test_calldata_that_is_cut_off_is_refused(chain, anchor, head):
    data = encode_append(FIRST)[:-1]
    assert chain.send(anchor, data, sender=chain.accounts[1])["status"] == "0x0"
    assert head() == NO_HEAD


def test_an_append_takes_about_36_000_gas_and_the_first_one_70_000(append):
    """No zero bytes in roots and digests: the dearest calldata."""
    first, second = (int(append(call)["gasUsed"], 16) for call in (FIRST, SECOND))
    assert 68_000 < first < 72_000
    assert 34_000 < second < 38_000


def test_the_computed_limit_is_enough_for_the_dearest_append(append):
    huge = AppendCall(NO_HEAD, Head(2**256 - 1, b"\xff" * 32), b"\xff" * 32)
    limit = append_gas_limit(calldata=encode_append(huge))
    receipt = append(huge, gas=limit)
    assert receipt["status"] == "0x1"
    assert limit - int(receipt["gasUsed"], 16) > 10_000


def test_composed_batches_move_the_head_from_the_empty_log_on(chain, anchor, append, head):
    log = LogId("eip155:31337", anchor, chain.accounts[1])
    leaves = []
    for count in (1, 3, 4):
        records = [raw_cid(b"%d/%d" % (len(leaves), place)) for place in range(count)]
        growth = compose_batch(log, leaves=leaves, records=records).growth
        old, new = Head(growth.old_size, growth.old_root), Head(growth.size, growth.root)
        assert head() == old
        assert append(AppendCall(old, new, b"\xb0" * 32))["status"] == "0x1"
        leaves += log_leaves(records)
    assert head().size == 8
