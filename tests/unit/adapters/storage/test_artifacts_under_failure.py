"""The file store when a process is killed, the disk refuses, or a path is not what it seems."""

import multiprocessing
import os
import stat

import pytest

from airflow_cwf.adapters.storage import UpathArtifacts
from airflow_cwf.core.errors import ConfigError


def test_a_kill_at_any_moment_leaves_the_old_bytes_or_the_new(tmp_path):
    store = UpathArtifacts(str(tmp_path / "store"))
    versions = [bytes([letter]) * 100_000 for letter in b"ab"]
    store.write("plans/a.json", versions[0])
    for _ in range(3):
        reading, writing = os.pipe()

        def rewrite(writing=writing):
            for number in range(10_000):
                store.write("plans/a.json", versions[number % 2])
                os.write(writing, b".")

        process = multiprocessing.get_context("fork").Process(target=rewrite)
        process.start()
        os.close(writing)
        os.read(reading, 1)
        process.kill()
        process.join()
        os.close(reading)
        assert store.read("plans/a.json") in versions


def test_every_folder_that_is_made_is_its_owner_s_alone(tmp_path):
    previous = os.umask(0)
    try:
        UpathArtifacts(str(tmp_path / "home" / "store")).write("runs/one/a.json", b"private")
    finally:
        os.umask(previous)
    made = [tmp_path / "home", *(p for p in (tmp_path / "home").rglob("*") if p.is_dir())]
    assert len(made) == 4
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in made} == {0o700}


def test_a_write_that_the_disk_refuses_leaves_the_old_bytes_and_no_litter(tmp_path):
    store = UpathArtifacts(str(tmp_path))
    store.write("a", b"old")
    (tmp_path / "b").mkdir()
    with pytest.raises(ConfigError, match=r"could not write b .*before is unchanged"):
        store.write("b", b"a folder stands there")
    with pytest.raises(ConfigError, match="could not write a/c"):
        store.write("a/c", b"a file stands there")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    assert store.read("a") == b"old"


@pytest.mark.parametrize("path", ["a\0b", "a\nb", "./a", "a/.", "a/", "/", "..", "a/..\\b"])
def test_a_path_with_a_second_meaning_is_refused(tmp_path, path):
    store = UpathArtifacts(str(tmp_path))
    for call in (lambda: store.write(path, b"x"), lambda: store.read(path)):
        with pytest.raises(ConfigError, match="not a path inside"):
            call()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["memory:x", "~/x", "$HOME", "%2e%2e/x", "s3:", "a b?c#d"])
def test_a_path_is_a_name_and_nothing_more(tmp_path, path):
    store = UpathArtifacts(str(tmp_path / "store"))
    store.write(path, b"x")
    assert store.read(path) == b"x"
    assert [entry.name for entry in tmp_path.iterdir()] == ["store"]


def test_a_file_uri_is_as_private_as_a_path(tmp_path):
    UpathArtifacts((tmp_path / "store").as_uri()).write("a.json", b"private")
    assert stat.S_IMODE((tmp_path / "store" / "a.json").stat().st_mode) == 0o600
