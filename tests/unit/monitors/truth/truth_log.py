"""Observations and labels as they lie in the log, bundles, and a worker that steps on a store."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import numpy as np

from atalaia.alerts import AlertEvent
from atalaia.bundles.manifest import ContextColumn, Feature, Manifest, ModelFile, Task
from atalaia.bundles.reference import Answers, Reference, SelfTest
from atalaia.inference.rows import Rows
from atalaia.join.rows import ExpiredRows, RowKeys, RowValues
from atalaia.monitors.truth import TruthMonitor
from atalaia.monitors.units import Change, Publication, Record, Watched
from atalaia.records import (
    Array,
    Label,
    ModelObservation,
    MonitorChange,
    Observation,
    ObservedMark,
    Role,
    SourceRange,
    TimeMark,
)
from atalaia.results import Cut, FairnessResult, PerformanceResult
from atalaia.state.fence import Fence, Outcome, Step, Token, Unit
from atalaia.state.memory import MemoryServer, MemoryState
from atalaia.statistics.applicability import Applicability
from atalaia.topics import ALERTS, FAIRNESS, LABELS, OBSERVATIONS, PERFORMANCE, REQUESTS

SECOND = 1000
MINUTE = 60 * SECOND
UNIT = Unit("fairness", 0, "truth")
TABLES: dict[str, Any] = {
    "labels": {"horizon": "3m"},
    "performance": {"window": "1m", "lateness": "10s"},
    "fairness": {"window": "1m", "lateness": "10s"},
}
"""Windows of a minute, which wait ten seconds for rows; labels may come three minutes later."""


class Row(NamedTuple):
    """A row as it was asked and answered; one a request unless ``place`` says otherwise."""

    id: str
    time_ms: int
    predicted: int = 1
    score: float = 0.75
    sex: str | None = "F"
    version: str = "1"
    role: Role = "primary"
    abstained: bool = False
    expired: bool = False
    partition: int = 0
    probabilities: tuple[float, ...] | None = None


def manifest_of(
    *,
    classes: tuple[str, ...] = ("no", "yes"),
    tables: Mapping[str, Any] = TABLES,
    version: str = "1",
    **others: Any,
) -> Manifest:
    """Of a classifier, or without classes of a regressor."""
    task: Task = "classification" if classes else "regression"
    given: dict[str, Any] = {
        "name": "m",
        "version": version,
        "task": task,
        "model": ModelFile(inputs="tensor", probabilities="p", value="v"),
        "features": (Feature("x"),),
        "context": (ContextColumn("sex"),),
        "classes": classes,
        "positive_class": classes[-1] if len(classes) == 2 else None,
        "monitors": dict(tables),
    }
    return Manifest(**{**given, **others})


def reference_of(
    manifest: Manifest, *, rows: int = 400, accuracy: float = 0.9, labels: Any = None, seed: int = 0
) -> Reference:
    """Held-out rows of which a share is answered rightly, every other one of the last class."""
    rng = np.random.default_rng(seed)
    scores = np.where(np.arange(rows) % 2 == 1, 0.75, 0.25).astype(np.float32)
    predicted = None
    if manifest.classes:
        predicted = np.arange(rows) % len(manifest.classes)
        truth = np.where(
            np.arange(rows) < accuracy * rows, predicted, (predicted + 1) % len(manifest.classes)
        )
        truth = truth[rng.permutation(rows)] if labels is not None else truth
    else:
        scores = rng.normal(size=rows).astype(np.float32)
        truth = scores + rng.normal(size=rows)
    empty = Rows(numeric=np.zeros((0, 1)), strings={})
    return Reference(
        columns={},
        answers=Answers(scores, predicted, truth if labels is None else labels),
        distances=np.ones(rows),
        applicability=Applicability(
            features=["x"],
            mean=np.zeros(1),
            scale=np.ones(1),
            correlation=np.eye(1),
            cutoff=100.0,
        ),
        background=empty,
        self_test=SelfTest(empty, np.zeros(0, np.float32), np.zeros(0, np.float32)),
    )


@dataclass
class Bundles:
    """Versions by name; what is not there is a missing bundle."""

    known: dict[str, Watched]
    files: dict[str, bytes] = field(default_factory=dict)
    changed: list[MonitorChange] = field(default_factory=list)

    @classmethod
    def of(cls, *manifests: Manifest, **reference: Any) -> "Bundles":
        """With the references of `reference_of`."""
        return cls(
            {
                manifest.version: Watched(manifest, reference_of(manifest, **reference), manifest.version)
                for manifest in manifests
            }
        )

    def watched(self, model: str, version: str, digest: str) -> Watched | None:  # noqa: ARG002
        return self.known.get(version)

    def reference(self, change: MonitorChange) -> bytes | None:
        return None if change.reference is None else self.files.get(change.reference.location)

    def changes(self, model: str) -> Sequence[MonitorChange]:
        return [change for change in self.changed if change.model == model]


def section(rows: Sequence[Row], *, model: str = "m", regression: bool = False) -> ModelObservation:
    """The rows of one version and role, one a request; places of equal ids rise within a request."""
    ids = list(dict.fromkeys((row.id, row.partition) for row in rows))
    ordered = [row for key in ids for row in rows if (row.id, row.partition) == key]
    counts = [sum((row.id, row.partition) == key for row in rows) for key in ids]
    first = [next(row for row in rows if (row.id, row.partition) == key) for key in ids]
    sexes = sorted({row.sex for row in rows if row.sex is not None})
    probabilities = [row.probabilities for row in ordered]
    return ModelObservation(
        model=model,
        version=rows[0].version,
        role=rows[0].role,
        digest=rows[0].version,
        partition=Array.of(np.array([row.partition for row in first], np.int32)),
        offset=Array.of(np.arange(len(first), dtype=np.int64)),
        id=[row.id for row in first],
        rows=Array.of(np.array(counts, np.int32)),
        expired=Array.of(np.array([row.expired for row in first], np.bool_)),
        event_time_ms=Array.of(np.array([row.time_ms for row in ordered], np.int64)),
        features={"x": Array.of(np.zeros(len(rows), np.float32))},
        context={
            "sex": Array.of(
                np.array([-1 if row.sex is None else sexes.index(row.sex) for row in ordered], np.int32),
                categories=sexes,
            )
        },
        score=Array.of(np.array([row.score for row in ordered], np.float32)),
        applicability=Array.of(np.zeros(len(rows))),
        abstained=Array.of(np.array([row.abstained for row in ordered], np.bool_)),
        waited_ms=Array.of(np.zeros(0, np.int64)),
        waited_rows=Array.of(np.zeros(0, np.int32)),
        label=None if regression else Array.of(np.array([row.predicted for row in ordered], np.int32)),
        probabilities=None
        if None in probabilities
        else Array.of(np.array(probabilities, np.float32).reshape(len(rows), -1)),
    )


def seen(
    time_ms: int,
    *rows: Row,
    at_end: Sequence[int] = range(REQUESTS.partitions),
    marks: Sequence[TimeMark] = (),
    changes: Sequence[MonitorChange] = (),
    regression: bool = False,
    model: str = "m",
) -> Observation:
    """A message of that record time, of all partitions; marks lie on every partition."""
    ranges = [SourceRange(p, 0, 0, time_ms, p in at_end) for p in range(REQUESTS.partitions)]
    placed = [ObservedMark(p, 0, mark) for mark in marks for p in range(REQUESTS.partitions)]
    streams = list(dict.fromkeys((row.version, row.role) for row in rows))
    models = [
        section([row for row in rows if (row.version, row.role) == key], model=model, regression=regression)
        for key in streams
    ]
    return Observation("s", [] if changes else ranges, models, placed, list(changes))


def replayed(kind: str, time_ms: int, replay: str = "r") -> TimeMark:
    """A mark of a replay of the model."""
    parts = {
        "kind": kind,
        "time_ms": time_ms,
        "model": "m",
        "replay": replay,
        "partitions": REQUESTS.partitions,
    }
    return msgspec.convert(parts, TimeMark)


class Told(NamedTuple):
    """A message of `labels`: labels, written at a time, or a mark."""

    labels: tuple[Label, ...]
    written_ms: int = 0
    mark: TimeMark | None = None
    model: str = "m"


def clock(time_ms: int) -> Told:
    """The labels' time."""
    return Told((), mark=TimeMark("clock", time_ms))


def told(row: str, label: Any, time_ms: int, **others: Any) -> Told:
    """One label."""
    return Told((Label(row, label, **others),), time_ms)


def observations(messages: Sequence[Observation], *, start: int = 0) -> list[Record]:
    return [
        Record(OBSERVATIONS, start + place, 0, msgspec.json.encode(message))
        for place, message in enumerate(messages)
    ]


def labels(messages: Sequence[Told], *, start: int = 0) -> list[Record]:
    answer = []
    for place, message in enumerate(messages):
        if message.mark is not None:
            value, key = msgspec.json.encode(message.mark), message.mark.model
        else:
            value, key = msgspec.json.encode(list(message.labels)), message.model
        answer.append(Record(LABELS, start + place, message.written_ms, value, message.mark is not None, key))
    return answer


@dataclass
class Reader:
    """The rows of a unit as they are stored."""

    store: MemoryState
    incarnation: bytes

    def read_rows(self, keys: RowKeys) -> RowValues:
        return self.store.read_rows(UNIT, self.incarnation, keys)

    def read_expired(self, buckets: Sequence[int], by_ms: int) -> ExpiredRows:
        return self.store.read_expired(UNIT, self.incarnation, buckets, by_ms)


class Worker:
    """Steps on a store; may be killed, and goes on from what is stored."""

    def __init__(
        self, bundles: Bundles, *, positions: Mapping[str, int] | None = None, **options: Any
    ) -> None:
        self.bundles, self.options = bundles, options
        self.store = MemoryState(MemoryServer())
        self.published: list[Publication] = []
        self.token: Token | None = None
        self.ends = {OBSERVATIONS.name: 0, LABELS.name: 0, **(positions or {})}
        self.incarnation = self.store.load(UNIT).incarnation
        self.monitor = TruthMonitor(bundles, **options)
        self.monitor.begin(dict(self.ends))

    def restart(self) -> None:
        """A worker that knows only what is stored."""
        loaded = self.store.load(UNIT)
        self.monitor = TruthMonitor(self.bundles, **self.options)
        if loaded.token is None:
            self.monitor.begin(dict(self.ends))
        else:
            self.monitor.restore(loaded.metadata, loaded.panes)

    def take(self, *records: Record) -> Change:
        """One batch."""
        for record in records:
            self.ends[record.topic.name] = record.offset + 1
        cut = Cut(0, self.ends[OBSERVATIONS.name], self.ends[LABELS.name])
        change = self.monitor.take(records, cut, Reader(self.store, self.incarnation))
        step = Step(
            self.token,
            Fence(dict(self.ends), dict.fromkeys(self.ends, "t")),
            os.urandom(16),
            self.incarnation,
            metadata=change.metadata,
            writes=change.writes,
            deletes=change.deletes,
            rows=change.rows,
        )
        assert self.store.step(UNIT, step) is Outcome.APPLIED
        self.token = step.token
        self.published += change.publications
        return change

    def say(self, observed: Sequence[Observation] = (), truth: Sequence[Told] = ()) -> Change:
        """One batch of messages that follow those before."""
        return self.take(
            *observations(observed, start=self.ends[OBSERVATIONS.name]),
            *labels(truth, start=self.ends[LABELS.name]),
        )

    def performance(self) -> dict[str, PerformanceResult]:
        """The latest word on each window."""
        return {
            entry.subject: msgspec.json.decode(entry.value, type=PerformanceResult)
            for entry in self.published
            if entry.topic is PERFORMANCE
        }

    def fairness(self) -> dict[str, FairnessResult]:
        """The latest word on each window."""
        return {
            entry.subject: msgspec.json.decode(entry.value, type=FairnessResult)
            for entry in self.published
            if entry.topic is FAIRNESS
        }

    def contents(self) -> dict[tuple[str, str], str]:
        """The latest digest of each window."""
        return {
            (entry.topic.name, entry.subject): entry.content
            for entry in self.published
            if entry.topic in (PERFORMANCE, FAIRNESS)
        }

    def alerts(self) -> list[AlertEvent]:
        """All events, in order."""
        return [
            msgspec.json.decode(entry.value, type=AlertEvent)
            for entry in self.published
            if entry.topic is ALERTS
        ]
