"""The block clock: what it tells when, and what it survives."""

import asyncio
import json
import logging
from contextlib import asynccontextmanager, suppress

import pytest

from airflow_cwf.core.errors import TransportError
from airflow_cwf.core.transactions import Block
from airflow_cwf.triggers.blocks import (
    CURSOR,
    MAX_BACKOFF_S,
    MAX_PAUSE_S,
    MIN_PAUSE_S,
    REPEAT_S,
    BlockIntervalTrigger,
    IntervalLevel,
    backoff_s,
    pause_s,
)
from airflow_cwf.wiring import load_chains
from tests.fakes.faulty_rpc import BAD_GATEWAY, DROPPED, FaultyRpc
from tests.fakes.node_answers import BLOCK


def test_an_interval_of_no_blocks_is_refused_where_the_dag_is_written():
    with pytest.raises(ValueError, match="at least one block, not 0"):
        BlockIntervalTrigger("evm_polygon", 0)


# --- what is due ---


def test_nothing_is_due_before_the_first_interval_has_ended():
    level = IntervalLevel(50)
    assert [level.due(head=head, consumed=0, now=0) for head in (0, 49)] == [None, None]
    assert level.due(head=50, consumed=0, now=0) == 50


def test_a_consumed_interval_is_not_told_again():
    level = IntervalLevel(50)
    assert level.due(head=101, consumed=50, now=0) == 100
    assert level.due(head=102, consumed=100, now=1) is None
    assert level.due(head=149, consumed=100, now=1000) is None


def test_an_event_is_repeated_after_a_minute_unless_it_was_consumed():
    level = IntervalLevel(50)
    assert level.due(head=50, consumed=0, now=0) == 50
    assert level.due(head=51, consumed=0, now=REPEAT_S - 1) is None
    assert level.due(head=51, consumed=0, now=REPEAT_S) == 50
    assert level.due(head=52, consumed=0, now=REPEAT_S + 1) is None
    assert level.due(head=52, consumed=50, now=2 * REPEAT_S) is None


def test_intervals_that_end_while_the_consumer_works_are_told_as_one():
    level = IntervalLevel(50)
    assert level.due(head=50, consumed=0, now=0) == 50
    assert level.due(head=260, consumed=0, now=30) is None
    assert level.due(head=260, consumed=50, now=31) == 250


def test_a_new_process_tells_what_the_killed_one_may_have_told():
    assert IntervalLevel(50).due(head=50, consumed=0, now=0) == 50
    assert IntervalLevel(50).due(head=53, consumed=0, now=0) == 50


def test_a_node_that_lags_behind_the_cursor_has_nothing_due():
    assert IntervalLevel(50).due(head=99, consumed=100, now=0) is None


def test_with_until_only_that_block_counts():
    level = IntervalLevel(50, until=120)
    assert level.due(head=119, consumed=0, now=0) is None
    assert level.due(head=120, consumed=0, now=0) == 120
    assert level.due(head=500, consumed=0, now=0) == 120
    assert [level.blocks_left(head) for head in (20, 119, 120, 500)] == [100, 1, 1, 1]


def test_pauses_follow_the_chain_within_bounds():
    assert pause_s(4, block_time_s=2) == 4
    assert pause_s(1, block_time_s=0.25) == MIN_PAUSE_S
    assert pause_s(7200, block_time_s=12) == MAX_PAUSE_S
    assert [backoff_s(n) for n in (1, 2, 3, 10, 10**9)] == [2, 4, 8, MAX_BACKOFF_S, MAX_BACKOFF_S]


# --- the trigger's loop ---


class Node:
    """A node's head: what it answers, look by look; the last answer stays."""

    def __init__(self, *heads):
        self.heads = list(heads)

    async def block(self, number):
        assert number == "latest"
        answer = self.heads.pop(0) if len(self.heads) > 1 else self.heads[0]
        if isinstance(answer, BaseException):
            raise answer
        return Block(number=answer, hash="0x", timestamp=0, base_fee_per_gas=0)


class Store:
    """An asset's state."""

    def __init__(self, cursor=None, fails=0):
        self.state = {} if cursor is None else {CURSOR: cursor}
        self.fails = fails

    async def aget(self, key, default=None):
        if self.fails:
            self.fails -= 1
            raise ConnectionError("the API server is away")
        return self.state.get(key, default)


class FakeClock(BlockIntervalTrigger):
    """The trigger with a node of the test's; waiting takes no time but ends after `looks`."""

    def __init__(self, *arguments, node=None, store=None, looks=10, **keywords):
        super().__init__(*arguments, **keywords)
        self.node, self.asset_state_store = node, store
        self.pauses, self.looks, self.connections = [], looks, 0

    @property
    def log(self):
        return logging.getLogger("clock")  # Airflow's own is not pytest's to capture

    async def sleep(self, seconds):
        self.pauses.append(seconds)
        if len(self.pauses) >= self.looks:
            raise asyncio.CancelledError

    def now(self):
        return sum(self.pauses)

    @asynccontextmanager
    async def connect(self):
        if self.node is None:
            async with super().connect() as connected:
                yield connected
            return
        self.connections += 1
        yield load_chains()["ethereum"], self.node


def told(trigger, *, consume=None):
    """Run the trigger until it ends or has looked often enough; return the payloads."""
    payloads = []

    async def listen():
        with suppress(asyncio.CancelledError):
            async for event in trigger.run():
                payloads.append(event.payload)
                if consume is not None:
                    consume.state[CURSOR] = event.payload["block"]

    asyncio.run(listen())
    return payloads


def blocks(payloads):
    return [payload["block"] for payload in payloads]


def test_a_consumer_that_keeps_up_is_told_each_interval_once():
    store = Store()
    trigger = FakeClock("evm_ethereum", 4, node=Node(3, 4, 5, 7, 8, 8, 13, 14), store=store)
    assert told(trigger, consume=store) == [
        {"chain": "ethereum", "every": 4, "block": 4, "head": 4},
        {"chain": "ethereum", "every": 4, "block": 8, "head": 8},
        {"chain": "ethereum", "every": 4, "block": 12, "head": 13},
    ]


def test_an_event_that_nobody_consumes_comes_again_but_not_at_every_look():
    trigger = FakeClock("evm_ethereum", 4, node=Node(4), store=Store(), looks=12)
    assert blocks(told(trigger)) == [4, 4, 4]
    assert sum(trigger.pauses) == 12 * MAX_PAUSE_S


def test_it_waits_for_a_block_and_ends():
    trigger = FakeClock("evm_ethereum", 50, until=120, node=Node(20, 110, 119, 121))
    assert told(trigger) == [{"chain": "ethereum", "every": 50, "block": 120, "head": 121}]
    assert trigger.pauses == [MAX_PAUSE_S, MAX_PAUSE_S, 6]


def test_a_failing_node_is_logged_and_looked_at_again_ever_later(caplog):
    down = TransportError("The node did not answer in time.", chain="ethereum")
    heads = [down, down, TimeoutError(), 4, down, 8]
    store = Store()
    trigger = FakeClock("evm_ethereum", 4, node=Node(*heads), store=store, looks=6)
    with caplog.at_level(logging.WARNING):
        assert blocks(told(trigger, consume=store)) == [4, 8]
    assert trigger.pauses == [2, 4, 8, MAX_PAUSE_S, 2, MAX_PAUSE_S]
    assert trigger.connections == 5, "each failure has the connection read anew"
    assert "evm_ethereum: look 2 in vain, the next one in 4 s" in caplog.text
    assert "TimeoutError" in caplog.text


def test_an_api_server_that_is_away_does_not_end_the_clock():
    trigger = FakeClock("evm_ethereum", 4, node=Node(9), store=Store(cursor=4, fails=2), looks=3)
    assert blocks(told(trigger)) == [8]
    assert trigger.pauses[:2] == [2, 4]


@pytest.mark.parametrize("cursor", ["8", 8.0, True, [8]])
def test_a_cursor_that_is_no_block_number_is_named(cursor, caplog):
    trigger = FakeClock("evm_ethereum", 4, node=Node(9), store=Store(cursor=cursor), looks=2)
    with caplog.at_level(logging.WARNING):
        assert told(trigger) == []
    assert f"'cwf_block' must be a block number; it is {cursor!r}" in caplog.text


def test_a_node_that_never_answers_costs_a_look_and_not_the_clock():
    class Silent(Node):
        async def block(self, number):
            await asyncio.Event().wait()

    async def listen(trigger):
        loop = asyncio.get_running_loop()
        began = loop.time()
        with suppress(asyncio.CancelledError):
            async for _ in trigger.run():
                pytest.fail("told without a head")
        return loop.time() - began

    trigger = FakeClock("evm_ethereum", 4, node=Silent(), looks=1)
    trigger.node_timeout_s = 0.05
    assert asyncio.run(listen(trigger)) < 5
    assert trigger.pauses == [2]


# --- over a real connection ---


ANSWERS = {"eth_chainId": "0x1", "eth_getBlockByNumber": BLOCK | {"number": "0x9"}}


@pytest.fixture
def connect_to(monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW__CWF__HOME", str(tmp_path))

    def add(url, **extra):
        connection = {"conn_type": "evm", "host": url, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_EVM_ETHEREUM", json.dumps(connection))

    return add


def told_over(node, trigger, connect_to, **extra):
    async def listen():
        async with node:
            connect_to(node.url, **extra)
            with suppress(asyncio.CancelledError):
                return [event.payload async for event in trigger.run()]
        return None

    return asyncio.run(listen())


def test_the_head_comes_from_the_connections_node_even_if_it_is_flaky(connect_to):
    node = FaultyRpc(ANSWERS, [BAD_GATEWAY, DROPPED])
    trigger = FakeClock("evm_ethereum", 5, until=9)
    assert told_over(node, trigger, connect_to) == [
        {"chain": "ethereum", "every": 5, "block": 9, "head": 9}
    ]


def test_a_node_of_another_chain_is_no_clock(connect_to, caplog):
    node = FaultyRpc(ANSWERS | {"eth_chainId": "0x89"})
    with caplog.at_level(logging.WARNING):
        assert told_over(node, FakeClock("evm_ethereum", 5, looks=2), connect_to) is None
    assert "The node serves chain id 137, not 1." in caplog.text
    assert "s3cret" not in caplog.text


def test_the_chain_is_the_triggers_else_the_connections_else_named_by_its_id(connect_to, caplog):
    polygon = ANSWERS | {"eth_chainId": "0x89"}
    assert told_over(FaultyRpc(ANSWERS), FakeClock("evm_ethereum", 5, until=1), connect_to)
    chosen = FakeClock("evm_ethereum", 5, until=1, chain="polygon")
    (event,) = told_over(FaultyRpc(polygon), chosen, connect_to, chain="base")
    assert event["chain"] == "polygon"
    extra = FakeClock("evm_ethereum", 5, until=1)
    (event,) = told_over(FaultyRpc(polygon), extra, connect_to, chain="polygon")
    assert event["chain"] == "polygon"
    with caplog.at_level(logging.WARNING):
        unknown = FakeClock("evm_ethereum", 5, until=1, looks=1)
        assert told_over(FaultyRpc(ANSWERS), unknown, connect_to, chain="moon") is None
    assert "'moon' is not in the chain table" in caplog.text
    assert "set `extra.chain` of the connection evm_ethereum" in caplog.text


def test_a_missing_connection_is_named_and_waited_for(caplog):
    assert told(FakeClock("evm_nowhere", 5, looks=2)) == []
    assert "`evm_nowhere` isn't defined" in caplog.text
