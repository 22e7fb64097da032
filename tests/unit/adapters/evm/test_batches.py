"""Many requests in few POSTs: order, size, and answers that do not fit."""

import pytest

from airflow_cwf.core.abi import uint_word
from airflow_cwf.core.errors import (
    RateLimitedError,
    RpcError,
    TransportError,
)
from tests.fakes.faulty_rpc import (
    BAD_GATEWAY,
    GOOD,
    Fault,
    RpcFailure,
)
from tests.fakes.node_answers import ANSWERS, PAYEE, failing, under


def echo(call, _block):
    return call["data"]


def numbered(count):
    return [(PAYEE, uint_word(number)) for number in range(count)]


def each(count):
    return lambda client: client.call_each(numbered(count))


ECHO = ANSWERS | {"eth_call": echo}


def test_a_batch_may_be_answered_in_any_order():
    result, node, _ = under([Fault(rewrite=lambda replies: replies[::-1])], each(7), answers=ECHO)
    assert result == [uint_word(number) for number in range(7)]
    assert node.posts == [7]


def test_many_calls_go_in_posts_of_bounded_size():
    result, node, _ = under([], each(23), answers=ECHO, batch_size=5, parallel_posts=2)
    assert result == [uint_word(number) for number in range(23)]
    assert sorted(node.posts) == [3, 5, 5, 5, 5]


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda replies: replies[:-1],
        lambda replies: [*replies, replies[0]],
        lambda replies: [*replies[:-1], replies[0]],
        lambda replies: [*replies, {"id": 0, "result": "0x"}],
        lambda replies: [None, *replies],
        lambda replies: replies[0],
        lambda _replies: [],
        lambda _replies: {"id": None, "error": {"code": -32600, "message": "batch too large"}},
    ],
)
def test_a_batch_reply_that_lacks_doubles_or_invents_answers_is_not_used(rewrite):
    result, node, _ = under([Fault(rewrite=rewrite)], each(3), answers=ECHO)
    assert result == [uint_word(number) for number in range(3)]
    assert node.posts == [3, 3]
    result, _, _ = under([Fault(rewrite=rewrite)] * 9, each(3), answers=ECHO)
    assert type(result) is TransportError


def test_a_batch_refused_for_its_rate_is_a_rate_limit():
    refusal = {"id": None, "error": {"code": -32005, "message": "Too Many Requests"}}
    fault = Fault(rewrite=lambda _replies: refusal)
    assert isinstance(under([fault] * 9, each(3), answers=ECHO)[0], RateLimitedError)


def test_one_failing_post_fails_the_whole_question():
    result, node, _ = under([GOOD, BAD_GATEWAY], each(10), answers=ECHO, batch_size=5, attempts=1)
    assert type(result) is TransportError
    assert node.posts == [5, 5]


def test_an_unknown_error_among_many_calls_is_raised_and_a_revert_is_not():
    def answer(call, _block):
        number = int(call["data"], 16)
        if number == 1:
            raise RpcFailure("execution reverted: paused", code=3)
        return call["data"]

    result, _, _ = under([], each(3), answers=ANSWERS | {"eth_call": answer})
    assert result == [uint_word(0), "paused", uint_word(2)]
    broken = ANSWERS | {"eth_call": failing("missing trie node")}
    assert type(under([], each(3), answers=broken)[0]) is RpcError
