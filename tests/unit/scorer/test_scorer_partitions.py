from typing import cast

import pytest
from confluent_kafka import OFFSET_INVALID, Consumer, TopicPartition

from services.scorer.partitions import Start, find_starts
from tests.unit.scorer.polls import TOPIC


class Log:
    """A consumer that knows where one partition begins, ends, and was committed."""

    def __init__(self, low: int, high: int, committed: int) -> None:
        self._ends = low, high
        self._committed = committed

    def committed(self, assigned: list[TopicPartition], _seconds: float) -> list[TopicPartition]:
        return [TopicPartition(TOPIC, entry.partition, self._committed) for entry in assigned]

    def get_watermark_offsets(self, _entry: TopicPartition, timeout: float) -> tuple[int, int]:
        assert timeout > 0
        return self._ends


@pytest.mark.parametrize(
    ("low", "high", "committed", "position", "lost_from"),
    [
        (0, 0, OFFSET_INVALID, 0, None),
        (7, 20, OFFSET_INVALID, 7, None),
        (0, 20, 5, 5, None),
        (7, 20, 7, 7, None),
        (7, 20, 20, 20, None),
        (7, 20, 3, 7, 3),
        (0, 4, 9, 0, None),
    ],
    ids=["new", "new, deleted before", "goes on", "at its start", "at its end", "lost", "another topic"],
)
def test_a_partition_begins_where_it_was_committed_and_never_jumps_silently(
    low: int, high: int, committed: int, position: int, lost_from: int | None
) -> None:
    log = cast("Consumer", Log(low, high, committed))
    assert find_starts(log, [TopicPartition(TOPIC, 2)]) == [Start(2, position, lost_from)]
