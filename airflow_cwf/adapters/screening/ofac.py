"""OFAC's SDN list from two files on disk, or from OFAC's web service."""

import asyncio
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

import httpx
import tenacity
from upath import UPath

from airflow_cwf.core.errors import SanctionsListError
from airflow_cwf.core.ports import Clock
from airflow_cwf.core.screening import (
    DEFAULT_MAX_AGE_S,
    DEFAULT_MIN_ENTRIES,
    SanctionsList,
    check_age,
    parse_sdn,
)

__all__ = ["DEFAULT_BASE_URL", "OfacFiles", "OfacHttp"]

DEFAULT_BASE_URL: Final = (
    "https://sanctionslistservice.ofac.treas.gov/api/PublicationPreview/exports"
)
_MAX_BYTES: Final = 64 * 1024 * 1024
_TIMEOUT_S: Final = 60.0
_TRIES: Final = 4
_BUSY: Final = frozenset({429, 500, 502, 503, 504})
_DATED: Final = "last-modified"


class OfacFiles:
    """Reads copies of `sdn.csv` and `sdn_comments.csv`, given as paths or URIs.

    A file does not say when it was published, and copying makes an old one look young. The date
    is, in this order: `published`; the file `<sdn.csv>.published` beside it, with one ISO 8601
    date or time (`2026-01-31`, `2026-01-31T09:30:00Z`; UTC where no zone is given); the older
    modification time of the two files, which is right only for files that were downloaded here
    or copied with their times (`cp -p`, `curl -R`).
    """

    def __init__(
        self,
        sdn: str | Path,
        comments: str | Path,
        *,
        clock: Clock,
        published: int | None = None,
        max_age_s: float = DEFAULT_MAX_AGE_S,
        min_entries: int | None = None,
    ) -> None:
        self._sdn = UPath(sdn)
        self._comments = UPath(comments)
        self._clock = clock
        self._published = published
        self._max_age_s = max_age_s
        self._min_entries = DEFAULT_MIN_ENTRIES if min_entries is None else min_entries

    async def load(self) -> SanctionsList:
        """Read, parse and date the list.

        Raises:
            SanctionsListError: a file is missing or unreadable, or the list is too old.
        """
        sanctions = await asyncio.to_thread(self._read)
        check_age(sanctions, now=self._clock.now(), max_age_s=self._max_age_s)
        return sanctions

    def _read(self) -> SanctionsList:
        try:
            published = self._publication()
            sdn, comments = _read_bounded(self._sdn), _read_bounded(self._comments)
        except (OSError, ImportError) as error:
            message = (
                f"The sanctions list in {self._sdn.name} and {self._comments.name} cannot be read "
                f"({type(error).__name__}). Nothing is signed. Put both files of OFAC's sanctions "
                "list service where the settings look for them."
            )
            raise SanctionsListError(message) from error
        return parse_sdn(
            sdn,
            comments,
            published=published,
            source=f"OFAC SDN ({self._sdn.name})",
            min_entries=self._min_entries,
        )

    def _publication(self) -> int:
        if self._published is not None:
            return self._published
        sidecar = self._sdn.with_name(f"{self._sdn.name}.published")
        if not sidecar.exists():
            return int(min(path.stat().st_mtime for path in (self._sdn, self._comments)))
        try:
            moment = datetime.fromisoformat(sidecar.read_text(encoding="utf-8").strip())
        except ValueError as error:
            message = (
                f"{sidecar.name} must hold one ISO 8601 date such as 2026-01-31. Nothing is signed."
            )
            raise SanctionsListError(message) from error
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


class OfacHttp:
    """Downloads `SDN.CSV` and `SDN_COMMENTS.CSV` and dates the list by `Last-Modified`."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        clock: Clock,
        base_url: str = DEFAULT_BASE_URL,
        max_age_s: float = DEFAULT_MAX_AGE_S,
        min_entries: int | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._base_url = base_url.rstrip("/")
        self._max_age_s = max_age_s
        self._min_entries = DEFAULT_MIN_ENTRIES if min_entries is None else min_entries

    async def load(self) -> SanctionsList:
        """Download, parse and date the list; the list itself is not kept.

        Raises:
            SanctionsListError: the service does not answer, answers something else than the two
                files or without a date, or the list is too old.
        """
        sdn = await self._download("SDN.CSV")
        comments = await self._download("SDN_COMMENTS.CSV")
        sanctions = await asyncio.to_thread(
            parse_sdn,
            sdn.content,
            comments.content,
            published=self._last_modified(sdn),
            source=f"OFAC SDN ({self._host})",
            min_entries=self._min_entries,
        )
        check_age(sanctions, now=self._clock.now(), max_age_s=self._max_age_s)
        return sanctions

    @property
    def _host(self) -> str:
        """What messages name: the whole URL, or the one it redirects to, may hold a token."""
        return httpx.URL(self._base_url).host

    async def _download(self, name: str) -> httpx.Response:
        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(_TRIES),
            wait=tenacity.wait_exponential(multiplier=1, max=20),
            retry=tenacity.retry_if_exception_type((httpx.TransportError, _BusyError)),
            sleep=self._clock.sleep,
            reraise=True,
        )
        try:
            return await retrying(self._fetch, name)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = str(error) if isinstance(error, _BusyError) else type(error).__name__
            # The cause is left out: its text repeats URLs, and those may hold tokens.
            raise self._refusal(name, why) from None

    async def _fetch(self, name: str) -> httpx.Response:
        """Return the response with its body read, at most `_MAX_BYTES` of it."""
        request = self._client.stream(
            "GET", f"{self._base_url}/{name}", follow_redirects=True, timeout=_TIMEOUT_S
        )
        async with request as response:
            if response.status_code in _BUSY:
                raise _BusyError(f"HTTP {response.status_code}")
            if response.status_code != httpx.codes.OK:
                raise self._refusal(name, f"HTTP {response.status_code}")
            if self._base_url.startswith("https:") and response.url.scheme != "https":
                raise self._refusal(name, "it was redirected to an unencrypted connection")
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _MAX_BYTES:
                    raise self._refusal(name, f"more than {_MAX_BYTES // 1024**2} MiB")
        return httpx.Response(
            200, headers={_DATED: response.headers.get(_DATED, "")}, content=bytes(body)
        )

    def _last_modified(self, response: httpx.Response) -> int:
        try:
            return int(parsedate_to_datetime(response.headers[_DATED]).timestamp())
        except ValueError as error:
            raise self._refusal("SDN.CSV", "it carries no Last-Modified date") from error

    def _refusal(self, name: str, why: str) -> SanctionsListError:
        return SanctionsListError(
            f"{name} of the sanctions list could not be fetched from {self._host} ({why}). "
            "Nothing is signed. Try again, or use copies of the files on disk."
        )


class _BusyError(httpx.HTTPError):
    """The service answered that it cannot answer now."""


def _read_bounded(path: UPath) -> bytes:
    with path.open("rb") as file:
        data = bytes(file.read(_MAX_BYTES + 1))
    if len(data) > _MAX_BYTES:
        message = f"{path.name} is larger than {_MAX_BYTES // 1024**2} MiB. Nothing is signed."
        raise SanctionsListError(message)
    return data
