import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
import pytest

from atalaia.demo.checks import Checks
from atalaia.demo.posting import Post, post_all, send_once
from atalaia.demo.refusals import Garbage, Wrong, judge_garbage, send_wrong
from atalaia.runtime.ports import free_port

SENT = [Garbage("not JSON", "k", b"<xml/>", "not_readable"), Garbage("no key", "", b"", "not_readable")]


@dataclass
class Letter:
    """As much of a Kafka message as is looked at."""

    buried_key: bytes | None
    buried_value: bytes | None
    reason: bytes = b"not_readable"

    def key(self) -> bytes | None:
        return self.buried_key

    def value(self) -> bytes | None:
        return self.buried_value

    def headers(self) -> list[tuple[str, bytes]]:
        return [("reason", self.reason), ("detail", b"the body is not JSON")]


@pytest.mark.parametrize(
    ("letters", "failed"),
    [
        ([Letter(b"k", b"<xml/>"), Letter(None, None)], []),
        ([Letter(None, b"")], ["not JSON: dead letter not_readable"]),
        ([Letter(b"k", b"<html/>"), Letter(None, b"")], ["not JSON: dead letter not_readable"]),
        ([Letter(b"k", b"<xml/>", b"lost"), Letter(None, b"")], ["not JSON: dead letter not_readable"]),
    ],
)
def test_garbage_needs_a_dead_letter_with_its_bytes_and_the_reason(
    letters: list[Letter], failed: list[str]
) -> None:
    checks = Checks()
    lines = judge_garbage(SENT, letters, checks)
    assert [check.claim for check in checks.failed] == failed
    assert [line.what for line in lines] == ["not JSON, to Kafka", "no key, to Kafka"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        problem = orjson.dumps({"code": "too_large", "detail": "send fewer rows"})
        self.send_response(413)
        self.send_header("content-length", str(len(problem)))
        self.end_headers()
        self.wfile.write(problem)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


def test_a_refusal_must_be_the_one_expected(url: str) -> None:
    checks = Checks()
    wrong = [
        Wrong("rows", Post("/predict", b"{}"), 413, "too_large"),
        Wrong("status", Post("/predict", b"{}"), 400, "too_large"),
        Wrong("code", Post("/predict", b"{}"), 413, "not_readable"),
    ]
    lines, answers = send_wrong(url, wrong, checks)
    assert [check.claim.partition(":")[0] for check in checks.failed] == ["status", "code"]
    assert {line.got for line in lines} == {"413 too_large"}
    assert len(answers) == 3


def test_every_post_is_answered_once_over_several_connections(url: str) -> None:
    posts = [Post("/predict", b"{}", str(number)) for number in range(40)]
    seen: list[int] = []
    answers = post_all(url, posts, connections=4, on_progress=seen.append)
    assert sorted(int(answer.post.id) for answer in answers) == list(range(40))
    assert max(seen) == 40


def test_a_gateway_that_is_not_there_is_status_0() -> None:
    answer = send_once(f"http://127.0.0.1:{free_port()}", Post("/predict", b"{}"))
    assert answer.status == 0
    assert b"refused" in answer.body
