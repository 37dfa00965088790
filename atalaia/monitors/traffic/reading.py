"""Observations as far as traffic goes: the columns of the features are passed over unread."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np

from atalaia.records import Array, MonitorChange, Observation, ObservedMark, Role, SourceRange
from atalaia.windows.watermark import BoolArray, IntArray


class Seen(msgspec.Struct, frozen=True):
    """What one version of a model was asked, as `atalaia.records.ModelObservation` has it."""

    model: str
    version: str
    role: Role
    digest: str
    partition: Array
    rows: Array
    event_time_ms: Array
    abstained: Array
    waited_ms: Array | None = None
    waited_rows: Array | None = None


class Passing(msgspec.Struct, frozen=True):
    """An observation without what was in its rows."""

    ranges: list[SourceRange]
    models: list[Seen]
    marks: list[ObservedMark] = []
    changes: list[MonitorChange] = []

    @property
    def recorded_ms(self) -> int | None:
        """When it was recorded, as its scorer told the time."""
        return max((entry.time_ms for entry in self.ranges), default=None)

    def times(self) -> Observation:
        """What a clock reads of it."""
        return Observation("", self.ranges, [], self.marks, self.changes)


class Rows(NamedTuple):
    """Rows ``(n,)``: event time, source partition, and whether the model refused them."""

    times_ms: IntArray
    partitions: IntArray
    abstained: BoolArray


class Waits(NamedTuple):
    """Batches ``(n,)``: how long the oldest request had waited, and how many rows were in it."""

    waited_ms: IntArray
    rows: IntArray


_DECODER = msgspec.json.Decoder(Passing)


def read(value: bytes | None) -> Passing | None:
    """An observation, None where the bytes are none."""
    try:
        return _DECODER.decode(value or b"")
    except msgspec.DecodeError:
        return None


def rows_of(seen: Seen) -> Rows:
    """Its rows."""
    partitions = np.repeat(seen.partition.numpy().astype(np.int64), seen.rows.numpy())
    return Rows(seen.event_time_ms.numpy(), partitions, seen.abstained.numpy())


def waits_of(seen: Seen) -> Waits | None:
    """Its batches, None where it does not tell of them."""
    if seen.waited_ms is None or seen.waited_rows is None:
        return None
    return Waits(seen.waited_ms.numpy().astype(np.int64), seen.waited_rows.numpy().astype(np.int64))


def latest_by_partition(rows: Iterator[Rows]) -> dict[int, int]:
    """The latest event time of each source partition."""
    latest: dict[int, int] = {}
    for entry in rows:
        for partition in np.unique(entry.partitions).tolist():
            time_ms = int(entry.times_ms[entry.partitions == partition].max())
            latest[partition] = max(time_ms, latest.get(partition, time_ms))
    return latest
