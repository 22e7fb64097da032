"""IPFS through a node's RPC API, as Kubo and js-ipfs speak it.

https://docs.ipfs.tech/reference/kubo/rpc/. Every command is an HTTP POST. A CAR goes in by
`dag/import`, each block is read back by `block/get` and compared, and only when `pin/add` has then
named the root does it count as pinned. All three may be repeated without harm.

Nothing that a node says is trusted: size, time and shape are bounded, bytes are checked by their
CID. The URL and the header may hold a token, so no message repeats either.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import httpx

from airflow_cwf.core.errors import CidMismatchError, ConfigError, StorageError, VerificationError
from airflow_cwf.core.evidence.car import read_car
from airflow_cwf.core.evidence.cid import Block, Cid, require_named

__all__ = ["KuboLimits", "KuboStore"]

_API: Final = "/api/v0"
_CAR_TYPE: Final = "application/vnd.ipld.car"
_REFUSED: Final = frozenset({httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN})
_NO_API: Final = frozenset({httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED})
_URL: Final = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_UNPRINTABLE: Final = re.compile(r"[^ -~]+")
_PRINTED_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class KuboLimits:
    """How much and how long the store bears with a node."""

    reply_bytes: int = 1024 * 1024
    """Of a reply that is not a block."""
    car_blocks: int = 2_000
    """Blocks of one CAR; a batch has at most 1,002."""
    parallel_reads: int = 8
    reply_seconds: float = 60.0
    """For one command from first to last byte."""
    import_seconds: float = 600.0
    """The same for `dag/import`, which takes the whole CAR."""


class KuboStore:
    """Keeps blocks on one node; implements `ContentStore`.

    Args:
        url: `http://127.0.0.1:5001`, with or without `/api/v0`.
        http: the shared client, owned and closed by the caller.
        authorization: value of the `Authorization` header (Kubo: `API.Authorizations`).
        limits: bounds on size and time.

    Raises:
        ConfigError: `url` is no http or https URL.
    """

    def __init__(
        self,
        url: str,
        *,
        http: httpx.AsyncClient,
        authorization: str | None = None,
        limits: KuboLimits | None = None,
    ) -> None:
        self._base = url.rstrip("/").removesuffix(_API) + _API
        _check_url(self._base)
        self._http = http
        self._auth = None if authorization is None else _Authorization(authorization)
        self._limits = limits or KuboLimits()

    async def pin(self, root: Cid, car: bytes) -> None:
        """Store a CAR's blocks, read each back, and pin everything under its root.

        Args:
            root: the CAR's root.
            car: CARv1 as `core.evidence.car` writes it.

        Raises:
            StorageError: no usable answer; not pinned, or not known to be. Repeating is safe.
            CidMismatchError: other bytes came back.
            ConfigError: the node refuses these credentials, or is none.
            VerificationError: `car` is not the CAR of `root`; nothing was sent.
        """
        found, blocks = read_car([car], max_blocks=self._limits.car_blocks)
        kept = list(blocks)
        if found != root:
            message = "The CAR to pin has another root; nothing was sent."
            raise VerificationError(message, check=2)
        await self._import(root, car)
        remaining = iter(kept)
        while wave := list(islice(remaining, self._limits.parallel_reads)):
            await self._compare(wave)
        await self._pin(root)

    async def read(self, cid: Cid, *, max_bytes: int) -> bytes:
        """Return the bytes of one block, from the network if the node does not hold it.

        Raises:
            StorageError: no usable answer, or longer than `max_bytes`.
            VerificationError: check 2; these bytes are not the ones that `cid` names.
            ConfigError: the node refuses these credentials, or is none.
        """
        data = await self._ask("block/get", {"arg": str(cid)}, reply_bytes=max_bytes)
        require_named(Block(cid, data))
        return data

    async def version(self) -> str:
        """Return the node's name for its version, at most 200 characters.

        Raises:
            StorageError: no usable answer.
            ConfigError: the node refuses these credentials, or is none.
        """
        (reply, *_) = _objects(await self._ask("version", {})) or [{}]
        version = reply.get("Version")
        if not isinstance(version, str):
            raise StorageError("The IPFS node answers version with something else.")
        return _printable(version)

    async def _import(self, root: Cid, car: bytes) -> None:
        """Send the CAR; a first pin in the same command keeps its blocks from being collected."""
        body = await self._ask(
            "dag/import",
            {"pin-roots": "true", "silent": "false"},
            files={"file": (f"{root}.car", car, _CAR_TYPE)},
            seconds=self._limits.import_seconds,
        )
        roots = [line["Root"] for line in _objects(body) if isinstance(line.get("Root"), dict)]
        for reply in roots:
            if reply.get("Cid") != {"/": str(root)}:
                raise StorageError("The IPFS node imported another root than it was given.")
            if problem := reply.get("PinErrorMsg"):
                raise StorageError(f"The IPFS node did not pin: {_printable(str(problem))}.")
        if not roots:  # a failure after the status line cuts the reply short
            raise StorageError("The IPFS node did not confirm the import.")

    async def _compare(self, blocks: list[Block]) -> None:
        outcomes = await asyncio.gather(
            *(self._compare_one(block) for block in blocks),
            return_exceptions=True,  # no request outlives this call
        )
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def _compare_one(self, block: Block) -> None:
        options = {"arg": str(block.cid), "offline": "true"}  # what this very node holds
        data = b""
        with suppress(_TooLongError):
            data = await self._ask("block/get", options, reply_bytes=len(block.data))
        if data != block.data:
            raise CidMismatchError(
                f"The IPFS node gives back other bytes than it was given as {block.cid}. "
                "They do not count as pinned; the CAR file is still complete."
            )

    async def _pin(self, root: Cid) -> None:
        # js-ipfs would answer in base58, Kubo takes the option too.
        options = {"arg": str(root), "recursive": "true", "cid-base": "base32"}
        body = await self._ask("pin/add", options)
        pins = [pin for line in _objects(body) for pin in _texts(line.get("Pins"))]
        if pins != [str(root)]:
            raise StorageError("The IPFS node did not confirm the pin.")

    async def _ask(
        self,
        command: str,
        options: Mapping[str, str],
        *,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
        reply_bytes: int | None = None,
        seconds: float | None = None,
    ) -> bytes:
        """Post one command and return its whole reply."""
        limit = self._limits.reply_bytes if reply_bytes is None else reply_bytes
        request = self._http.build_request(
            "POST",
            f"{self._base}/{command}",
            params=dict(options),
            files=files,
            timeout=None,  # the whole command is timed instead
        )
        text = b""
        async with _reported(command), asyncio.timeout(seconds or self._limits.reply_seconds):
            response = await self._http.send(
                request, auth=self._auth, stream=True, follow_redirects=False
            )
            async with aclosing(response):
                if response.status_code == httpx.codes.OK:
                    return await _bounded(response, limit)
                with suppress(_TooLongError):
                    text = await _bounded(response, self._limits.reply_bytes)
        raise _refused(command, response.status_code, text)


class _Authorization(httpx.Auth):
    """Sets the header, also where the URL holds a user and a password."""

    def __init__(self, value: str) -> None:
        self._value = value

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["authorization"] = self._value
        yield request


def _check_url(url: str) -> None:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        # Not chained: the cause repeats the URL, which may hold a token.
        raise ConfigError("The URL of the IPFS node is not a URL.") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ConfigError("The URL of the IPFS node does not begin with http:// or https://.")


class _TooLongError(StorageError):
    """The reply is longer than anything right would be."""


@asynccontextmanager
async def _reported(command: str) -> AsyncIterator[None]:
    """Turn faults of the line into errors of ours."""
    try:
        yield
    except (httpx.TimeoutException, TimeoutError) as error:
        raise StorageError(f"The IPFS node did not answer {command} in time.") from error
    except httpx.HTTPError as error:
        message = f"No reply from the IPFS node to {command} ({type(error).__name__})."
        raise StorageError(message) from error


async def _bounded(response: httpx.Response, limit: int) -> bytes:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > limit:
            raise _TooLongError(f"The IPFS node's reply has more than {limit} bytes.")
    return bytes(body)


def _refused(command: str, status: int, body: bytes) -> ConfigError | StorageError:
    if status in _REFUSED:
        return ConfigError(
            f"The IPFS node refuses {command} (HTTP {status}). Check the Authorization header of "
            "its connection."
        )
    if status in _NO_API:
        return ConfigError(
            f"There is no {command} at the IPFS node's address (HTTP {status}). It must be the "
            "RPC API, usually port 5001, not the gateway."
        )
    with suppress(StorageError):
        for reply in _objects(body):
            if isinstance(text := reply.get("Message"), str):
                reason = _printable(text)
                return StorageError(f"The IPFS node refuses {command} (HTTP {status}): {reason}.")
    return StorageError(f"The IPFS node refuses {command} (HTTP {status}).")


def _objects(body: bytes) -> list[dict[str, Any]]:
    """Return the JSON objects of a reply, one a line."""
    try:
        lines = [json.loads(line) for line in body.splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        raise StorageError("The IPFS node's reply is not JSON.") from error
    if not all(isinstance(line, dict) for line in lines):
        raise StorageError("The IPFS node's reply is not made of JSON objects.")
    return lines


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _printable(text: str) -> str:
    """Return a foreign text fit for a message: one line, short, without URLs."""
    plain = _UNPRINTABLE.sub(" ", _URL.sub("<url>", text[: 10 * _PRINTED_CHARACTERS]))
    return plain[:_PRINTED_CHARACTERS].strip().rstrip(".")
