"""Posting over HTTP: several connections kept open, each answer timed."""

import http.client
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_TIMEOUT_SECONDS = 40.0


@dataclass(frozen=True, slots=True)
class Post:
    """A request over HTTP; ``id`` is the caller's own."""

    path: str
    body: bytes
    id: str = ""
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and how long that took; ``status`` is 0 where the connection broke."""

    post: Post
    status: int
    body: bytes
    seconds: float


class Connection:
    """One connection, kept open.

    Parameters
    ----------
    url : of the gateway
    """

    def __init__(self, url: str) -> None:
        self._client = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_TIMEOUT_SECONDS)

    def send(self, post: Post) -> Answer:
        """Post and wait for the answer."""
        began = time.perf_counter()
        try:
            self._client.request(post.method, post.path, post.body or None, dict(post.headers))
            response = self._client.getresponse()
            status, body = response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            self._client.close()
            status, body = 0, repr(error).encode()
        return Answer(post, status, body, time.perf_counter() - began)

    def close(self) -> None:
        """Hang up."""
        self._client.close()


def post_all(
    url: str,
    posts: Iterable[Post],
    *,
    connections: int,
    pause_seconds: float = 0.0,
    on_progress: Callable[[int], None] = lambda _done: None,
) -> list[Answer]:
    """All answers, in the order they came.

    Parameters
    ----------
    pause_seconds : waited by each connection between an answer and its next request
    on_progress : told how many answers there are, from whichever thread
    """
    waiting: Iterator[Post] = iter(posts)
    taking = threading.Lock()
    answers: list[Answer] = []

    def work() -> None:
        connection = Connection(url)
        while True:
            with taking:
                post = next(waiting, None)
            if post is None:
                break
            answer = connection.send(post)
            answers.append(answer)
            on_progress(len(answers))
            if pause_seconds:
                time.sleep(pause_seconds)
        connection.close()

    with ThreadPoolExecutor(connections, "post") as pool:
        for done in [pool.submit(work) for _ in range(connections)]:
            done.result()
    return answers


def send_once(url: str, post: Post) -> Answer:
    """Post on a connection of its own."""
    connection = Connection(url)
    try:
        return connection.send(post)
    finally:
        connection.close()
