"""Load from HTTP and straight from Kafka, bounded in number and time, that remembers what it was told."""

import asyncio
import itertools
import threading
import time
import uuid
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

NOT_TOLD = 0
"""Status of a request whose connection failed: nobody knows what became of it."""


class _Outcome(NamedTuple):
    """A post: when it began and ended, in seconds of the monotonic clock, and whether it was answered."""

    posted: float
    ended: float
    ok: bool


class Load:
    """Posts and writes in threads of its own until `stop`.

    Parameters
    ----------
    url : of the gateway's route for inference
    connections : how many post at once, each one request after another
    writes_per_second : requests written straight to Kafka
    at_most : requests of each kind; then it idles
    """

    def __init__(
        self,
        url: str,
        kafka: KafkaSettings,
        *,
        connections: int = 8,
        writes_per_second: float = 100.0,
        at_most: int = 100_000,
        seed: int = 0,
    ) -> None:
        self.asked: list[Asked] = []
        self.acknowledged: list[str] = []
        self._url = url
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

    def recovered_at(self, since_seconds: float, *, in_a_row: int = 64) -> float | None:
        """When the last so many answers began to come, all of them 200 to requests posted since a time."""
        last = self._outcomes[-in_a_row:]
        if len(last) < in_a_row or not all(entry.ok and entry.posted > since_seconds for entry in last):
            return None
        return last[0].ended

    async def _post_all(self) -> None:
        limits = httpx.Limits(max_connections=self._connections, max_keepalive_connections=self._connections)
        async with httpx.AsyncClient(timeout=10.0, limits=limits) as client:
            await asyncio.gather(*(self._post_on(client) for _ in range(self._connections)))

    async def _post_on(self, client: httpx.AsyncClient) -> None:
        while not self._stopping.is_set() and len(self.asked) < self._at_most:
            request_id, row, body = self._next("http")
            posted = time.monotonic()
            try:
                answer = await client.post(
                    self._url, content=body, headers={"content-type": "application/json"}
                )
            except httpx.TransportError:
                answer = None
            status = NOT_TOLD if answer is None else answer.status_code
            self.asked.append(Asked(request_id, row, status, b"" if answer is None else answer.content))
            self._outcomes.append(_Outcome(posted, time.monotonic(), status == httpx.codes.OK))
            if status != httpx.codes.OK:
                await asyncio.sleep(0.05)  # who is away need not be asked a thousand times a second

    def _write_all(self) -> None:
        client = producer(self._kafka, **{"linger.ms": 5, "delivery.timeout.ms": 120_000})

        count = 0
        while not self._stopping.wait(self._pause_seconds) and count < self._at_most:
            request_id, _, body = self._next("kafka")

            def note(error: object, message: Message, request_id: str = request_id) -> None:
                del message
                if error is None:
                    self.acknowledged.append(request_id)

            client.produce(
                self._kafka.topic_prefix + REQUESTS.name, key=request_id, value=body, on_delivery=note
            )
            count += 1
            client.poll(0)
        client.flush(60)

    def _next(self, way: str) -> tuple[str, tuple[float, ...], bytes]:
        number = next(self._numbers)
        request_id = f"{way}-{self._name}-{number}"
        row = self._rows[number % len(self._rows)]
        tensor = {"name": "input", "shape": [1, len(row)], "datatype": "FP32", "data": list(row)}
        return request_id, row, orjson.dumps({"id": request_id, "inputs": [tensor]})
