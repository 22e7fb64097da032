import asyncio
import os
import shutil
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest

from airflow_cwf.adapters.screening import ofac
from airflow_cwf.adapters.screening.ofac import OfacFiles, OfacHttp
from airflow_cwf.core.errors import SanctionsListError

VECTORS = Path(__file__).parents[4] / "tests/vectors/ofac"
SDN = (VECTORS / "sdn.csv").read_bytes()
COMMENTS = (VECTORS / "sdn_comments.csv").read_bytes()
NOW = 1_780_000_000
DAY = 86_400
DATED = {"Last-Modified": formatdate(NOW - DAY, usegmt=True)}


class FixedClock:
    def __init__(self, now=NOW):
        self._now = now
        self.slept = []

    def now(self):
        return self._now

    async def sleep(self, seconds):
        self.slept.append(seconds)


@pytest.fixture
def copies(tmp_path):
    """Both files, last changed two days and one day ago."""
    for name, age in (("sdn.csv", 2), ("sdn_comments.csv", 1)):
        shutil.copy(VECTORS / name, tmp_path / name)
        os.utime(tmp_path / name, (NOW - age * DAY, NOW - age * DAY))
    return tmp_path


def from_files(folder, **options):
    paths = folder / "sdn.csv", folder / "sdn_comments.csv"
    return OfacFiles(*paths, **({"clock": FixedClock(), "min_entries": 1} | options))


def load_files(folder, **options):
    return asyncio.run(from_files(folder, **options).load())


def load_http(handler, *, clock=None, **options):
    async def load():
        async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
            options.setdefault("min_entries", 1)
            return await OfacHttp(client, clock=clock or FixedClock(), **options).load()

    return asyncio.run(load())


def serve(sdn=SDN, comments=COMMENTS, *, headers=DATED):
    def handler(request):
        files = {"SDN.CSV": sdn, "SDN_COMMENTS.CSV": comments}
        return httpx.Response(200, headers=headers, content=files[request.url.path.split("/")[-1]])

    return handler


def test_files_are_dated_by_the_older_of_their_times(copies):
    found = load_files(copies)
    assert found.published == NOW - 2 * DAY
    assert found.lists("0x" + "1" * 40)
    assert found.source == "OFAC SDN (sdn.csv)"


def test_paths_may_be_uris(copies):
    paths = ((copies / name).as_uri() for name in ("sdn.csv", "sdn_comments.csv"))
    source = OfacFiles(*paths, clock=FixedClock(), min_entries=1)
    assert asyncio.run(source.load()).entries == 8


@pytest.mark.parametrize(
    ("text", "published"),
    [
        ("2026-05-27", 1_779_840_000),
        ("2026-05-27T12:00:00Z\n", 1_779_883_200),
        ("2026-05-27T12:00:00+02:00", 1_779_876_000),
        ("2026-05-27T12:00:00", 1_779_883_200),
    ],
)
def test_the_date_beside_the_file_outranks_its_time(copies, text, published):
    (copies / "sdn.csv.published").write_text(text)
    assert load_files(copies).published == published


def test_a_copied_old_list_is_old_by_the_date_beside_it(copies):
    (copies / "sdn.csv.published").write_text("2021-01-01")
    with pytest.raises(SanctionsListError, match="of 2021-01-01"):
        load_files(copies)
    assert load_files(copies, max_age_s=10 * 365 * DAY).entries == 8


def test_a_date_given_outright_outranks_all(copies):
    (copies / "sdn.csv.published").write_text("2021-01-01")
    assert load_files(copies, published=NOW).published == NOW


def test_a_date_that_is_none_is_refused(copies):
    (copies / "sdn.csv.published").write_text("last Tuesday")
    with pytest.raises(SanctionsListError, match="ISO 8601"):
        load_files(copies)


@pytest.mark.parametrize("name", ["sdn.csv", "sdn_comments.csv"])
def test_a_missing_file_stops_everything(copies, name):
    (copies / name).unlink()
    with pytest.raises(SanctionsListError, match="Nothing is signed"):
        load_files(copies)


def test_a_short_list_is_refused_by_default(copies):
    with pytest.raises(SanctionsListError, match="probably truncated"):
        load_files(copies, min_entries=None)


def test_a_file_over_the_bound_is_refused(copies, monkeypatch):
    monkeypatch.setattr(ofac, "_MAX_BYTES", 10)
    with pytest.raises(SanctionsListError, match="larger than"):
        load_files(copies)


def test_a_download_is_dated_by_last_modified():
    found = load_http(serve())
    assert found.published == NOW - DAY
    assert found.source == "OFAC SDN (sanctionslistservice.ofac.treas.gov)"
    assert found.lists("0x" + "2" * 40)


def test_redirects_to_an_object_store_are_followed():
    def handler(request):
        if request.url.host == "ofac.example":
            name = request.url.path.rpartition("/")[2]
            return httpx.Response(302, headers={"Location": f"https://s3.example/{name}?sig=x"})
        return serve()(request)

    assert load_http(handler, base_url="https://ofac.example/lists/").entries == 8


def test_a_redirect_to_plain_http_is_refused():
    def handler(request):
        if request.url.scheme == "https":
            return httpx.Response(302, headers={"Location": "http://mirror.example/SDN.CSV"})
        return serve()(request)

    with pytest.raises(SanctionsListError, match="unencrypted"):
        load_http(handler)


@pytest.mark.parametrize("headers", [{}, {"Last-Modified": "yesterday"}])
def test_an_undated_download_is_refused(headers):
    with pytest.raises(SanctionsListError, match="no Last-Modified date"):
        load_http(serve(headers=headers))


def test_an_old_download_is_refused():
    with pytest.raises(SanctionsListError, match="days old"):
        load_http(serve(), clock=FixedClock(NOW + 7 * DAY))


def test_a_web_page_instead_of_the_list_is_refused():
    with pytest.raises(SanctionsListError, match="does not look like OFAC's file"):
        load_http(serve(sdn=(VECTORS / "maintenance.html").read_bytes()))


def test_a_short_download_is_refused_by_default():
    with pytest.raises(SanctionsListError, match="probably truncated"):
        load_http(serve(), min_entries=None)


def test_a_download_over_the_bound_is_refused(monkeypatch):
    monkeypatch.setattr(ofac, "_MAX_BYTES", 10)
    with pytest.raises(SanctionsListError, match="more than 0 MiB"):
        load_http(serve())


@pytest.mark.parametrize("failure", [503, 429, httpx.ConnectError, httpx.ReadTimeout])
def test_a_passing_failure_is_tried_again_after_a_wait(failure):
    calls = []

    def handler(request):
        calls.append(request)
        if len(calls) < 3:
            if isinstance(failure, int):
                return httpx.Response(failure)
            raise failure("https://secret@ofac.example")
        return serve()(request)

    clock = FixedClock()
    assert load_http(handler, clock=clock).entries == 8
    assert len(calls) == 4
    assert clock.slept == [1, 2]


def test_a_lasting_failure_ends_without_naming_the_url():
    calls = []

    def handler(request):
        calls.append(request)
        raise httpx.ConnectError("https://ofac.example/?token=secret")

    with pytest.raises(SanctionsListError, match=r"\(ConnectError\)") as caught:
        load_http(handler, base_url="https://ofac.example/secret")
    assert len(calls) == 4
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_lasting_overload_names_its_status():
    with pytest.raises(SanctionsListError, match=r"\(HTTP 503\)"):
        load_http(lambda _: httpx.Response(503))


def test_a_refusal_is_not_tried_again():
    calls = []

    def handler(request):
        calls.append(request)
        return httpx.Response(404)

    with pytest.raises(SanctionsListError, match=r"\(HTTP 404\)"):
        load_http(handler)
    assert len(calls) == 1
