import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from airflow_cwf.core.errors import ConfigError
from airflow_cwf.hooks.sanctions import DAY_S, SanctionsHook
from airflow_cwf.hooks.settings import read_settings
from airflow_cwf.localnet.people import made_up_address, make_sanctions_files


@pytest.fixture
def folder(tmp_path):
    """The two files, under OFAC's own names too, as its web service spells them."""
    place = tmp_path / "ofac"
    place.mkdir()
    for data, names in zip(
        make_sanctions_files([made_up_address("test", "listed")]),
        (("sdn.csv", "SDN.CSV"), ("sdn_comments.csv", "SDN_COMMENTS.CSV")),
        strict=True,
    ):
        for name in names:
            (place / name).write_bytes(data)
    return place


@pytest.fixture
def server(folder):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_list_by_path_is_loaded_and_counted(connection, folder):
    connection("ofac_default", conn_type="http", extra={"path": f"{folder}/", "min_entries": 100})
    passed, text = SanctionsHook().test_connection()
    assert passed, text
    assert "1 EVM addresses" in text
    assert SanctionsHook().get_conn().sdn == f"{folder}/sdn.csv"


def test_a_list_over_an_http_connection_is_loaded(connection, server):
    connection(
        "ofac_default",
        conn_type="http",
        host="127.0.0.1",
        port=server.server_port,
        schema="http",
        extra={"min_entries": "100", "max_age_days": 3.5},
    )
    settings = SanctionsHook().get_conn()
    assert settings.base_url == f"http://127.0.0.1:{server.server_port}"
    assert settings.max_age_s == 3.5 * DAY_S
    passed, text = SanctionsHook().test_connection()
    assert passed, text


def test_a_list_that_is_too_short_or_absent_fails_the_test(connection, folder):
    connection("ofac_default", conn_type="http", extra={"path": str(folder)})
    passed, text = SanctionsHook().test_connection()
    assert not passed
    assert "5000" in text.replace(",", "")
    connection("ofac_default", conn_type="http", extra={"path": str(folder / "gone")})
    passed, text = SanctionsHook().test_connection()
    assert not passed
    assert "Nothing is signed" in text


@pytest.mark.parametrize(
    "extra",
    [{"min_entries": "many"}, {"max_age_days": [1]}, {"max_age_days": "Infinity"}, "{"],
)
def test_malformed_limits_are_an_error_and_not_the_default(connection, folder, extra):
    extra = extra if isinstance(extra, str) else extra | {"path": str(folder)}
    connection("ofac_default", conn_type="http", extra=extra)
    with pytest.raises(ConfigError, match="ofac_default"):
        SanctionsHook().get_conn()
    assert not SanctionsHook().test_connection()[0]


def test_without_the_connection_the_settings_name_no_list():
    assert read_settings(chains=[]).sanctions is None
    passed, text = SanctionsHook().test_connection()
    assert not passed
    assert "ofac_default" in text
