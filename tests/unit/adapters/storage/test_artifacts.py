"""The file store: on a folder, and on a file system that is none of the machine's."""

import secrets
import stat

import pytest

from airflow_cwf.adapters.storage import UpathArtifacts
from airflow_cwf.core.errors import ConfigError


@pytest.fixture(params=["folder", "memory"])
def artifacts(request, tmp_path):
    root = str(tmp_path / "store") if request.param == "folder" else "memory://"
    return UpathArtifacts(root if request.param == "folder" else root + secrets.token_hex(8))


def test_what_was_written_is_read_and_written_again_over_itself(artifacts):
    artifacts.write("runs/one/metadata.json", b"first")
    artifacts.write("runs/one/metadata.json", b"second")
    assert artifacts.read("runs/one/metadata.json") == b"second"


def test_what_is_not_there_is_reported_with_what_to_look_at(artifacts):
    with pytest.raises(ConfigError, match=r"no plans/a\.json .*artifacts_path"):
        artifacts.read("plans/a.json")


@pytest.mark.parametrize("path", ["../secret", "a/../../secret", "/etc/hosts", "a//b", "", "a\\b"])
def test_a_path_that_leaves_the_store_is_refused(artifacts, path):
    with pytest.raises(ConfigError, match="not a path inside"):
        artifacts.write(path, b"x")
    with pytest.raises(ConfigError, match="not a path inside"):
        artifacts.read(path)


def test_a_file_is_its_owner_s_alone_and_leaves_nothing_beside_it(tmp_path):
    place = UpathArtifacts(str(tmp_path)).write("plans/a.json", b"private")
    (written,) = (tmp_path / "plans").iterdir()
    assert str(written) == place
    assert stat.S_IMODE(written.stat().st_mode) == 0o600


def test_bytes_that_cannot_be_written_leave_the_old_ones(tmp_path):
    store = UpathArtifacts(str(tmp_path))
    store.write("a", b"old")
    with pytest.raises(TypeError):
        store.write("a", "not bytes")
    assert store.read("a") == b"old"
