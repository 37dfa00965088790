"""Observations and labels as scorers and gateways write them, in small, and what was written in truth."""

from collections import Counter

import msgspec
from confluent_kafka import OFFSET_END, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from atalaia.records import Label, Observation, SourceRange
from atalaia.settings import KafkaSettings
from atalaia.stream.clients import connection, producer
from atalaia.topics import LABELS, OBSERVATIONS, Topic

PARTITIONS = OBSERVATIONS.partitions


class Feed:
    """Writes transactions, some of which are aborted, and remembers what was committed."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._observations = kafka.topic_prefix + OBSERVATIONS.name
        self._labels = kafka.topic_prefix + LABELS.name
        self._producer = producer(
            kafka, **{"transactional.id": f"{kafka.topic_prefix}feed", "transaction.timeout.ms": 5_000}
        )
        self._plain: Producer = producer(kafka)
        self._producer.init_transactions(15)
        self._ends = [0] * PARTITIONS
        self.rows: list[Counter[str]] = [Counter() for _ in range(PARTITIONS)]
        self.labels = [0] * PARTITIONS

    def write(self, scorer: str, rows: int) -> None:
        """One committed transaction: a message for each partition, and a label."""
        self._producer.begin_transaction()
        for partition in range(PARTITIONS):
            start = self._ends[partition]
            self._observe(partition, scorer, start, start + rows)
            self._ends[partition] = start + rows
            self.rows[partition][scorer] += rows
        self._producer.commit_transaction(15)
        for partition in range(PARTITIONS):
            self._plain.produce(self._labels, msgspec.json.encode(Label("a", 1)), b"m", partition=partition)
            self.labels[partition] += 1
        self._plain.poll(0)

    def abort(self, rows: int) -> None:
        """One transaction that never was."""
        self._producer.begin_transaction()
        for partition in range(PARTITIONS):
            start = self._ends[partition]
            self._observe(partition, "aborted", start, start + rows)
        self._producer.flush(15)
        self._producer.abort_transaction(15)

    def expire(self, topic: Topic) -> None:
        """Delete all that a topic holds, as its retention would."""
        client = AdminClient(connection(self._kafka))
        name = self._kafka.topic_prefix + topic.name
        places = [TopicPartition(name, partition, OFFSET_END) for partition in range(PARTITIONS)]
        for future in client.delete_records(places).values():
            future.result(15)

    def finish(self) -> None:
        """Wait for the labels."""
        assert self._plain.flush(15) == 0

    def _observe(self, partition: int, scorer: str, start: int, end: int) -> None:
        value = Observation(scorer, [SourceRange(0, start, end, 0)], [])
        self._producer.produce(self._observations, msgspec.json.encode(value), partition=partition)
