"""An HTTP endpoint that answers as told, fails, recovers, hangs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec


@dataclass(frozen=True)
class Post:
    """One request as it came, and the status it was answered with."""

    path: str
    headers: dict[str, str]
    body: Any
    status: int


@dataclass
class Receiver:
    """``statuses`` are those of the next requests, in order; then 200. 0 hangs until `release`."""

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    always: int = 200
    posts: list[Post] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def taken(self) -> list[Any]:
        """Bodies that were answered with success."""
        with self.lock:
            return [post.body for post in self.posts if 200 <= post.status < 300]

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> int:
        with self.lock:
            status = self.statuses.pop(0) if self.statuses else self.always
            self.posts.append(Post(path, headers, msgspec.json.decode(body), status))
        return status


@contextmanager
def receiving(**given: Any) -> Iterator[Receiver]:
    """A receiver at a free port."""
    receiver = Receiver(**given)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = receiver.answer(
                self.path, {name.lower(): value for name, value in self.headers.items()}, body
            )
            if status == 0:
                receiver.release.wait(30)
                return
            self.send_response(status)
            if status in (301, 302, 307):
                self.send_header("Location", receiver.url + "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
