"""The input topics, asked through librdkafka: another client than the one that delivers the records."""

import time
from collections.abc import Generator
from contextlib import closing
from itertools import takewhile

from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from atalaia.errors import StreamUnavailable
from atalaia.settings import KafkaSettings
from atalaia.stream.clients import PARTITION_END, connection, consumer
from atalaia.stream.positions import bounds_of
from atalaia.topics import Topic

_AT_ONCE = 500


class KafkaLog:
    """A `Log` of one thread.

    Raises
    ------
    StreamUnavailable
        by every method, where Kafka does not answer in time.
    """

    def __init__(self, kafka: KafkaSettings, *, timeout_seconds: float = 5.0) -> None:
        self._prefix = kafka.topic_prefix
        self._timeout_seconds = timeout_seconds
        self._admin = AdminClient(connection(kafka))
        self._consumer = consumer(kafka, **{"enable.partition.eof": True})

    def topic_ids(self, topics: tuple[Topic, ...]) -> dict[str, str]:
        """Kafka's own id of each topic, by name."""
        names = {self._prefix + topic.name: topic.name for topic in topics}
        try:
            futures = self._admin.describe_topics(
                TopicCollection(list(names)), request_timeout=self._timeout_seconds
            )
            return {
                names[name]: str(future.result(self._timeout_seconds).topic_id)
                for name, future in futures.items()
            }
        except (KafkaException, TimeoutError) as error:
            raise StreamUnavailable(f"the topics {', '.join(names)} cannot be described: {error}") from error

    def bounds(self, topic: Topic, partition: int) -> tuple[int, int]:
        """First position and end of a partition."""
        place = TopicPartition(self._prefix + topic.name, partition)
        return bounds_of(self._consumer, place, timeout_seconds=self._timeout_seconds)

    def offsets(self, topic: Topic, partition: int, start: int, end: int) -> list[int]:
        """Where the committed records of positions [start, end) lie."""
        with closing(self._read(topic, partition, start)) as offsets:
            return list(takewhile(lambda offset: offset < end, offsets))

    def next_offset(self, topic: Topic, partition: int, position: int) -> int | None:
        """Where the first committed record at or after a position lies; None where there is none."""
        with closing(self._read(topic, partition, position)) as offsets:
            return next(offsets, None)

    def _read(self, topic: Topic, partition: int, position: int) -> Generator[int, None, None]:
        """Offsets of committed records from a position to the end as it is found."""
        name = self._prefix + topic.name
        until = time.monotonic() + self._timeout_seconds
        self._consumer.assign([TopicPartition(name, partition, position)])
        try:
            while time.monotonic() < until:
                for message in self._consumer.consume(_AT_ONCE, 0.2):
                    error = message.error()
                    if error is None:
                        yield message.offset() or 0
                    elif error.code() == PARTITION_END:
                        return
        finally:
            self._consumer.unassign()
        raise StreamUnavailable(f"{name} partition {partition} could not be read from {position}")

    def close(self) -> None:
        """Leave Kafka."""
        self._consumer.close()
