import asyncio
import threading

import pytest

from airflow_cwf.core.errors import ConfigError
from airflow_cwf.core.settings import StorageSettings
from airflow_cwf.hooks.ipfs import IpfsHook
from airflow_cwf.hooks.settings import read_settings
from tests.fakes.kubo_node import SECRET, KuboNode


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": "http://127.0.0.1:5001"}, "http://127.0.0.1:5001"),
        ({"host": "https://node.example/api"}, "https://node.example/api"),
        ({"host": "kubo", "port": 5001}, "http://kubo:5001"),
        ({"host": "kubo", "schema": "https"}, "https://kubo"),
    ],
)
def test_a_connection_is_the_nodes_url(connection, fields, url):
    connection("ipfs_default", conn_type="cwf_ipfs", **fields)
    assert IpfsHook().get_conn() == StorageSettings(url, None)


def test_the_password_is_the_authorization_header_and_no_part_of_a_text(connection):
    connection("node", conn_type="cwf_ipfs", host="http://kubo:5001", password=SECRET)
    settings = IpfsHook("node").get_conn()
    assert settings.authorization == SECRET
    assert SECRET not in repr(settings)


def test_a_connection_without_a_host_is_told(connection):
    connection("ipfs_default", conn_type="cwf_ipfs")
    with pytest.raises(ConfigError, match="ipfs_default has no host"):
        IpfsHook().get_conn()


def test_without_a_connection_there_is_no_node():
    assert read_settings(chains=[]).storage is None


def test_the_settings_of_a_task_carry_the_node(connection):
    connection("ipfs_default", conn_type="cwf_ipfs", host="http://kubo:5001")
    assert read_settings(chains=[]).storage == StorageSettings("http://kubo:5001", None)


@pytest.fixture
def node():
    """A node that serves from a thread of its own, as the hook makes its own event loop."""
    made, ready, loop = KuboNode(), threading.Event(), asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve():
        async with made:
            ready.set()
            await over.wait()

    def run():
        loop.run_until_complete(serve())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(10)
    yield made
    loop.call_soon_threadsafe(over.set)
    thread.join()


def test_testing_the_connection_pins_and_reads_back(connection, node):
    connection("ipfs_default", conn_type="cwf_ipfs", host=node.url)
    is_good, said = IpfsHook().test_connection()
    assert is_good, said
    (pinned,) = node.pins
    assert pinned in said


def test_testing_a_connection_to_nobody_says_so_without_the_url(connection):
    connection("ipfs_default", conn_type="cwf_ipfs", host=f"http://user:{SECRET}@127.0.0.1:1")
    is_good, said = IpfsHook().test_connection()
    assert not is_good
    assert said
    assert SECRET not in said
