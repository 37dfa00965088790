"""How far readers are behind the ends of what they read, and since when the next message waits."""

import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import NamedTuple, Self

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from atalaia.errors import StreamUnavailable
from atalaia.settings import KafkaSettings
from atalaia.stream.clients import PARTITION_END, consumer
from atalaia.stream.positions import bounds_of
from atalaia.topics import Topic

_TIMEOUT_SECONDS = 5.0
_TAIL = 20
"""Positions before an end among which the last message is: a transaction leaves at most a few markers."""


class Waiting(NamedTuple):
    """One partition as a reader sees it: where it is, where it ends, and since when the next one waits.

    ``position`` is None of a reader that never took anything. ``lag`` is 0 where nothing but markers of
    transactions lies between.
    """

    partition: int
    position: int | None
    end: int
    lag: int
    oldest_ms: int | None


class Partitions:
    """Asks a broker about partitions.

    Raises
    ------
    StreamUnavailable
        where Kafka does not answer.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._client: Consumer = consumer(
            kafka, **{"enable.partition.eof": True, "group.id": f"{kafka.topic_prefix}scorer"}
        )

    def check(self) -> list[str]:
        """The brokers that answer, as host:port."""
        try:
            metadata = self._client.list_topics(timeout=_TIMEOUT_SECONDS)
        except KafkaException as error:
            raise StreamUnavailable(
                f"Kafka at {self._kafka.bootstrap_servers} does not answer: {error.args[0]}"
            ) from error
        return [f"{broker.host}:{broker.port}" for broker in metadata.brokers.values()]

    def committed(self, topic: Topic) -> dict[int, int | None]:
        """What the scorers' group has committed of each partition; None where nothing."""
        places = [TopicPartition(self._name(topic), partition) for partition in range(topic.partitions)]
        try:
            answer = self._client.committed(places, timeout=_TIMEOUT_SECONDS)
        except KafkaException as error:
            raise StreamUnavailable(f"the scorers' positions are not known: {error.args[0]}") from error
        return {place.partition: place.offset if place.offset >= 0 else None for place in answer}

    def waiting(self, topic: Topic, positions: Mapping[int, int | None]) -> list[Waiting]:
        """How far a reader at some positions is behind, of each of them."""
        answer = []
        for partition, position in sorted(positions.items()):
            start, end = self._bounds(topic, partition)
            reached = start if position is None else max(position, start)
            message = self._first(topic, partition, reached) if reached < end else None
            if message is None:
                answer.append(Waiting(partition, position, end, 0, None))
            else:
                answer.append(Waiting(partition, position, end, end - reached, message.timestamp()[1]))
        return answer

    def last(self, topic: Topic) -> dict[int, Message | None]:
        """The last message of each partition."""
        return {partition: self._last(topic, partition) for partition in range(topic.partitions)}

    def close(self) -> None:
        """Leave Kafka."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _name(self, topic: Topic) -> str:
        return self._kafka.topic_prefix + topic.name

    def _bounds(self, topic: Topic, partition: int) -> tuple[int, int]:
        place = TopicPartition(self._name(topic), partition)
        return bounds_of(self._client, place, timeout_seconds=_TIMEOUT_SECONDS)

    def _first(self, topic: Topic, partition: int, position: int) -> Message | None:
        return next(iter(self._read(topic, partition, position)), None)

    def _last(self, topic: Topic, partition: int) -> Message | None:
        start, end = self._bounds(topic, partition)
        found = None
        for message in self._read(topic, partition, max(start, end - _TAIL)):
            found = message
        return found

    def _read(self, topic: Topic, partition: int, position: int) -> Iterable[Message]:
        self._client.assign([TopicPartition(self._name(topic), partition, position)])
        until = time.monotonic() + _TIMEOUT_SECONDS
        while time.monotonic() < until:
            message = self._client.poll(0.2)
            error = None if message is None else message.error()
            if error is not None and error.code() == PARTITION_END:
                return
            if message is not None and error is None:
                yield message
