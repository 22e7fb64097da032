"""deploy/health.py, against a server."""

import importlib.util
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def health():
    place = ROOT / "deploy" / "health.py"
    spec = importlib.util.spec_from_file_location("health", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def api_server():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = {"scheduler": {"status": "healthy"}, "triggerer": {"status": "unhealthy"},
                     "dag_processor": None}  # fmt: skip
            body = json.dumps(parts).encode()
            self.send_response(200 if self.path == "/api/v2/monitor/health" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_health_is_what_the_api_server_says(health, api_server):
    components = ["scheduler", "triggerer", "dag_processor", "absent"]
    assert [health.main(component, api_server) for component in components] == [0, 1, 1, 1]


def test_no_answer_is_no_health(health, api_server):
    assert health.main("scheduler", "http://127.0.0.1:1") == 1
    assert health.main("scheduler", f"{api_server}/elsewhere") == 1
