"""The load test itself, for seconds: it passes on a gateway that is right, and fails on one that is not."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.broker


def load(host: str, *more: str) -> tuple[int, dict[str, Any], str]:
    command = [sys.executable, "-m", "loadtest", "--host", host, "--json", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_users_and_arrivals_get_the_right_answers(url: str) -> None:
    status, told, errors = load(url, "--users", "1,3", "--rate", "40", "--seconds", "2")
    assert (status, told["faults"]) == (0, []), errors
    found = {(line["profile"], line["kind"]): line for line in told["lines"]}
    assert {profile for profile, _ in found} == {"1 user", "3 users", "40/s arrive"}
    for (_, kind), line in found.items():
        assert line["statuses"] == {"200" if kind == "valid" else "422": line["requests"]}
        assert 0 < line["p50_ms"] <= line["p95_ms"] <= line["p99_ms"]
    # Arrivals come at their rate whatever happens: two seconds of forty.
    assert sum(line["requests"] for (name, _), line in found.items() if name == "40/s arrive") == 80


@pytest.fixture
def wrong(url: str) -> Iterator[str]:
    """A server with the same schema that answers everything with 503."""
    schema = httpx.get(f"{url}/schema").content

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(200, schema)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(503, b"{}")

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_5xx_fails_it_and_is_told(wrong: str) -> None:
    status, told, errors = load(wrong, "--users", "1", "--rate", "20", "--seconds", "1")
    assert status == 1
    assert {line["profile"] for line in told["lines"]} == {"1 user", "20/s arrive"}
    assert all(line["statuses"] == {"503": line["requests"]} for line in told["lines"])
    assert "answers were wrong (503: " in errors
