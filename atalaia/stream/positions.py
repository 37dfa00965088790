"""Where partitions begin and end, asked of the broker with patience."""

import time

from confluent_kafka import Consumer, KafkaException, TopicPartition

from atalaia.errors import StreamUnavailable

_PAUSE_SECONDS = 0.2


def bounds_of(client: Consumer, partition: TopicPartition, *, timeout_seconds: float) -> tuple[int, int]:
    """First position and end of a partition.

    A topic that was just created, or a broker that was just started, has no leader for a moment: asked
    again until the time is up.

    Raises
    ------
    StreamUnavailable
        saying what the broker said last.
    """
    until = time.monotonic() + timeout_seconds
    while True:
        left = max(0.1, until - time.monotonic())
        try:
            low, high = client.get_watermark_offsets(partition, timeout=left)
        except KafkaException as error:
            if time.monotonic() > until:
                raise StreamUnavailable(
                    f"{partition.topic} partition {partition.partition} cannot be read: {error.args[0]}"
                ) from error
            time.sleep(_PAUSE_SECONDS)
        else:
            return low, high
