"""All or nothing on one chain; and whose fault it is when a whole batch reverts."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from airflow_cwf.core.errors import FailedItemsError, PreparationError
from airflow_cwf.core.policies import Policy
from tests.fakes.runtime import UNITS, payee
from tests.integration.engine.breakers import smaller_batches, three, with_policy


def pause_once_sent(world):
    node = world.nodes["ethereum"]

    def pause(method):
        if method == "broadcast":
            node.token.paused = True

    node.on_call = pause


@pytest.mark.parametrize("atomic", [False, True])
def test_a_pause_of_the_token_uses_up_no_re_sends(world, atomic):
    paid = three(world)
    node = world.nodes["ethereum"]
    pause_once_sent(world)
    with pytest.raises(PreparationError, match="Pausable: paused"):
        asyncio.run(world.pay(world.agent(atomic=atomic), max_retries=0))
    assert node.transfers() == []
    assert {(row.state.value, row.resends) for row in world.rows()} == {("reserved", 0)}
    node.on_call, node.token.paused = lambda _method: None, False
    asyncio.run(world.pay(world.agent(atomic=atomic), max_retries=0))
    assert sorted(node.transfers()) == paid


def test_an_atomic_batch_pays_all(world):
    paid = three(world)
    asyncio.run(world.pay(world.agent(atomic=True)))
    assert sorted(world.nodes["ethereum"].transfers()) == paid
    assert world.signatures() == 1


@pytest.mark.parametrize("words", ["not today", "Blacklistable: account is blacklisted"])
def test_an_atomic_batch_with_a_poisoned_item_is_not_signed(world, words):
    three(world)
    world.nodes["ethereum"].token.refuses = {payee(1): words}
    with pytest.raises(PreparationError, match="the whole batch was not signed"):
        asyncio.run(world.pay(world.agent(atomic=True)))
    assert world.signatures() == 0


def test_an_atomic_batch_with_a_sanctioned_payee_is_not_signed(world):
    three(world)
    world.listed.addresses = {payee(1)}
    with pytest.raises(PreparationError, match="the whole batch was not signed"):
        asyncio.run(world.pay(world.agent(atomic=True)))
    assert world.signatures() == 0


def test_an_atomic_batch_that_reverts_is_never_split(world, monkeypatch):
    three(world)
    smaller_batches(monkeypatch)
    node = world.nodes["ethereum"]
    node.token.refuses_when_mined = {payee(1)}
    with pytest.raises(FailedItemsError):
        asyncio.run(world.pay(world.agent(atomic=True), max_retries=2))
    assert node.transfers() == []
    assert world.states() == [("failed", "reverted")] * 3
    assert sizes(world) == [3, 3, 3]


def sizes(world):
    """Return the number of items of each recorded transaction."""
    query = "SELECT count(*) FROM transaction_items GROUP BY transaction_id ORDER BY transaction_id"
    with closing(sqlite3.connect(world.folder / "home/journal.db")) as database:
        return [row[0] for row in database.execute(query)]


def test_the_cap_holds_for_what_is_sent_again_without_counting_as_a_re_send(world):
    three(world)  # 1, 2 and 3 USDC
    with_policy(world, Policy(max_per_run={"USDC": 5 * UNITS}))
    node = world.nodes["ethereum"]
    pause_once_sent(world)
    with pytest.raises(PreparationError):
        asyncio.run(world.pay())
    node.on_call, node.token.paused = lambda _method: None, False
    asyncio.run(world.pay())
    assert sum(amount for _, amount in node.transfers()) <= 5 * UNITS
    assert node.transfers() != []
