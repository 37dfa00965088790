"""The partitions of `requests` this scorer owns: where they begin, and what retention took before."""

from dataclasses import dataclass

import structlog
from confluent_kafka import Consumer, TopicPartition

from atalaia.stream.positions import bounds_of

_log = structlog.get_logger()
_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin in one partition; ``lost_from`` is set where retention was faster than we."""

    partition: int
    position: int
    lost_from: int | None = None


def find_starts(consumer: Consumer, assigned: list[TopicPartition]) -> list[Start]:
    """The committed position of each partition, its beginning where there is none.

    A position below the log's start means that requests were deleted unanswered: said, never skipped
    silently. One beyond its end means that the topic is another one than before: begun from its start.
    """
    starts = []
    for entry in consumer.committed(assigned, _TIMEOUT_SECONDS):
        low, high = bounds_of(consumer, entry, timeout_seconds=_TIMEOUT_SECONDS)
        position, lost_from = entry.offset, None
        if position < 0:
            position = low
        elif position < low:
            _log.error("requests lost by retention", partition=entry.partition, start=position, end=low)
            position, lost_from = low, position
        elif position > high:
            _log.error("topic is not the one before", partition=entry.partition, committed=position, end=high)
            position = low
        starts.append(Start(entry.partition, position, lost_from))
    return starts
