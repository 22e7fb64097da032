"""JSON-RPC 2.0 over HTTP: reads are repeated, a write is sent once.

- A read has no effect, so it is tried again after `TransportError`, at the next URL too.
- A write is posted to the first URL exactly once. If its reply is lost, nobody knows whether the
  node took it: the caller gets `TransportError` and compares with the chain.

Nothing that a node says is trusted: size, ids and shape are checked. URLs may hold a token, so no
message repeats one.
"""

import asyncio
import itertools
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, NoReturn

import httpx
import tenacity

from airflow_cwf.adapters.evm.errors import NodeError, broadcast_error, printable, read_error
from airflow_cwf.adapters.evm.replies import MalformedReplyError, data, quantity
from airflow_cwf.core.errors import (
    ConfigError,
    RateLimitedError,
    TransportError,
    WrongChainError,
)

_HEADERS: Final = {"content-type": "application/json", "accept": "application/json"}
_RETRY_AFTER: Final = re.compile(r"\d{1,9}(?:\.\d{1,9})?")


class RpcRequest(NamedTuple):
    """One method with its parameters."""

    method: str
    params: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class RpcLimits:
    """How much and how long the transport bears with a node."""

    reply_bytes: int = 64 * 1024 * 1024
    """A longer reply is refused; counted after decompression."""
    batch_size: int = 100
    """Requests per POST: geth takes 1,000, many providers no more than 100."""
    parallel_posts: int = 4
    reply_seconds: float = 60.0
    """For one POST from first to last byte, however slowly the node drips."""
    attempts: int = 4
    """Rounds of a read; each round asks every URL until one answers."""
    patience_seconds: float = 30.0
    """A node that asks for a longer pause has its error handed up instead."""


class JsonRpcTransport:
    """Posts requests to the nodes of one chain.

    Args:
        urls: nodes of the same chain, the preferred one first.
        chain: CAIP-2 id; a fallback node's chain id is compared with it within the same POST.
        http: the shared client, owned and closed by the caller.
        limits: bounds on size and time.
        sleep: waits between two rounds.

    Raises:
        ConfigError: no URL is given.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        chain: str,
        http: httpx.AsyncClient,
        limits: RpcLimits,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        if not urls:
            raise ConfigError(f"[{chain}] No node URL is given.")
        self._urls = tuple(urls)
        self._chain = chain
        self._http = http
        self._limits = limits
        self._ids = itertools.count(1)
        self._rounds = tenacity.AsyncRetrying(
            sleep=sleep,
            stop=tenacity.stop_after_attempt(limits.attempts),
            wait=_pause,
            retry=tenacity.retry_if_exception(self._is_worth_waiting),
            reraise=True,
        )

    async def read(self, requests: Sequence[RpcRequest]) -> list[Any]:
        """Return one result, or `NodeError`, per request and in their order.

        Raises:
            TransportError: no node gave a usable answer, round after round.
            WrongChainError: a fallback node serves another chain.
        """
        size = self._limits.batch_size
        chunks = [requests[start : start + size] for start in range(0, len(requests), size)]
        answers: list[Any] = []
        for start in range(0, len(chunks), self._limits.parallel_posts):
            wave = chunks[start : start + self._limits.parallel_posts]
            outcomes: list[list[Any] | BaseException] = await asyncio.gather(
                *(self._read_patiently(chunk) for chunk in wave),
                return_exceptions=True,  # no POST outlives this call
            )
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome
                answers += outcome
        return answers

    async def write(self, request: RpcRequest) -> Any:  # noqa: ANN401 - JSON
        """Post `request` to the first URL, once, and return its result.

        Raises:
            RejectedError: the node refused it.
            RpcError: the node said something that no row of the table knows.
            TransportError: the outcome is unknown.
        """
        (answer,) = await self._post(self._urls[0], [request])
        if isinstance(answer, NodeError):
            raise broadcast_error(answer, chain=self._chain)
        return answer

    def _is_worth_waiting(self, error: BaseException) -> bool:
        return (
            isinstance(error, TransportError)
            and _asked_pause(error) <= self._limits.patience_seconds
        )

    async def _read_patiently(self, requests: Sequence[RpcRequest]) -> list[Any]:
        # A copy, because one `AsyncRetrying` keeps the state of one call.
        return await self._rounds.copy()(self._round, requests)

    async def _round(self, requests: Sequence[RpcRequest]) -> list[Any]:
        errors: list[TransportError] = []
        for position, url in enumerate(self._urls):
            try:
                return await self._read_once(url, requests, is_fallback=position > 0)
            except TransportError as error:
                errors.append(error)
        raise max(errors, key=_asked_pause)  # the first of them, unless a node asked for a pause

    async def _read_once(
        self, url: str, requests: Sequence[RpcRequest], *, is_fallback: bool
    ) -> list[Any]:
        probe = [RpcRequest("eth_chainId")] if is_fallback else []
        answers = await self._post(url, [*probe, *requests])
        for answer in answers:
            if isinstance(answer, NodeError):
                error = read_error(answer, chain=self._chain)
                if isinstance(error, TransportError):
                    raise error
        if is_fallback:
            self._check_chain(answers.pop(0))
        return answers

    def _check_chain(self, answer: object) -> None:
        try:
            served = f"eip155:{quantity(answer)}"
        except MalformedReplyError as error:
            self._refuse(f"eth_chainId: {error}", error)
        if served != self._chain:
            raise WrongChainError(
                f"The first node does not answer and the fallback node serves {served}. Nothing "
                f"was sent; correct the list of node URLs.",
                chain=self._chain,
            )

    async def _post(self, url: str, requests: Sequence[RpcRequest]) -> list[Any]:
        ids = [next(self._ids) for _ in requests]
        bodies = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
            for number, (method, params) in zip(ids, requests, strict=True)
        ]
        content = json.dumps(bodies if len(bodies) > 1 else bodies[0]).encode()
        reply = self._parsed(await self._exchange(url, content))
        return self._matched(reply if len(ids) > 1 else [reply], ids=ids)

    async def _exchange(self, url: str, content: bytes) -> bytes:
        try:
            async with (
                asyncio.timeout(self._limits.reply_seconds),
                self._http.stream(
                    "POST", url, content=content, headers=_HEADERS, follow_redirects=False
                ) as response,
            ):
                self._check_status(response)
                return await self._bounded_body(response)
        except (httpx.TimeoutException, TimeoutError) as error:
            raise TransportError("The node did not answer in time.", chain=self._chain) from error
        except httpx.InvalidURL:
            # Not chained: the cause repeats the URL, which may hold a token.
            message = f"[{self._chain}] A node URL is not a URL."
            raise ConfigError(message) from None
        except httpx.HTTPError as error:
            self._refuse(f"no reply ({type(error).__name__})", error)

    def _check_status(self, response: httpx.Response) -> None:
        status = response.status_code
        asked = response.headers.get("retry-after", "").strip()
        pause = float(asked) if _RETRY_AFTER.fullmatch(asked) else None
        if status == httpx.codes.TOO_MANY_REQUESTS or (
            status == httpx.codes.SERVICE_UNAVAILABLE and pause is not None
        ):
            raise RateLimitedError(
                f"The node asks for patience (HTTP {status}).",
                chain=self._chain,
                retry_after_s=pause,
            )
        if status != httpx.codes.OK:
            self._refuse(f"HTTP {status}")

    async def _bounded_body(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > self._limits.reply_bytes:
                self._refuse(f"a reply of more than {self._limits.reply_bytes} bytes")
        return bytes(body)

    def _parsed(self, body: bytes) -> object:
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            self._refuse("a reply that is not JSON", error)

    def _matched(self, entries: object, *, ids: Sequence[int]) -> list[Any]:
        if not isinstance(entries, list):
            self._refuse_whole(entries)
        answers: dict[int, Any] = {}
        for entry in entries:
            number = entry.get("id") if isinstance(entry, dict) else None
            if type(number) is not int or number not in ids or number in answers:
                self._refuse_whole(entry)
            answers[number] = self._answer(entry)
        if len(answers) != len(ids):
            self._refuse(f"{len(answers)} answers to {len(ids)} requests")
        return [answers[number] for number in ids]

    def _answer(self, entry: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        error = entry.get("error")
        if error is None and "result" in entry:
            return entry["result"]
        if not isinstance(error, dict) or not isinstance(error.get("message"), str):
            self._refuse("a reply with neither a result nor an error")
        code = error.get("code")
        return NodeError(
            code=code if type(code) is int else None,
            message=error["message"],
            data=_returned_bytes(error.get("data")),
        )

    def _refuse_whole(self, entry: object) -> NoReturn:
        """Raise for a reply that answers none of the requests, as nodes refuse whole batches."""
        if isinstance(entry, dict) and isinstance(entry.get("error"), dict):
            answer = self._answer(entry)
            error = read_error(answer, chain=self._chain)
            if isinstance(error, TransportError):
                raise error
            self._refuse(f"a refusal of the whole request: {printable(answer.message)!r}")
        self._refuse("a reply to another request")

    def _refuse(self, what: str, cause: Exception | None = None) -> NoReturn:
        raise TransportError(f"No usable answer from the node: {what}.", chain=self._chain) from (
            cause
        )


def _returned_bytes(value: object) -> bytes:
    """Return a reverted call's bytes; nethermind and openethereum write `Reverted 0x...`."""
    if not isinstance(value, str):
        return b""
    try:
        return data(value.removeprefix("Reverted").strip())
    except MalformedReplyError:
        return b""


def _asked_pause(error: TransportError) -> float:
    return (error.retry_after_s or 0.0) if isinstance(error, RateLimitedError) else 0.0


_backoff: Final = tenacity.wait_random_exponential(multiplier=0.2, max=5)


def _pause(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = _asked_pause(error) if isinstance(error, TransportError) else 0.0
    return max(asked, _backoff(state))
