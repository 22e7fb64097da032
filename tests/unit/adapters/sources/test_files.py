import pytest
from upath import UPath

from airflow_cwf.adapters.sources import files
from airflow_cwf.adapters.sources.files import read_source
from airflow_cwf.core.errors import InputError


def test_a_local_file_is_read_by_path_or_uri(tmp_path):
    path = tmp_path / "payroll.csv"
    path.write_bytes(b"\xef\xbb\xbfa,b\r\n")
    assert read_source(str(path)) == b"\xef\xbb\xbfa,b\r\n"
    assert read_source(path.as_uri()) == b"\xef\xbb\xbfa,b\r\n"


def test_a_file_in_a_store_is_read_by_its_uri():
    UPath("memory://hr/payroll.csv").write_bytes(b"data")
    assert read_source("memory://hr/payroll.csv") == b"data"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no payments file at .*absent\.csv"):
        read_source(str(tmp_path / "absent.csv"))


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(InputError, match=r"cannot be read \(IsADirectoryError\)"):
        read_source(str(tmp_path))


def test_an_unknown_store_is_an_input_error():
    with pytest.raises(InputError, match="cannot be read"):
        read_source("nonsense://bucket/payroll.csv")


@pytest.mark.parametrize("uri", ["memory://u:secret@hr/x.csv", "memory://hr/x.csv?sig=secret"])
def test_a_secret_in_a_uri_stays_out_of_message_and_cause(uri):
    with pytest.raises(InputError) as caught:
        read_source(uri)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_web_address_is_refused_without_its_token():
    with pytest.raises(InputError, match=r"https://hr\.example/p\.csv is a web address"):
        read_source("https://user:pw@hr.example/p.csv?token=secret#x")


def test_no_name_is_an_input_error():
    with pytest.raises(InputError, match="No payments file"):
        read_source(" ")


def test_a_file_over_the_bound_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_BYTES", 4)
    path = tmp_path / "payroll.csv"
    path.write_bytes(b"1234")
    assert read_source(str(path)) == b"1234"
    path.write_bytes(b"12345")
    with pytest.raises(InputError, match="larger than"):
        read_source(str(path))
