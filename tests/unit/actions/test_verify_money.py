"""Check 13: what a chain can contradict, and what it merely does not know."""

import asyncio
from dataclasses import replace

import pytest

from airflow_cwf.actions.verify import State, Terms, verify
from airflow_cwf.core.evidence.metadata import AgentEvidence
from tests.fakes.evidence import (
    ETHEREUM,
    POLYGON,
    agents,
    chains,
    hash_of,
    metadata,
    output,
    receipt,
    transfer,
)

MADE = metadata()


def money(clients, made=MADE):
    result = asyncio.run(
        verify(made.data, Terms(receipts_files=made.receipts_files, chains=clients))
    )
    line = result.lines[12]
    expected = {State.HELD: 0, State.FALSE: 1, State.UNKNOWN: 2}
    assert result.exit_code == expected[line.state]
    return line


def run_of(item, **changes):
    """One agent on ethereum with one receipt."""
    made = output("A", number=1, chain=item["chain"], txs=(), **changes)
    return metadata([AgentEvidence(made, [item])])


def test_true_payments_hold():
    line = money(chains())
    assert line.state is State.HELD
    assert "4 settled items in 3 final transactions" in line.text


def test_the_last_finalized_block_is_final_and_the_next_is_not():
    clients = chains()
    clients[ETHEREUM].finalized = 11
    assert money(clients).state is State.HELD
    clients[ETHEREUM].finalized = 10
    assert money(clients).state is State.UNKNOWN


@pytest.mark.parametrize(
    "log",
    [
        replace(transfer(2, position=1), address="0x" + "dd" * 20),
        replace(transfer(2, position=1), topics=transfer(3, position=1).topics),
        replace(transfer(2, position=1), topics=transfer(2, position=1).topics[:2]),
        replace(transfer(2, position=1), topics=()),
        replace(transfer(2, position=1), data=(1).to_bytes(32, "big")),
        replace(transfer(2, position=1), data=b""),
        transfer(2, position=0),
    ],
    ids=["token", "payee", "short", "anonymous", "amount", "no data", "position"],
)
def test_another_event_is_false(log):
    clients = chains()
    clients[ETHEREUM].replace(2, logs=(log,))
    assert money(clients).state is State.FALSE


def test_a_swapped_payer_is_false():
    event = transfer(2, position=1)
    topics = (event.topics[0], event.topics[2], event.topics[1])
    clients = chains()
    clients[ETHEREUM].replace(2, logs=(replace(event, topics=topics),))
    assert money(clients).state is State.FALSE


def test_a_reverted_transaction_is_false():
    clients = chains()
    clients[POLYGON].replace(3, succeeded=False)
    assert money(clients).state is State.FALSE


def test_an_absent_transaction_is_unknown():
    clients = chains()
    del clients[POLYGON].transactions[hash_of(3)]
    assert money(clients).state is State.UNKNOWN


def test_a_receipt_of_a_block_that_is_not_canonical_is_unknown():
    clients = chains()
    clients[ETHEREUM].forked[10] = hash_of(666)
    assert money(clients).state is State.UNKNOWN


def test_a_node_that_answers_about_another_transaction_is_unknown():
    clients = chains()
    clients[POLYGON].replace(3, hash=hash_of(4))
    assert money(clients).state is State.UNKNOWN


def test_another_chain_behind_the_url_is_unknown():
    clients = chains()
    clients[POLYGON].id = 5
    assert money(clients).state is State.UNKNOWN


def test_a_silent_node_is_unknown_and_its_url_stays_unsaid():
    clients = chains()
    clients[ETHEREUM].down = True
    line = money(clients)
    assert line.state is State.UNKNOWN
    assert "secret" not in line.text


def test_a_missing_node_is_unknown_and_named():
    line = money({ETHEREUM: chains()[ETHEREUM]})
    assert line.state is State.UNKNOWN
    assert POLYGON in line.text


def test_a_false_claim_outweighs_an_unanswered_question():
    clients = chains()
    clients[ETHEREUM].down = True
    clients[POLYGON].replace(3, succeeded=False)
    assert money(clients).state is State.FALSE


def test_a_false_claim_outweighs_an_absent_transaction_on_the_same_chain():
    clients = chains()
    del clients[ETHEREUM].transactions[hash_of(1)]
    clients[ETHEREUM].replace(2, succeeded=False)
    assert money(clients).state is State.FALSE


def test_one_event_claimed_by_two_receipts_is_false():
    evidence = agents()
    twin = receipt(1, chain=ETHEREUM, tx=1, log=0)
    receipts = [evidence[1].receipts[0], twin]
    made = metadata([AgentEvidence(evidence[1].output, receipts)])
    assert money(chains(), made).state is State.FALSE


def test_a_payment_without_transaction_or_event_is_false():
    for item in (
        receipt(0, chain=ETHEREUM, tx=None, log=None),
        receipt(0, chain=ETHEREUM, tx=1, log=None),
    ):
        assert money(chains(), run_of(item)).state is State.FALSE


def test_a_payment_to_nobody_is_false():
    item = receipt(0, chain=ETHEREUM, tx=1, log=0) | {"payee": None}
    assert money(chains(), run_of(item)).state is State.FALSE


def test_a_failed_item_whose_money_moved_is_false():
    item = receipt(0, chain=ETHEREUM, status="failed", tx=1, log=None)
    assert money(chains(), run_of(item, error="1 failed")).state is State.FALSE


def test_a_failed_item_in_a_transaction_that_paid_others_holds():
    item = receipt(9, chain=ETHEREUM, status="failed", tx=1, log=None)
    assert money(chains(), run_of(item, error="1 failed")).state is State.HELD


def test_a_call_without_amount_must_only_have_succeeded():
    item = receipt(0, chain=ETHEREUM, tx=1, log=None) | {"amount": None, "payee": None}
    assert money(chains(), run_of(item)).state is State.HELD


def test_what_this_version_cannot_compare_is_unknown():
    native = receipt(0, chain=ETHEREUM, tx=1, log=None) | {"asset": "eip155:1/slip44:60"}
    cosmos = receipt(0, chain=ETHEREUM, tx=1, log=None) | {
        "chain": "cosmos:cosmoshub-4",
        "tx_hash": "AB",
        "asset": "cosmos:cosmoshub-4/slip44:118",
    }
    assert money(chains(), run_of(native)).state is State.UNKNOWN
    assert money(chains(), run_of(cosmos)).state is State.UNKNOWN
