"""Reading a topic that serves as a table, from its beginning."""

from collections.abc import Container, Iterator
from types import TracebackType
from typing import Self

from confluent_kafka import OFFSET_BEGINNING, KafkaException, Message, TopicPartition

from atalaia.errors import StreamUnavailable
from atalaia.settings import KafkaSettings
from atalaia.stream.clients import PARTITION_END, consumer
from atalaia.topics import Topic

Ends = dict[tuple[str, int], int]
"""End of each partition, by topic and number."""


class LogReader:
    """All messages of some topics from their beginning on, and word of when their ends were reached.

    Parameters
    ----------
    topics : read whole, without a group
    only : of them, these partitions alone; all where None
    timeout_seconds : how long Kafka may take to name the partitions
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        topics: tuple[Topic, ...],
        *,
        only: Container[int] | None = None,
        timeout_seconds: float = 10.0,
    ) -> None:
        self._consumer = consumer(kafka, **{"enable.partition.eof": True, "auto.offset.reset": "earliest"})
        names = [kafka.topic_prefix + topic.name for topic in topics]
        try:
            partitions = [
                TopicPartition(name, partition, OFFSET_BEGINNING)
                for name in names
                for partition in self._consumer.list_topics(name, timeout=timeout_seconds)
                .topics[name]
                .partitions
                if only is None or partition in only
            ]
        except KafkaException as error:
            self._consumer.close()
            raise StreamUnavailable(f"Kafka at {kafka.bootstrap_servers} does not answer: {error}") from error
        self._partitions = {(entry.topic, entry.partition) for entry in partitions}
        self.ends: Ends = {}
        self.positions: Ends = {}
        """Before which all of a partition has been read; known sooner than that it is the end."""
        if {name for name, _ in self._partitions} != set(names):
            self._consumer.close()
            raise StreamUnavailable(
                f"topics {', '.join(names)} are not all there; create them with `atalaia up`"
            )
        self._consumer.assign(partitions)

    @property
    def at_end(self) -> bool:
        """Whether the end of every partition has been reached once."""
        return self.ends.keys() == self._partitions

    def read(self, *, timeout_seconds: float) -> list[Message]:
        """What is there, the first message or end waited for; possibly nothing.

        `ends` then holds, of each partition, the last end that was reached, all before it having been read.
        """
        first = self._consumer.poll(timeout_seconds)
        messages = []
        for message in [] if first is None else [first, *self._consumer.consume(500, 0)]:
            error, offset = message.error(), message.offset() or 0
            place = message.topic() or "", message.partition() or 0
            if error is None:
                messages.append(message)
                self.positions[place] = offset + 1
            elif error.code() == PARTITION_END:
                self.ends[place] = self.positions[place] = offset
        return messages

    def read_to_end(self) -> Iterator[Message]:
        """Every message up to the ends as they are found."""
        while not self.at_end:
            yield from self.read(timeout_seconds=0.2)

    def close(self) -> None:
        """Leave Kafka."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
