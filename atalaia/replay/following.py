"""Following the log from where it ended when a replay began."""

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

import msgspec
from confluent_kafka import KafkaError, Message, TopicPartition

from atalaia.errors import StreamUnavailable
from atalaia.replay.flight import Flight, SeenModel, SeenObservation
from atalaia.settings import KafkaSettings
from atalaia.stream.clients import PARTITION_END, consumer
from atalaia.stream.partitioner import partition_of
from atalaia.stream.positions import bounds_of
from atalaia.topics import OBSERVATIONS, Topic

TIMEOUT_SECONDS = 15.0
_AT_ONCE = 50
_decoder = msgspec.json.Decoder(SeenObservation)
_HOPELESS = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)  # noqa: SLF001 - as they are named


def read_ends(kafka: KafkaSettings, topics: Sequence[Topic]) -> dict[str, int]:
    """Where the first partition of each topic ends now, by its name.

    Raises
    ------
    StreamUnavailable
        where Kafka does not answer.
    """
    client = consumer(kafka)
    try:
        return {
            topic.name: bounds_of(
                client, TopicPartition(kafka.topic_prefix + topic.name, 0), timeout_seconds=TIMEOUT_SECONDS
            )[1]
            for topic in topics
        }
    finally:
        client.close()


def read_since(kafka: KafkaSettings, starts: Mapping[str, int]) -> Iterator[tuple[str, Message]]:
    """Committed messages of the first partition of some topics, from positions by name to their ends."""
    client = consumer(kafka, **{"enable.partition.eof": True})
    prefix = kafka.topic_prefix
    client.assign([TopicPartition(prefix + name, 0, start) for name, start in starts.items()])
    at_end: set[str] = set()
    try:
        while len(at_end) < len(starts):
            for message in client.consume(500, 0.2):
                name = (message.topic() or "").removeprefix(prefix)
                error = message.error()
                if error is None:
                    yield name, message
                elif error.code() == PARTITION_END:
                    at_end.add(name)
                else:
                    _refuse_hopeless(error)
    finally:
        client.close()


class Follower:
    """Follows a model's partition of `observations` from its present end, across restarts of the broker.

    Parameters
    ----------
    flight : takes what was observed

    Raises
    ------
    StreamUnavailable
        where Kafka does not answer at first, or has lost what was to be read.
    """

    def __init__(self, kafka: KafkaSettings, flight: Flight) -> None:
        self._flight = flight
        self._consumer = consumer(kafka, **{"queued.max.messages.kbytes": 16_384})
        self.partition = partition_of(flight.model, OBSERVATIONS.partitions)
        place = TopicPartition(kafka.topic_prefix + OBSERVATIONS.name, self.partition)
        try:
            self.position = bounds_of(self._consumer, place, timeout_seconds=TIMEOUT_SECONDS)[1]
        except StreamUnavailable:
            self._consumer.close()
            raise
        self._consumer.assign([TopicPartition(place.topic, place.partition, self.position)])

    def follow(self, *, timeout_seconds: float = 0.0) -> list[SeenModel]:
        """Take what is there, the first message waited for; what was seen of the model's answers."""
        seen: list[SeenModel] = []
        for message in self._consumer.consume(_AT_ONCE, timeout_seconds):
            error = message.error()
            if error is not None:
                _refuse_hopeless(error)
                continue
            observation = _decoder.decode(message.value() or b"")
            self._flight.observe(observation)
            self.position = (message.offset() or 0) + 1
            seen += [entry for entry in observation.models if entry.model == self._flight.model]
        return seen

    def close(self) -> None:
        """Leave Kafka."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _refuse_hopeless(error: KafkaError) -> None:
    """A broker that is away comes back; a position that is gone does not."""
    if error.fatal() or error.code() in _HOPELESS:
        raise StreamUnavailable(f"the log cannot be followed any more: {error}")
