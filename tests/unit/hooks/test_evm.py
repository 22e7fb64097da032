import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from airflow_cwf.core.errors import ConfigError
from airflow_cwf.hooks.evm import EvmHook
from airflow_cwf.hooks.settings import read_settings

TOKEN = "s3cr3t-t0k3n"
BLOCK = {
    "number": "0x10",
    "hash": "0x" + "11" * 32,
    "parentHash": "0x" + "22" * 32,
    "timestamp": "0x65000000",
    "baseFeePerGas": "0x1",
    "gasUsed": "0x0",
    "gasLimit": "0x1c9c380",
    "transactions": [],
}


class Node(BaseHTTPRequestHandler):
    """Serves a chain id and a block, whatever the path."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.paths.append(self.path)
        single = isinstance(asked, dict)
        answers = [self.answer(one) for one in ([asked] if single else asked)]
        body = json.dumps(answers[0] if single else answers).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer(self, one):
        results = {"eth_chainId": self.server.chain_id, "eth_getBlockByNumber": BLOCK}
        return {"jsonrpc": "2.0", "id": one["id"], "result": results[one["method"]]}

    def log_message(self, *_):
        pass


@pytest.fixture
def node():
    with ThreadingHTTPServer(("127.0.0.1", 0), Node) as server:
        server.chain_id, server.paths = "0x89", []
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_preferred_url_comes_first_and_the_token_replaces_its_placeholder(connection):
    connection(
        "evm_polygon",
        conn_type="evm",
        host="https://one.example/{password}",
        password=TOKEN,
        extra={"urls": ["https://two.example/v2/{password}", "https://three.example"]},
    )
    assert EvmHook("evm_polygon").get_conn() == (
        f"https://one.example/{TOKEN}",
        f"https://two.example/v2/{TOKEN}",
        "https://three.example",
    )


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": "node.example"}, "https://node.example"),
        ({"host": "127.0.0.1", "port": 8545, "schema": "http"}, "http://127.0.0.1:8545"),
    ],
)
def test_a_connection_in_parts_is_put_together(connection, fields, url):
    connection("evm_polygon", conn_type="evm", **fields)
    assert EvmHook("evm_polygon").get_conn() == (url,)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "has no host"),
        ({"host": f"ws://node.example/{TOKEN}"}, "not http"),
        ({"host": f"https://node.example/{TOKEN}", "extra": {"urls": "https://x"}}, "list of URLs"),
        ({"host": "https://node.example", "extra": {"urls": [1]}}, "list of URLs"),
        ({"host": "https://node.example", "extra": {"urls": ["ftp://x"]}}, "not http"),
        ({"host": "https://node.example/{password}"}, "no password"),
        ({"host": "https://node.example", "extra": '{"urls": ["https'}, "not a JSON object"),
        ({"host": "https://node.example", "extra": "[1]"}, "not a JSON object"),
    ],
)
def test_a_malformed_connection_is_refused_without_repeating_what_may_be_secret(
    connection, fields, said
):
    connection("evm_polygon", conn_type="evm", **fields)
    with pytest.raises(ConfigError, match=said) as raised:
        EvmHook("evm_polygon").get_conn()
    assert "evm_polygon" in str(raised.value)
    assert TOKEN not in str(raised.value)
    passed, text = EvmHook("evm_polygon").test_connection()
    assert not passed
    assert text == str(raised.value)


def test_a_good_connection_names_its_chain_and_head(connection, node):
    connection("evm_polygon", conn_type="evm", host=node.url)
    assert EvmHook("evm_polygon").test_connection() == (True, "polygon, chain id 137, block 16")


def test_a_connection_of_another_name_is_tested_against_the_chain_in_its_extra(connection, node):
    connection("my_node", conn_type="evm", host=node.url, extra={"chain": "polygon"})
    assert EvmHook("my_node").test_connection()[0]
    connection("my_node", conn_type="evm", host=node.url)
    passed, text = EvmHook("my_node").test_connection()
    assert not passed
    assert "Set extra.chain to one of" in text


def test_chains_of_ones_own_table_can_be_tested_too(connection, node, home):
    home.mkdir()
    node.chain_id = hex(31337)
    table = {"mychain": {"caip2": "eip155:31337", "native": "MY", "block_time_s": 1, "tokens": {}}}
    (home / "chains.json").write_text(json.dumps(table))
    connection("evm_mychain", conn_type="evm", host=node.url)
    assert EvmHook("evm_mychain").test_connection()[0]
    (home / "chains.json").write_text("{")
    passed, text = EvmHook("evm_mychain").test_connection()
    assert not passed
    assert "chains.json" in text


def test_another_chain_id_fails_the_test_and_is_told(connection, node):
    node.chain_id = "0x1"
    connection("evm_polygon", conn_type="evm", host=node.url)
    passed, text = EvmHook("evm_polygon").test_connection()
    assert not passed
    assert "chain id 1, not 137" in text


def test_the_next_url_answers_when_the_first_does_not(connection, node):
    dead = "http://127.0.0.1:9/{password}"
    connection(
        "evm_polygon", conn_type="evm", host=dead, password=TOKEN, extra={"urls": [node.url]}
    )
    assert EvmHook("evm_polygon").test_connection()[0]


def test_a_token_in_the_url_stays_out_of_messages_and_logs(connection, caplog):
    caplog.set_level(logging.DEBUG)
    connection("evm_polygon", conn_type="evm", host="http://127.0.0.1:9/{password}", password=TOKEN)
    passed, text = EvmHook("evm_polygon").test_connection()
    assert not passed
    assert "No usable answer from the node" in text
    assert TOKEN not in text + caplog.text


def test_a_connection_that_does_not_exist_fails_the_test():
    passed, text = EvmHook("evm_nowhere").test_connection()
    assert not passed
    assert "evm_nowhere" in text


def test_settings_take_a_chains_own_connection_then_the_default_and_leave_out_the_rest(connection):
    connection("evm_polygon", conn_type="evm", host="https://polygon.example")
    assert read_settings(chains=["polygon", "ethereum"]).endpoints == {
        "polygon": ("https://polygon.example",)
    }
    connection("evm_default", conn_type="evm", host="https://any.example")
    assert read_settings(chains=["polygon", "ethereum"]).endpoints == {
        "polygon": ("https://polygon.example",),
        "ethereum": ("https://any.example",),
    }
    assert read_settings(chains=["polygon"], evm_conn_id="evm_default").endpoints == {
        "polygon": ("https://any.example",)
    }
