"""A small IPFS node on the loopback interface that speaks the RPC API and misbehaves as told.

Commands, options and replies are those of https://docs.ipfs.tech/reference/kubo/rpc/ as a js-ipfs
0.18 daemon gave them. It reads CARs on its own, so an error in the package's reader would show.
"""

import asyncio
import hashlib
import json
from base64 import b32encode
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from typing import Self
from urllib.parse import parse_qsl, urlsplit

JSON = "application/json"
SECRET = "s3cret-token"


@dataclass(frozen=True, slots=True)
class Turn:
    """How the node answers one command. The default answers well."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    rewrite: Callable[[bytes], bytes] = lambda body: body
    """Changes the honest body."""
    drops: bool = False
    """Close the connection before any reply; the node has done its work."""
    cut: int | None = None
    """Send only this many bytes of the body, then close."""
    delay_s: float = 0.0


def saying(body: bytes, *, status: int = 200, **headers: str) -> Turn:
    """Answer with these bytes."""
    return Turn(status=status, headers=headers, rewrite=lambda _: body)


class KuboNode:
    """The server; use as `async with KuboNode({"pin/add": [turn, ...]}) as node:`.

    Args:
        script: per command, one turn per request; when it has run out, the node answers well.
        authorization: value that the header must have.
    """

    def __init__(
        self,
        script: Mapping[str, Sequence[Turn]] | None = None,
        *,
        authorization: str | None = None,
    ) -> None:
        self._script = {command: list(turns) for command, turns in (script or {}).items()}
        self._authorization = authorization
        self.blocks: dict[str, bytes] = {}
        self.pins: set[str] = set()
        self.calls: Counter[str] = Counter()
        self.options: dict[str, dict[str, str]] = {}
        """The last options of each command."""
        self.at_once = self.most_at_once = 0
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**24)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://user:{SECRET}@127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has left
        finally:
            self.at_once -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        line, _, rest = head.partition(b"\r\n")
        method, target, _ = line.decode().split(" ")
        headers = BytesParser(policy=HTTP).parsebytes(rest)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        url = urlsplit(target)
        command = url.path.removeprefix("/api/v0/")
        self.calls[command] += 1
        self.options[command] = dict(parse_qsl(url.query))
        status, reply = self._do(method, command, headers, body)
        turns = self._script.get(command, [])
        turn = turns.pop(0) if turns else Turn()
        await asyncio.sleep(turn.delay_s)
        if not turn.drops:
            await self._write(writer, turn, status, turn.rewrite(reply))

    async def _write(
        self, writer: asyncio.StreamWriter, turn: Turn, status: int, body: bytes
    ) -> None:
        headers = {"content-type": JSON, "content-length": str(len(body)), "connection": "close"}
        headers |= dict(turn.headers)
        lines = [f"HTTP/1.1 {turn.status or status} -", *(f"{k}: {v}" for k, v in headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body[: turn.cut])
        await writer.drain()

    def _do(
        self, method: str, command: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes]:
        if method != "POST":
            return 405, b"405 - Method Not Allowed"
        if self._authorization and headers.get("authorization") != self._authorization:
            return 403, b"403 - Access Denied"
        commands = {
            "version": lambda _: (200, _line({"Version": "0.38.1", "Commit": "", "Repo": "16"})),
            "dag/import": lambda body: self._import(headers, body),
            "block/get": lambda _: self._get(),
            "pin/add": lambda _: self._pin(),
        }
        return commands[command](body) if command in commands else (404, b"404 page not found")

    def _import(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        kind = headers["content-type"]
        form = BytesParser(policy=HTTP).parsebytes(f"content-type: {kind}\r\n\r\n".encode() + body)
        (part,) = form.iter_parts()
        root, blocks = _blocks_of(part.get_payload(decode=True))
        self.blocks |= blocks
        if self.options["dag/import"].get("pin-roots", "true") == "true":
            self.pins.add(root)
        return 200, _line({"Root": {"Cid": {"/": root}, "PinErrorMsg": ""}})

    def _get(self) -> tuple[int, bytes]:
        cid = self.options["block/get"]["arg"]
        if cid not in self.blocks:
            text = f"block was not found locally (offline): ipld: could not find {cid}"
            return 500, _line({"Message": text, "Code": 0, "Type": "error"})
        return 200, self.blocks[cid]

    def _pin(self) -> tuple[int, bytes]:
        cid = self.options["pin/add"]["arg"]
        self.pins.add(cid)
        return 200, _line({"Pins": [cid]})


def _line(reply: object) -> bytes:
    return json.dumps(reply, separators=(",", ":")).encode() + b"\n"


def _blocks_of(car: bytes) -> tuple[str, dict[str, bytes]]:
    """Read a CAR the short way; returns the root's CID and the blocks by CID."""
    header, rest = _section(car)
    start = header.index(b"\x58\x25\x00") + 3
    blocks = {}
    while rest:
        section, rest = _section(rest)
        cid, data = section[:36], section[36:]
        assert hashlib.sha256(data).digest() == cid[4:]
        blocks[_text(cid)] = data
    return _text(header[start : start + 36]), blocks


def _section(data: bytes) -> tuple[bytes, bytes]:
    length = place = 0
    while True:
        length |= (data[place] & 0x7F) << 7 * place
        place += 1
        if data[place - 1] < 0x80:
            return data[place : place + length], data[place + length :]


def _text(cid: bytes) -> str:
    return "b" + b32encode(cid).decode().lower().rstrip("=")
