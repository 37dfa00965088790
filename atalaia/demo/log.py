"""Kafka as the demo sees it: requests written, predictions watched as they come, everything read back."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import NamedTuple, Self

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from atalaia.errors import StreamUnavailable
from atalaia.inference.protocol import decode_response
from atalaia.inference.responses import abstained_rows
from atalaia.settings import KafkaSettings
from atalaia.stream.clients import PARTITION_END, connection, consumer, producer
from atalaia.stream.deadletters import Headers
from atalaia.topics import PREDICTIONS, REQUESTS, TOPICS, Topic

_TIMEOUT_SECONDS = 15.0
Positions = dict[int, int]


class Arrival(NamedTuple):
    """A committed prediction: where it lay, when it was made, when it could be read; seconds since 1970."""

    partition: int
    made_at: float
    seen_at: float
    value: bytes


def end_positions(kafka: KafkaSettings, topic: Topic) -> Positions:
    """Where each partition ends now, transactions under way not counted.

    Raises
    ------
    StreamUnavailable
    """
    name = kafka.topic_prefix + topic.name
    client = consumer(kafka)
    try:
        return {
            partition: client.get_watermark_offsets(TopicPartition(name, partition), _TIMEOUT_SECONDS)[1]
            for partition in range(topic.partitions)
        }
    except KafkaException as error:
        raise StreamUnavailable(f"Kafka at {kafka.bootstrap_servers} does not answer: {error}") from error
    finally:
        client.close()


def read_from(kafka: KafkaSettings, topic: Topic, starts: Positions) -> list[Message]:
    """Every committed message from ``starts`` to the ends as they are found.

    Raises
    ------
    StreamUnavailable
    """
    messages: list[Message] = []
    behind = set(starts)
    until = time.monotonic() + 2 * _TIMEOUT_SECONDS
    with contextlib.closing(_assigned(kafka, topic, starts)) as client:
        while behind:
            if time.monotonic() > until:
                raise StreamUnavailable(f"{topic.name} could not be read to its end")
            for message in client.consume(1_000, 0.2):
                error = message.error()
                if error is None:
                    messages.append(message)
                elif error.code() == PARTITION_END:
                    behind.discard(message.partition() or 0)
    return messages


def delete_topics(kafka: KafkaSettings) -> None:
    """Delete all topics with this prefix, as far as Kafka lets us."""
    client = AdminClient(connection(kafka))
    for future in client.delete_topics([kafka.topic_prefix + topic.name for topic in TOPICS]).values():
        with contextlib.suppress(KafkaException):
            future.result(_TIMEOUT_SECONDS)


class Writer:
    """Writes straight to `requests`, as any producer may; remembers when Kafka acknowledged each key."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self.acknowledged_at: dict[str, float] = {}
        self.refused: list[str] = []
        self._topic = kafka.topic_prefix + REQUESTS.name
        self._producer: Producer = producer(kafka, **{"linger.ms": 5})

    def write(
        self, messages: Iterable[tuple[str, bytes]], *, model: str | None = None, seconds: float = 0.0
    ) -> None:
        """Write keys and values, spread over so many seconds, and wait until Kafka has them."""
        waiting = list(messages)
        began = time.monotonic()
        headers: Headers | None = None if model is None else [("model", model.encode())]
        for place, (key, value) in enumerate(waiting):
            due = began + seconds * place / len(waiting)
            while (early := due - time.monotonic()) > 0:
                self._producer.poll(min(early, 0.05))
            self._producer.produce(
                self._topic, key=key or None, value=value, headers=headers, on_delivery=self._noted(key)
            )
            self._producer.poll(0)
        self._producer.flush(_TIMEOUT_SECONDS)

    def _noted(self, key: str) -> Callable[[object, object], None]:
        def note(error: object, _message: object) -> None:
            if error is None:
                self.acknowledged_at[key] = time.time()
            else:
                self.refused.append(f"{key}: {error}")

        return note


class Watcher:
    """Follows `predictions`, reading committed, in a thread of its own; `arrivals` are by key.

    Parameters
    ----------
    starts : positions from which it follows
    """

    def __init__(self, kafka: KafkaSettings, starts: Positions) -> None:
        self.arrivals: dict[str, Arrival] = {}
        self.count = 0
        self._client = _assigned(kafka, PREDICTIONS, starts)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="watcher", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()

    def wait_for(
        self, keys: Iterable[str], *, timeout_seconds: float, on_progress: Callable[[int], None]
    ) -> None:
        """Wait until all keys have arrived, or the time is over; told how many have."""
        left = set(keys)
        total = len(left)
        until = time.monotonic() + timeout_seconds
        while left and time.monotonic() < until:
            time.sleep(0.01)
            left -= self.arrivals.keys()
            on_progress(total - len(left))

    def wait_for_count(self, count: int, *, timeout_seconds: float) -> None:
        """Wait until as many predictions have come, or the time is over."""
        until = time.monotonic() + timeout_seconds
        while self.count < count and time.monotonic() < until:
            time.sleep(0.02)

    def abstained(self, keys: Iterable[str]) -> int:
        """How many of these requests the model abstained on, whole or in part."""
        arrivals = [self.arrivals[key] for key in keys if key in self.arrivals]
        return sum(any(abstained_rows(decode_response(arrival.value))) for arrival in arrivals)

    def first_made_after(self, moment: float) -> dict[int, float]:
        """By partition, when the first prediction made after ``moment`` could be read."""
        firsts: dict[int, float] = {}
        for arrival in list(self.arrivals.values()):
            if arrival.made_at > moment:
                earlier = firsts.get(arrival.partition, arrival.seen_at)
                firsts[arrival.partition] = min(earlier, arrival.seen_at)
        return firsts

    def _follow(self) -> None:
        while not self._stop.is_set():
            messages = self._client.consume(500, 0.05)
            now = time.time()
            for message in messages:
                if message.error() is None:
                    key = (message.key() or b"").decode("utf-8", "replace")
                    self.arrivals.setdefault(key, _arrival(message, now))
                    self.count += 1


def _arrival(message: Message, seen_at: float) -> Arrival:
    made_at = message.timestamp()[1] / 1000
    return Arrival(message.partition() or 0, made_at, seen_at, message.value() or b"")


def _assigned(kafka: KafkaSettings, topic: Topic, starts: Positions) -> Consumer:
    client = consumer(kafka, **{"enable.partition.eof": True, "fetch.wait.max.ms": 50})
    name = kafka.topic_prefix + topic.name
    client.assign([TopicPartition(name, partition, position) for partition, position in starts.items()])
    return client
