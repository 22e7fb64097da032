"""Reads go on at the next node; a broadcast does not."""

import asyncio

from airflow_cwf.core.errors import (
    TransportError,
    WrongChainError,
)
from tests.fakes.faulty_rpc import (
    BAD_GATEWAY,
    DROPPED,
    FaultyRpc,
    rate_limited,
)
from tests.fakes.node_answers import (
    ANSWERS,
    Pauses,
    balance,
    broadcast,
    connected,
)


def of_two(first_script, question, *, second_answers=ANSWERS, second_script=(), **options):
    async def run():
        async with (
            FaultyRpc(ANSWERS, first_script) as first,
            FaultyRpc(second_answers, second_script) as second,
            connected(first.url, second.url, **options) as client,
        ):
            try:
                result = await question(client)
            except (TransportError, WrongChainError) as error:
                result = error
            return result, first, second

    return asyncio.run(run())


def test_a_read_goes_on_to_the_next_node_without_a_pause():
    pauses = Pauses()
    result, first, second = of_two([BAD_GATEWAY], balance, sleep=pauses)
    assert result == 16
    assert (first.calls["eth_getBalance"], second.calls["eth_getBalance"]) == (1, 1)
    assert pauses.seconds == []


def test_the_next_node_must_serve_the_same_chain():
    result, _, _ = of_two([DROPPED], balance, second_answers=ANSWERS | {"eth_chainId": "0x1"})
    assert isinstance(result, WrongChainError)
    result, _, _ = of_two([DROPPED], balance, second_answers=ANSWERS | {"eth_chainId": 31337})
    assert result == 16  # malformed is as good as away; the first node is back in the second round


def test_a_broadcast_goes_to_the_first_node_only():
    result, first, second = of_two([DROPPED], broadcast)
    assert isinstance(result, TransportError)
    assert first.calls["eth_sendRawTransaction"] == 1
    assert second.posts == []


def test_when_both_nodes_fail_the_pause_that_one_asked_for_is_kept():
    pauses = Pauses()
    result, _, _ = of_two([rate_limited("9")], balance, second_script=[DROPPED], sleep=pauses)
    assert result == 16
    assert pauses.seconds[0] >= 9
