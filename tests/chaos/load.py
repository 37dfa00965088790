"""Load from HTTP and straight from Kafka, bounded in number and time, that remembers what it was told."""

import asyncio
import itertools
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self

import httpx
import orjson
from confluent_kafka import Message

from atalaia.settings import KafkaSettings
from atalaia.stream.clients import producer
from atalaia.topics import REQUESTS
from bench import bundles

from .checks import Asked
from .watched import ATTRIBUTE, NAME, VALUES

NOT_TOLD = 0
"""Status of a request whose connection failed: nobody knows what became of it."""
_JSON = {"content-type": "application/json"}
_PAUSE_SECONDS, _ASYNC_PAUSE_SECONDS = 0.04, 0.2


class Wish(NamedTuple):
    """A request that somebody wants posted: its id, and its event time where it is not the present."""

    id: str
    event_time: str | None = None


class Promised(NamedTuple):
    """A 202: the answer to this row will be at the location."""

    id: str
    row: tuple[float, ...]
    location: str


class _Outcome(NamedTuple):
    """A post: when it began and ended, in seconds of the monotonic clock, and whether it was answered."""

    posted: float
    ended: float
    ok: bool


class Load:
    """Posts and writes in threads of its own until `stop`.

    Parameters
    ----------
    gateway : its URL
    connections : how many post at once, each one request after another
    writes_per_second : requests written straight to Kafka
    at_most : requests of each kind; then it idles
    """

    def __init__(
        self,
        gateway: str,
        kafka: KafkaSettings,
        *,
        connections: int = 4,
        writes_per_second: float = 50.0,
        at_most: int = 100_000,
        seed: int = 0,
    ) -> None:
        self.asked: list[Asked] = []
        self.acknowledged: list[str] = []
        self.promised: list[Promised] = []
        self._wishes: deque[Wish] = deque()
        self._gateway = gateway
        self._url = f"{gateway}/v2/models/{NAME}/infer"
        self._kafka = kafka
        self._connections = connections
        self._pause_seconds = 1.0 / writes_per_second
        self._at_most = at_most
        self._numbers = itertools.count()
        self._name = uuid.uuid4().hex[:8]
        self._rows = [tuple(row) for row in bundles.rows(2_000, seed=seed).tolist()]
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=lambda: asyncio.run(self._post_all()), name="posting"),
            threading.Thread(target=self._write_all, name="writing"),
        ]
        self._outcomes: list[_Outcome] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End both; what was posted has its answer or its failure."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def wish(self, wish: Wish) -> None:
        """Have this request written to Kafka next."""
        self._wishes.append(wish)

    def recovered_at(self, since_seconds: float, *, in_a_row: int = 32) -> float | None:
        """When the last so many answers began to come, all of them 200 to requests posted since a time."""
        last = self._outcomes[-in_a_row:]
        if len(last) < in_a_row or not all(entry.ok and entry.posted > since_seconds for entry in last):
            return None
        return last[0].ended

    def fetch(self, *, timeout_seconds: float) -> list[Asked]:
        """What lies at each location that was promised; the last status where nothing came in time."""
        until = time.monotonic() + timeout_seconds
        with httpx.Client(base_url=self._gateway, timeout=10.0) as client:
            return [_fetched(client, entry, until) for entry in self.promised]

    async def _post_all(self) -> None:
        limits = httpx.Limits(max_connections=self._connections + 1)
        async with httpx.AsyncClient(timeout=10.0, limits=limits) as client:
            posting = (self._post_on(client) for _ in range(self._connections))
            await asyncio.gather(*posting, self._post_without_waiting(client))

    async def _post_on(self, client: httpx.AsyncClient) -> None:
        while not self._stopping.is_set() and len(self.asked) < self._at_most:
            request_id, row, body = self._next("http")
            posted = time.monotonic()
            try:
                answer = await client.post(self._url, content=body, headers=_JSON)
            except httpx.TransportError:
                answer = None
            status = NOT_TOLD if answer is None else answer.status_code
            self.asked.append(Asked(request_id, row, status, b"" if answer is None else answer.content))
            self._outcomes.append(_Outcome(posted, time.monotonic(), status == httpx.codes.OK))
            # Who is away need not be asked a thousand times a second, nor need the machine be full.
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _post_without_waiting(self, client: httpx.AsyncClient) -> None:
        while not self._stopping.is_set() and len(self.promised) < self._at_most:
            request_id, row, body = self._next("async")
            try:
                answer = await client.post(
                    self._url, content=body, headers={**_JSON, "prefer": "respond-async"}
                )
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code == httpx.codes.ACCEPTED:
                self.promised.append(Promised(request_id, row, answer.headers["location"]))
            await asyncio.sleep(_ASYNC_PAUSE_SECONDS)

    def _write_all(self) -> None:
        client = producer(self._kafka, **{"linger.ms": 5, "delivery.timeout.ms": 120_000})
        count = 0
        while not self._stopping.wait(self._pause_seconds) and count < self._at_most:
            request_id, _, body = self._next("kafka", self._wishes.popleft() if self._wishes else None)
            topic = self._kafka.topic_prefix + REQUESTS.name
            client.produce(topic, key=request_id, value=body, on_delivery=self._note(request_id))
            count += 1
            client.poll(0)
        client.flush(60)

    def _note(self, request_id: str) -> Callable[[object, Message], None]:
        def note(error: object, message: Message) -> None:
            del message
            if error is None:
                self.acknowledged.append(request_id)

        return note

    def _next(self, way: str, wish: Wish | None = None) -> tuple[str, tuple[float, ...], bytes]:
        number = next(self._numbers)
        request_id = f"{way}-{self._name}-{number}" if wish is None else wish.id
        row = self._rows[number % len(self._rows)]
        tensors = [
            {"name": "input", "shape": [1, len(row)], "datatype": "FP32", "data": list(row)},
            {"name": ATTRIBUTE, "shape": [1], "datatype": "BYTES", "data": [VALUES[number % 3 > 0]]},
        ]
        request: dict[str, object] = {"id": request_id, "inputs": tensors}
        if wish is not None and wish.event_time is not None:
            request["parameters"] = {"event_time": wish.event_time}
        return request_id, row, orjson.dumps(request)


def _fetched(client: httpx.Client, entry: Promised, until_seconds: float) -> Asked:
    status, body = NOT_TOLD, b""
    while True:
        try:
            answer = client.get(entry.location)
            status, body = answer.status_code, answer.content
        except httpx.TransportError:
            status = NOT_TOLD
        if (
            status not in (NOT_TOLD, httpx.codes.ACCEPTED, httpx.codes.SERVICE_UNAVAILABLE)
            or time.monotonic() > until_seconds
        ):
            return Asked(entry.id, entry.row, status, body)
        time.sleep(0.1)
