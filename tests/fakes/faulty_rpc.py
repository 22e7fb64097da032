"""A small JSON-RPC server on the loopback interface that misbehaves as told.

It speaks real HTTP over a real socket, so that what a client sees of a dropped connection or a
slow node is what it would see of a real one. One POST takes one `Fault` from the script; when the
script has run out, the server answers well.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

Answer = Any | Callable[..., Any]
"""A result, or a function from the request's parameters to one."""


class RpcFailure(Exception):  # noqa: N818 - an answer of the node, not a failure of the test
    """Raised by an answer function to make the node reply with an `error` object."""

    def __init__(self, message: str, *, code: int = -32000, data: Any = None) -> None:
        super().__init__(message)
        self.body = {"code": code, "message": message} | ({} if data is None else {"data": data})


def _honest(reply: Any) -> Any:
    return reply


@dataclass(frozen=True, slots=True)
class Fault:
    """How one POST goes wrong. The default goes right."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    rewrite: Callable[[Any], Any] = _honest
    """Changes the honest reply, JSON value in, JSON value out."""
    body: bytes | None = None
    """Sent instead of any reply."""
    cut: int | None = None
    """Send only this many bytes of the body, then close."""
    drops: bool = False
    """Close the connection before any reply; the node has done its work."""
    delay_s: float = 0.0
    drip_s: float = 0.0
    """Pause after every byte of the body."""


def rate_limited(retry_after: str | None = None) -> Fault:
    """Answer 429, with or without `Retry-After`."""
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return Fault(status=429, headers=headers, body=b"slow down")


BAD_GATEWAY = Fault(status=502, body=b"<html>bad gateway</html>")
DROPPED = Fault(drops=True)
GOOD = Fault()


class FaultyRpc:
    """The server; use as `async with FaultyRpc(answers, script) as node:`.

    Args:
        answers: by method, a result or a function of the parameters.
        script: one fault per POST, in order.
    """

    def __init__(self, answers: Mapping[str, Answer], script: Sequence[Fault] = ()) -> None:
        self._answers = dict(answers)
        self._script = list(script)
        self.calls: Counter[str] = Counter()
        """How often each method arrived."""
        self.posts: list[int] = []
        """The number of requests in each POST."""
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/v2/s3cret-token"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(await self._request_body(reader))
            fault = self._script.pop(0) if self._script else GOOD
            honest = self._reply(request)
            if not fault.drops:
                await asyncio.sleep(fault.delay_s)
                await self._write(writer, fault, honest)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has left
        finally:
            writer.close()

    async def _request_body(self, reader: asyncio.StreamReader) -> bytes:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next(line for line in head.splitlines() if line.startswith("content-length:"))
        return await reader.readexactly(int(length.partition(":")[2]))

    async def _write(self, writer: asyncio.StreamWriter, fault: Fault, honest: Any) -> None:
        body = fault.body
        if body is None:
            body = json.dumps(fault.rewrite(honest)).encode()
        headers = {"content-type": "application/json", "connection": "close"}
        headers |= {"content-length": str(len(body))} | dict(fault.headers)
        lines = [f"HTTP/1.1 {fault.status} -", *(f"{k}: {v}" for k, v in headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        for piece in [body[: fault.cut]] if not fault.drip_s else [bytes([b]) for b in body]:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(fault.drip_s)

    def _reply(self, request: Any) -> Any:
        batch = request if isinstance(request, list) else [request]
        self.posts.append(len(batch))
        replies = [self._answer(one) for one in batch]
        return replies if isinstance(request, list) else replies[0]

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        method = request["method"]
        self.calls[method] += 1
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        answer = self._answers[method]
        try:
            return reply | {"result": answer(*request["params"]) if callable(answer) else answer}
        except RpcFailure as failure:
            return reply | {"error": failure.body}
