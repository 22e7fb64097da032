"""What chains do to transactions that are on their way, and what becomes of the payments."""

import asyncio

import pytest

from airflow_cwf.core.errors import FailedItemsError, PreparationError, UnresolvedError
from airflow_cwf.core.policies import Policy
from airflow_cwf.core.transactions import Call, FeeQuote, UnsignedTransaction
from tests.fakes.chain import GWEI
from tests.fakes.runtime import payee
from tests.integration.engine.breakers import smaller_batches, three, with_policy

SETTLED = ("settled", None)


def at_head(world, height, action):
    """Do `action` as soon as the chain has a block of that number."""
    node = world.nodes["ethereum"]

    def listen(_now):
        if node.head >= height and listen in world.clock.listeners:
            world.clock.listeners.remove(listen)
            action()

    world.clock.listeners.append(listen)


def test_a_transaction_that_a_reorg_takes_out_is_sent_again_and_paid_once(world):
    paid = three(world)
    node = world.nodes["ethereum"]
    node.finality = 3
    at_head(world, 2, lambda: node.reorg(2, forget=True))
    asyncio.run(world.pay())
    assert sorted(node.transfers()) == paid
    assert len(set(node.seen)) == 1
    assert len(node.seen) == 2
    assert world.states() == [SETTLED] * 3


def test_a_receipt_of_a_lost_fork_concludes_nothing(world):
    paid = three(world)
    node = world.nodes["ethereum"]
    node.finality = 2
    node.serves_ghosts = True

    def fork():
        node.reorg(2, forget=True)
        node.swallowed = 1

    at_head(world, 2, fork)
    asyncio.run(world.pay())
    assert sorted(node.transfers()) == paid
    assert world.signatures() == 1
    assert {row.tx_hash for row in world.rows()} == {node.seen[0]}


def test_a_node_that_forgets_a_transaction_is_given_the_same_bytes_again(world):
    paid = three(world)
    node = world.nodes["ethereum"]
    node.swallowed = 2
    asyncio.run(world.pay())
    assert sorted(node.transfers()) == paid
    assert world.signatures() == 1


def test_a_lost_reply_is_no_reason_to_sign_again(world):
    paid = three(world)
    node = world.nodes["ethereum"]
    node.lost_replies = 1
    asyncio.run(world.pay())
    assert sorted(node.transfers()) == paid
    assert world.signatures() == 1


def test_receipts_that_lag_are_waited_for(world):
    paid = three(world)
    world.nodes["ethereum"].receipt_lag = 30
    asyncio.run(world.pay())
    assert sorted(world.nodes["ethereum"].transfers()) == paid
    assert world.signatures() == 1


def test_a_chain_that_stands_still_leaves_the_items_unresolved_and_a_rerun_finishes(world):
    paid = three(world)
    node = world.nodes["ethereum"]
    node.is_mining = False
    with pytest.raises(UnresolvedError, match="3 of 3 items have no outcome yet"):
        asyncio.run(world.pay(settle_timeout_s=100))
    assert world.output()["counts"]["reasons"] == {"not final yet": 3}
    node.is_mining = True
    asyncio.run(world.pay())
    assert sorted(node.transfers()) == paid
    assert world.signatures() == 1


def test_a_batch_that_reverts_whole_goes_on_in_smaller_ones(world, monkeypatch):
    paid = three(world)
    node = world.nodes["ethereum"]
    node.token.most_items_when_mined = 1
    smaller_batches(monkeypatch)
    asyncio.run(world.pay())
    assert sorted(node.transfers()) == paid
    assert world.states() == [SETTLED] * 3
    assert world.signatures() > 3


def test_what_always_reverts_fails_after_the_last_re_send_and_is_paid_to_nobody(world):
    three(world)
    node = world.nodes["ethereum"]
    node.token.most_items_when_mined = 0
    with pytest.raises(FailedItemsError, match="3 items failed for technical reasons"):
        asyncio.run(world.pay(max_retries=2))
    assert node.transfers() == []
    assert world.states() == [("failed", "reverted")] * 3
    assert node.ledger.nonces[world.payer] == world.signatures()
    assert {row.resends for row in world.rows()} == {2}


def test_running_again_does_not_give_a_failed_item_new_re_sends(world):
    three(world)
    world.nodes["ethereum"].token.most_items_when_mined = 0
    for run_id in ("r1", "r2"):
        with pytest.raises(FailedItemsError):
            asyncio.run(world.pay(max_retries=1, run_id=run_id))
    assert world.states() == [("failed", "reverted")] * 3
    assert world.output(run_id="r2")["transactions"] == 0


def test_one_item_that_fails_when_mined_holds_up_nobody_else(world):
    paid = three(world)
    world.nodes["ethereum"].token.refuses_when_mined = {payee(1)}
    output = asyncio.run(world.pay(max_retries=2, max_failed=1))
    assert sorted(world.nodes["ethereum"].transfers()) == [paid[0], paid[2]]
    assert output["counts"]["reasons"] == {"reverted": 1}
    assert world.states() == [("failed", "reverted"), SETTLED, SETTLED]


def test_one_item_that_a_simulation_refuses_is_sent_alone(world):
    paid = three(world)
    world.nodes["ethereum"].token.refuses = {payee(1): "not today"}
    with pytest.raises(FailedItemsError):
        asyncio.run(world.pay(max_retries=0))
    assert sorted(world.nodes["ethereum"].transfers()) == [paid[0], paid[2]]
    assert world.signatures() == 2


def test_a_token_that_moves_money_in_silence_leaves_every_item_unresolved(world):
    three(world)
    world.nodes["ethereum"].token.is_mute = True
    with pytest.raises(UnresolvedError, match="outcome unclear"):
        asyncio.run(world.pay())
    assert world.states() == [("unclear", "outcome unclear")] * 3
    with pytest.raises(UnresolvedError):
        asyncio.run(world.pay(run_id="r2"))
    assert world.signatures() == 1


def test_a_payee_whom_the_token_lists_between_simulation_and_block_is_a_business_reason(world):
    paid = three(world)
    node = world.nodes["ethereum"]

    def list_once_sent(method):
        if method == "broadcast":
            node.token.blacklist = {payee(0)}

    node.on_call = list_once_sent
    output = asyncio.run(world.pay())
    assert sorted(node.transfers()) == paid[1:]
    assert output["counts"]["reasons"] == {"blacklisted by the token": 1}


def test_another_transaction_at_our_nonce_leaves_its_items_unresolved(world):
    three(world)
    node = world.nodes["ethereum"]

    def steal(method):
        if method == "broadcast" and world.signatures() == 1 and not node.pool:
            node.on_call = lambda _method: None
            process = world.process()
            call = Call(to=payee(99), data=b"", gas_limit=21_000)
            foreign = process.codec.sign(
                UnsignedTransaction(1, 0, call, FeeQuote(20 * GWEI, GWEI, 0)), process.signer
            )
            process.close()
            node.pool[foreign.hash] = foreign
            node.mine()

    node.on_call = steal
    with pytest.raises(UnresolvedError):
        asyncio.run(world.pay(settle_timeout_s=200))
    assert node.transfers() == []
    assert world.states() == [("sent", None)] * 3


def test_fees_above_the_cap_are_waited_for(world):
    paid = three(world)
    with_policy(world, Policy(max_fee_per_gas=30 * GWEI))
    node = world.nodes["ethereum"]
    calls = []

    def spike(method):
        calls.append(method)
        if calls.count("fee_history") == 2:
            node.base_fee = 100 * GWEI

    node.on_call = spike
    world.clock.listeners.append(lambda now: calm(node, now))
    asyncio.run(world.pay())
    assert sorted(node.transfers()) == paid


def calm(node, _now):
    if node.head > 5:
        node.base_fee = 10 * GWEI


def test_what_is_in_flight_is_concluded_though_nothing_new_may_be_signed(world):
    paid = three(world)
    node = world.nodes["ethereum"]
    node.is_mining = False
    with pytest.raises(UnresolvedError):
        asyncio.run(world.pay(settle_timeout_s=20))
    node.is_mining = True
    world.clock.advance(60)
    with_policy(world, Policy(max_fee_per_gas=1))  # far below the base fee
    output = asyncio.run(world.pay())
    assert output["counts"]["settled"] == 3
    assert sorted(node.transfers()) == paid


def test_what_is_in_flight_is_concluded_though_a_sibling_is_not_ready(two_chains):
    world = two_chains
    world.write([("a", "ethereum", payee(0), "1"), ("b", "polygon", payee(1), "1")])
    node = world.nodes["ethereum"]
    node.is_mining = False
    pay, other = world.agent(), world.agent("polygon")
    with pytest.raises(UnresolvedError):
        asyncio.run(world.pay(pay, team=[pay, other], settle_timeout_s=20))
    node.is_mining = True
    world.clock.advance(600)
    world.fund("polygon", units=0)
    with pytest.raises(PreparationError, match="PaymentAgent@polygon cannot commit"):
        asyncio.run(world.pay(pay, team=[pay, other]))
    assert world.output()["counts"]["settled"] == 1
    assert world.signatures() == 1
