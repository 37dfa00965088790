"""The producer of a replay: requests over all partitions, labels and marks of time, each in order."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import Message, Producer

from atalaia.errors import StreamUnavailable
from atalaia.labels import LabelRows, write_labels
from atalaia.records import TimeMark
from atalaia.replay.encoding import Request
from atalaia.replay.flight import Flight, Sent
from atalaia.settings import KafkaSettings
from atalaia.stream.clients import producer
from atalaia.stream.deadletters import Headers
from atalaia.stream.headers import MARK
from atalaia.stream.partitioner import partition_of
from atalaia.topics import LABELS, REQUESTS, Topic

DELIVERY_SECONDS = 600.0
"""How long a broker may be away before the replay gives up."""

_WAIT_SECONDS = 0.05
_Delivered = Callable[[Any, Message], None]
_MARKED: Headers = [(MARK, b"1")]


class _Message(NamedTuple):
    value: bytes
    key: str | None
    headers: Headers | None = None


class Writer:
    """Writes one replay of a model.

    Requests go to the partitions in turn, so that event time advances on all of them alike. What is written
    to a partition stays in its order whatever happens, since the producer is idempotent.

    Parameters
    ----------
    flight : told of every request that Kafka has
    """

    def __init__(self, kafka: KafkaSettings, *, model: str, replay: str, flight: Flight) -> None:
        self._prefix = kafka.topic_prefix
        self._model = model
        self._replay = replay
        self._flight = flight
        self._next = 0
        self._label_partition = partition_of(model, LABELS.partitions)
        self._failure: str | None = None
        self.labels_end: int | None = None
        """The position after the last message on the model's partition of `labels`."""
        self.written_requests = 0
        self._producer: Producer = producer(
            kafka,
            **{
                "linger.ms": 5,
                "delivery.timeout.ms": round(DELIVERY_SECONDS * 1000),
                "queue.buffering.max.messages": 100_000,
                "queue.buffering.max.kbytes": 32_768,
            },
        )

    def request(self, request: Request) -> None:
        """Send a request to the next partition."""
        partition, self._next = self._next, (self._next + 1) % REQUESTS.partitions
        self._flight.sent(partition, request.first_row, request.rows)

        def delivered(error: Any, message: Message) -> None:
            if self._accepted(error):
                self._flight.written(partition, Sent(message.offset() or 0, request.first_row, request.rows))

        self._produce(REQUESTS, partition, _Message(request.value, request.id), delivered)
        self.written_requests += 1

    def labels(self, labels: LabelRows) -> None:
        """Send labels, after all that were sent before."""
        message = _Message(write_labels(labels), self._model)
        self._produce(LABELS, self._label_partition, message, self._label_delivered)

    def mark_requests(self, kind: str, time_ms: int) -> None:
        """Say on every partition of `requests` how far the replay's time has come."""
        message = _Message(self._mark(kind, time_ms, REQUESTS.partitions), None, _MARKED)
        for partition in range(REQUESTS.partitions):
            self._produce(REQUESTS, partition, message, self._mark_delivered)

    def mark_labels(self, kind: str, time_ms: int) -> None:
        """Say on the model's partition of `labels` that all labels up to a time have been written."""
        message = _Message(self._mark(kind, time_ms, 1), self._model, _MARKED)
        self._produce(LABELS, self._label_partition, message, self._label_delivered)

    def poll(self, seconds: float = 0.0) -> None:
        """Take what Kafka says of what was sent.

        Raises
        ------
        StreamUnavailable
            where something could not be written in all the time there was.
        """
        self._producer.poll(seconds)
        if self._failure is not None:
            raise StreamUnavailable(f"the replay could not be written: {self._failure}")

    def flush(self, *, timeout_seconds: float = DELIVERY_SECONDS) -> None:
        """Wait until Kafka has all that was sent.

        Raises
        ------
        StreamUnavailable
            where it does not have it in time.
        """
        until = time.monotonic() + timeout_seconds
        while left := len(self._producer):
            self.poll(_WAIT_SECONDS)
            if time.monotonic() > until:
                raise StreamUnavailable(f"{left} messages were not acknowledged in {timeout_seconds:g} s")
        self.poll()

    def _mark(self, kind: str, time_ms: int, partitions: int) -> bytes:
        mark = {"kind": kind, "time_ms": time_ms, "model": self._model, "replay": self._replay}
        return msgspec.json.encode(msgspec.convert({**mark, "partitions": partitions}, TimeMark))

    def _produce(self, topic: Topic, partition: int, message: "_Message", told: _Delivered) -> None:
        while True:
            try:
                self._producer.produce(
                    self._prefix + topic.name,
                    value=message.value,
                    key=message.key,
                    partition=partition,
                    headers=message.headers,
                    on_delivery=told,
                )
            except BufferError:  # the producer's queue is full: let it drain
                self.poll(_WAIT_SECONDS)
            else:
                return

    def _accepted(self, error: Any) -> bool:
        if error is not None:
            self._failure = str(error)
        return error is None

    def _mark_delivered(self, error: Any, _message: Message) -> None:
        self._accepted(error)

    def _label_delivered(self, error: Any, message: Message) -> None:
        if self._accepted(error):
            self.labels_end = (message.offset() or 0) + 1
