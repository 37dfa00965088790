"""Observations of traffic as a scorer writes them, and the monitor that reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
import numpy as np

from atalaia.alerts import AlertEvent
from atalaia.bundles.manifest import Feature, Manifest, ModelFile
from atalaia.bundles.reference import Reference
from atalaia.join.rows import ExpiredRows, RowKeys, RowValues
from atalaia.monitors.traffic import TrafficMonitor
from atalaia.monitors.units import Change, Record, Watched
from atalaia.records import (
    Array,
    ModelObservation,
    MonitorChange,
    Observation,
    ObservedMark,
    Role,
    SourceRange,
    TimeMark,
)
from atalaia.results import Cut
from atalaia.topics import OBSERVATIONS, REQUESTS

MINUTE = 60_000
HOUR = 60 * MINUTE
_NO_REFERENCE = object()
"""The monitor of traffic reads nothing of it."""


class NoRows:
    """Traffic has no join."""

    def read_rows(self, keys: RowKeys) -> RowValues:  # noqa: ARG002
        raise AssertionError("traffic asks for no rows")

    def read_expired(self, buckets: Sequence[int], by_ms: int) -> ExpiredRows:  # noqa: ARG002
        raise AssertionError("traffic asks for no rows")


@dataclass
class Bundles:
    """Versions with the tables of their bundles; what is not there is a missing bundle."""

    tables: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    changed: list[MonitorChange] = field(default_factory=list)

    def watched(self, model: str, version: str, digest: str) -> Watched | None:
        if (model, version) not in self.tables:
            return None
        manifest = Manifest(
            name=model,
            version=version,
            task="regression",
            model=ModelFile(inputs="tensor", value="value"),
            features=(Feature("a"),),
            monitors=self.tables[model, version],
        )
        return Watched(manifest, cast("Reference", _NO_REFERENCE), digest)

    def reference(self, change: MonitorChange) -> bytes | None:  # noqa: ARG002
        raise AssertionError("traffic has no reference")

    def changes(self, model: str) -> Sequence[MonitorChange]:
        return [change for change in self.changed if change.model == model]


def rows(
    times_ms: Sequence[int],
    *,
    abstained: int = 0,
    model: str = "m",
    version: str = "1",
    role: Role = "primary",
    partition: int = 0,
    waited: Sequence[tuple[int, int]] = (),
) -> ModelObservation:
    """One row a request, the first ``abstained`` refused; ``waited`` are batches of (ms, rows)."""
    n = len(times_ms)
    return ModelObservation(
        model=model,
        version=version,
        role=role,
        digest="d",
        partition=Array.of(np.full(n, partition, np.int32)),
        offset=Array.of(np.arange(n)),
        id=[str(place) for place in range(n)],
        rows=Array.of(np.ones(n, np.int32)),
        expired=Array.of(np.zeros(n, np.bool_)),
        event_time_ms=Array.of(np.array(times_ms, np.int64)),
        features={"a": Array.of(np.zeros(n, np.float32))},
        context={},
        score=Array.of(np.zeros(n)),
        applicability=Array.of(np.zeros(n)),
        abstained=Array.of(np.arange(n) < abstained),
        waited_ms=Array.of(np.array([ms for ms, _ in waited], np.int64)),
        waited_rows=Array.of(np.array([count for _, count in waited], np.int32)),
    )


def seen(
    time_ms: int,
    *models: ModelObservation,
    at_end: Sequence[int] = range(REQUESTS.partitions),
    marks: Sequence[TimeMark] = (),
    changes: Sequence[MonitorChange] = (),
) -> Observation:
    """A message of that record time, of all partitions; marks lie on every partition."""
    ranges = [SourceRange(p, 0, 0, time_ms, p in at_end) for p in range(REQUESTS.partitions)]
    placed = [ObservedMark(p, 0, mark) for mark in marks for p in range(REQUESTS.partitions)]
    return Observation("s", [] if changes else ranges, list(models), placed, list(changes))


def replay(kind: str, time_ms: int, name: str = "r", model: str = "m") -> TimeMark:
    return msgspec.convert(
        {
            "kind": kind,
            "time_ms": time_ms,
            "model": model,
            "replay": name,
            "partitions": REQUESTS.partitions,
        },
        TimeMark,
    )


def records(messages: Sequence[Observation], *, start: int = 0) -> list[Record]:
    return [
        Record(OBSERVATIONS, start + place, 0, msgspec.json.encode(message))
        for place, message in enumerate(messages)
    ]


def started(
    tables: Mapping[str, Any] | None = None, *, bundles: Bundles | None = None, position: int = 0
) -> TrafficMonitor:
    known = bundles or Bundles({("m", "1"): dict(tables or {})})
    monitor = TrafficMonitor(known)
    monitor.begin({OBSERVATIONS.name: position})
    return monitor


def take(monitor: TrafficMonitor, batch: Sequence[Record]) -> Change:
    return monitor.take(batch, Cut(0, batch[-1].offset + 1), NoRows())


def told(monitor: TrafficMonitor, *messages: Observation) -> list[AlertEvent]:
    """The events of messages, one a batch."""
    events = []
    for record in records(messages):
        events += events_of(take(monitor, [record]))
    return events


def events_of(change: Change) -> list[AlertEvent]:
    return [msgspec.json.decode(said.value, type=AlertEvent) for said in change.publications]
