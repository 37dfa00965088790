"""Outboxes published by an idempotent producer."""

from collections import defaultdict
from collections.abc import Sequence

import structlog
from confluent_kafka import KafkaError, Message

from atalaia.settings import KafkaSettings
from atalaia.state.fence import OutboxEntry, Unit
from atalaia.stream.clients import producer
from atalaia.worker.errors import NotPublished
from atalaia.worker.outgoing import Outgoing

MOST_MESSAGES = 5_000
MOST_BYTES = 33_554_432

_log = structlog.get_logger()


class KafkaPublisher:
    """A `Publisher` of one thread.

    Its order holds per partition also across retries, so the last message of a subject is the latest said.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._prefix = kafka.topic_prefix
        self._producer = producer(kafka, **{"linger.ms": 2})
        self._flying: dict[tuple[Unit, bytes], int] = {}
        self._bytes = 0
        self._arrived: dict[Unit, list[bytes]] = defaultdict(list)
        self._failure: str | None = None

    @property
    def pending(self) -> int:
        """Messages Kafka has not acknowledged."""
        return len(self._flying)

    @property
    def full(self) -> bool:
        """Whether so much is on its way that nothing should be added."""
        return len(self._flying) >= MOST_MESSAGES or self._bytes >= MOST_BYTES

    def publish(self, unit: Unit, entries: Sequence[OutboxEntry]) -> None:
        """Send in this order; what is on its way already is not sent again."""
        for entry in entries:
            place = unit, entry.id
            if place in self._flying:
                continue
            self._flying[place] = len(entry.payload)
            self._bytes += len(entry.payload)
            self._send(place, Outgoing.of(entry))

    def collect(self) -> dict[Unit, list[bytes]]:
        """Ids of what Kafka has acknowledged since this was last asked."""
        self._producer.poll(0)
        if self._failure is not None:
            raise NotPublished(self._failure)
        arrived, self._arrived = self._arrived, defaultdict(list)
        return arrived

    def flush(self, timeout_seconds: float) -> None:
        """Wait for what is on its way."""
        self._producer.flush(timeout_seconds)

    def _send(self, place: tuple[Unit, bytes], message: Outgoing) -> None:
        def delivered(error: KafkaError | None, _message: Message) -> None:
            self._bytes -= self._flying.pop(place)
            if error is None:
                self._arrived[place[0]].append(place[1])
            elif self._failure is None:
                self._failure = f"{message.topic}: {error.str()}"

        while True:
            try:
                self._producer.produce(
                    self._prefix + message.topic,
                    key=message.key or None,
                    value=message.value,
                    headers=list(message.headers),
                    on_delivery=delivered,
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                return
