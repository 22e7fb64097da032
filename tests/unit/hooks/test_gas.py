import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from airflow_cwf.core.fees import STRATEGIES
from airflow_cwf.hooks.gas import GasOracleHook

GWEI = 10**9


class Node(BaseHTTPRequestHandler):
    """Serves Polygon's chain id and a quiet fee history."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        single = isinstance(asked, dict)
        answers = [self.answer(one) for one in ([asked] if single else asked)]
        body = json.dumps(answers[0] if single else answers).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer(self, one):
        if one["method"] == "eth_chainId":
            return {"jsonrpc": "2.0", "id": one["id"], "result": "0x89"}
        assert one["method"] == "eth_feeHistory"
        blocks, _, percentiles = one["params"]
        number = int(blocks, 16)
        history = {
            "oldestBlock": "0x10",
            "baseFeePerGas": [hex(GWEI)] * (number + 1),
            "gasUsedRatio": [0.5] * number,
            "reward": [[hex(GWEI * (i + 1)) for i in range(len(percentiles))]] * number,
        }
        return {"jsonrpc": "2.0", "id": one["id"], "result": history}

    def log_message(self, *_):
        pass


@pytest.fixture
def url():
    with ThreadingHTTPServer(("127.0.0.1", 0), Node) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_every_strategy_without_a_rule_is_quoted(connection, url):
    connection("evm_polygon", conn_type="evm", host=url)
    quotes = GasOracleHook("polygon").get_conn()
    assert set(quotes) == set(STRATEGIES) - {"custom"}
    assert quotes["eco"].max_fee_per_gas <= quotes["fast"].max_fee_per_gas
    passed, text = GasOracleHook("polygon").test_connection()
    assert passed, text
    assert all(name in text for name in quotes)


@pytest.mark.parametrize("chain", ["polygon", "atlantis"])
def test_a_chain_without_a_connection_or_a_name_is_told(chain):
    passed, text = GasOracleHook(chain).test_connection()
    assert not passed
    assert chain in text
