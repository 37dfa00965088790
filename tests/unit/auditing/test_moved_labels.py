"""A label that was sent on to its model's partition counts from when it was accepted at first."""

from unittest.mock import Mock

import msgspec
import pytest

from atalaia.auditing.labels import LabelLog
from atalaia.auditing.reading import _take_label
from atalaia.records import Label
from atalaia.stream.headers import ACCEPTED
from atalaia.stream.partitioner import partition_of
from atalaia.topics import LABELS


@pytest.mark.parametrize(("headers", "since_ms"), [([], 900), ([(ACCEPTED, b"500")], 500)])
def test_a_moved_label_keeps_its_time(headers: list[tuple[str, bytes]], since_ms: int) -> None:
    log, partition = LabelLog(), partition_of("m", LABELS.partitions)
    message = Mock(
        value=lambda: msgspec.json.encode(Label("a", 1)), key=lambda: b"m", headers=lambda: headers
    )
    _take_label(log, message, partition, 7, 900)
    (known,) = log.of("m", "a", 0)
    assert (known.time_ms, known.position) == (since_ms, 7)
