"""Faults between client and node: reads are repeated, a broadcast never is."""

import asyncio
import socket
import traceback

import httpx
import pytest

from airflow_cwf.adapters.evm.client import EvmClient
from airflow_cwf.core.errors import (
    ConfigError,
    RateLimitedError,
    RpcError,
    TransportError,
)
from tests.fakes.faulty_rpc import (
    BAD_GATEWAY,
    DROPPED,
    Fault,
    FaultyRpc,
    RpcFailure,
    rate_limited,
)
from tests.fakes.node_answers import (
    ANSWERS,
    CHAIN,
    PAYEE,
    PAYMENT,
    ask,
    balance,
    broadcast,
    connected,
    failing,
    malformed,
    under,
)

LINE_FAULTS = {
    "429": rate_limited(),
    "429 with Retry-After": rate_limited("1"),
    "502 with HTML": BAD_GATEWAY,
    "200 with HTML": Fault(body=b"<html>bad gateway</html>"),
    "401": Fault(status=401, body=b"{}"),
    "a redirect": Fault(status=302, headers={"location": "http://127.0.0.1:9/"}, body=b""),
    "dropped before the reply": DROPPED,
    "slow": Fault(delay_s=0.4),
    "dripping": Fault(drip_s=0.05),
    "cut": Fault(cut=10),
    "truncated JSON": Fault(body=b'{"jsonrpc":"2.0","id":1,"resu'),
    "not UTF-8": Fault(body=b"\xff\xfe\xff"),
    "nested without end": Fault(body=b"[" * 100_000),
    "a number without end": Fault(body=b'{"id":' + b"9" * 5_000 + b"}"),
    "not an object": Fault(body=b"null"),
    "an array for one request": Fault(rewrite=lambda reply: [reply]),
    "another id": malformed(id=999_999),
    "an id as text": Fault(rewrite=lambda reply: reply | {"id": str(reply["id"])}),
    "an id that is true": malformed(id=True),
    "no id": malformed(id=None),
    "neither result nor error": Fault(rewrite=lambda reply: {"id": reply["id"]}),
    "an error that is a text": malformed(error="no"),
    "an error without a message": malformed(error={"code": 1}),
    "a refusal of all": malformed(id=None, error={"code": -32600, "message": "no s"}),
    "giant": malformed(padding="x" * 5_000),
    "giant when unpacked": Fault(headers={"content-encoding": "gzip"}, body=b"x" * 100),
}
TIGHT = {"reply_seconds": 0.2, "reply_bytes": 4_000}


@pytest.mark.parametrize("fault", LINE_FAULTS.values(), ids=LINE_FAULTS)
def test_a_read_is_repeated_after_a_fault_of_the_line(fault):
    result, node, pauses = under([fault], balance, **TIGHT)
    assert result == 16
    assert node.calls["eth_getBalance"] == 2
    assert len(pauses) == 1


@pytest.mark.parametrize("fault", LINE_FAULTS.values(), ids=LINE_FAULTS)
def test_a_read_that_never_succeeds_ends_as_a_transport_error(fault):
    result, node, _ = under([fault] * 9, balance, attempts=3, **TIGHT)
    assert isinstance(result, TransportError)
    assert result.chain == CHAIN
    assert node.calls["eth_getBalance"] == 3


@pytest.mark.parametrize("fault", LINE_FAULTS.values(), ids=LINE_FAULTS)
def test_a_broadcast_is_never_repeated_and_its_lost_reply_leaves_the_outcome_open(fault):
    result, node, pauses = under([fault] * 9, broadcast, **TIGHT)
    assert isinstance(result, TransportError)
    assert node.calls["eth_sendRawTransaction"] == 1
    assert pauses == []


def test_a_redirect_takes_the_transaction_nowhere_else():
    async def run():
        async with FaultyRpc(ANSWERS) as elsewhere:
            moved = Fault(status=307, headers={"location": elsewhere.url}, body=b"")
            async with (
                FaultyRpc(ANSWERS, [moved]) as node,
                httpx.AsyncClient(verify=False, follow_redirects=True) as http,
            ):
                with pytest.raises(TransportError, match="HTTP 307"):
                    await EvmClient([node.url], chain=CHAIN, http=http).broadcast(PAYMENT)
            return elsewhere.posts

    assert asyncio.run(run()) == []


def test_a_node_that_names_a_pause_gets_it():
    result, _, pauses = under([rate_limited("7.5"), rate_limited("2")], balance)
    assert result == 16
    assert pauses[0] >= 7.5
    assert 2 <= pauses[1] < 7.5


def test_service_unavailable_with_retry_after_is_a_rate_limit():
    fault = Fault(status=503, headers={"retry-after": "3"}, body=b"")
    result, _, pauses = under([fault], balance)
    assert result == 16
    assert pauses[0] >= 3


def test_a_pause_that_is_too_long_is_handed_up_with_the_figure():
    result, node, pauses = under([rate_limited("3600")], balance)
    assert isinstance(result, RateLimitedError)
    assert result.retry_after_s == 3600
    assert node.calls["eth_getBalance"] == 1
    assert pauses == []


@pytest.mark.parametrize("header", ["soon", "-1", "1e9", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_pause_that_is_no_number_of_seconds_counts_as_none(header):
    result, _, _ = under([rate_limited(header)] * 9, balance)
    assert isinstance(result, RateLimitedError)
    assert result.retry_after_s is None


def test_a_rate_limit_told_inside_a_reply_is_waited_for():
    answers = iter([RpcFailure("daily request count exceeded, request rate limited"), None])

    def limited(*_params):
        failure = next(answers)
        if failure:
            raise failure
        return "0x10"

    result, node, _ = under([], balance, answers=ANSWERS | {"eth_getBalance": limited})
    assert result == 16
    assert node.calls["eth_getBalance"] == 2


def test_an_error_that_nobody_knows_is_not_repeated():
    answers = ANSWERS | {"eth_getBalance": failing("header not found", code=-32001)}
    result, node, _ = under([], balance, answers=answers)
    assert type(result) is RpcError
    assert result.code == -32001
    assert node.calls["eth_getBalance"] == 1


def test_a_node_that_repeats_url_and_transaction_in_its_error_is_not_quoted():
    message = "cannot POST http://x/s3cret 0x02c0" + "00" * 100
    answers = ANSWERS | {"eth_sendRawTransaction": failing(message)}
    result, node, _ = under([], broadcast, answers=answers)
    assert type(result) is RpcError
    assert node.calls["eth_sendRawTransaction"] == 1


def test_a_client_without_a_url_or_with_a_broken_one_says_so():
    async def question(*urls):
        async with connected(*urls) as client:
            return await client.balance(PAYEE)

    with pytest.raises(ConfigError, match="No node URL"):
        asyncio.run(question())
    with pytest.raises(ConfigError, match="not a URL") as caught:
        asyncio.run(question("http://node:s3cret-port/"))
    shown = str(caught.value) + repr(caught.value.__cause__)
    assert "s3cret" not in shown
    with pytest.raises(TransportError):
        asyncio.run(question("ftp://127.0.0.1/"))


def test_a_node_that_is_not_there_is_a_transport_error():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/s3cret"
    with pytest.raises(TransportError) as caught:
        ask(url, balance)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))
