"""A log of observations by hand, and the bundles of the versions in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from atalaia.alerts import AlertEvent
from atalaia.bundles.manifest import ContextColumn, Feature, Manifest, ModelFile
from atalaia.bundles.reference import Answers, Distribution, Reference, SelfTest
from atalaia.inference.rows import Rows
from atalaia.join.rows import ExpiredRows, RowKeys, RowValues
from atalaia.monitors.drift.monitor import DriftMonitor
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
from atalaia.results import Cut, DriftResult
from atalaia.statistics.applicability import Applicability
from atalaia.topics import ALERTS, DEAD_LETTERS, DRIFT, OBSERVATIONS

FloatArray = npt.NDArray[np.float64]
CLASSES = ("no", "yes")
MINUTE, HOUR = 60_000, 3_600_000


@dataclass
class Bundles:
    """Bundles by (model, version), and references by digest."""

    watched_by: dict[tuple[str, str], Watched] = field(default_factory=dict)
    references: dict[str, bytes] = field(default_factory=dict)
    recorded: dict[str, list[MonitorChange]] = field(default_factory=dict)

    def watched(self, model: str, version: str, digest: str) -> Watched | None:
        found = self.watched_by.get((model, version))
        return found if found is not None and found.digest == digest else None

    def reference(self, change: MonitorChange) -> bytes | None:
        return None if change.reference is None else self.references.get(change.reference.digest)

    def changes(self, model: str) -> Sequence[MonitorChange]:
        return self.recorded.get(model, [])


class NoRows:
    """The join has no part in drift."""

    def read_rows(self, keys: RowKeys) -> RowValues:
        raise AssertionError(keys)

    def read_expired(self, buckets: Sequence[int], by_ms: int) -> ExpiredRows:
        raise AssertionError((buckets, by_ms))


def make_watched(
    *,
    model: str = "m",
    version: str = "1",
    rows: int = 2000,
    seed: int = 0,
    features: Mapping[str, FloatArray] | None = None,
    context: Sequence[ContextColumn] = (),
    drift: Mapping[str, Any] | None = None,
    trained_on: bool = False,
    abstained: float = 0.0,
) -> Watched:
    """A classifier of two classes on normal features ``a`` and ``b``, unless others are given."""
    random = np.random.default_rng(seed)
    if features is None:
        features = {name: random.normal(size=rows) for name in "ab"}
    columns = {name: Distribution.of_numbers(values, "FP32") for name, values in features.items()}
    distances = random.chisquare(2, rows)
    width = len(features)
    nothing = Rows(numeric=np.zeros((0, width)), strings={})
    scores = random.uniform(size=rows).astype(np.float32)
    reference = Reference(
        columns=columns,
        answers=Answers(scores=scores, predicted=(scores > 0.5).astype(np.int64)),
        distances=distances,
        applicability=Applicability(
            features=list(features),
            mean=np.zeros(width),
            scale=np.ones(width),
            correlation=np.eye(width),
            cutoff=float(np.quantile(distances, 1 - abstained)) if rows else 1.0,
        ),
        background=nothing,
        self_test=SelfTest(nothing, scores[:0], scores[:0]),
    )
    manifest = Manifest(
        name=model,
        version=version,
        task="classification",
        model=ModelFile(inputs="tensor"),
        features=tuple(Feature(name) for name in features),
        context=tuple(context),
        classes=CLASSES,
        reference_is_training=trained_on,
        monitors={"drift": dict(drift or {})},
    )
    return Watched(manifest, reference, f"sha256:{model}{version}{seed}")


def section(
    times_ms: Sequence[int] | npt.NDArray[np.int64],
    *,
    watched: Watched,
    role: Role = "primary",
    features: Mapping[str, FloatArray] | None = None,
    seed: int = 0,
    partition: Sequence[int] | int = 0,
    offset: int = 0,
    context: Mapping[str, Array] | None = None,
    shift: float = 0.0,
    abstained: npt.NDArray[np.bool_] | None = None,
    score: FloatArray | None = None,
) -> ModelObservation:
    """Rows of a version, one a request, like its reference unless told otherwise."""
    random = np.random.default_rng(seed)
    n = len(times_ms)
    manifest = watched.manifest
    if features is None:
        features = {one.name: random.normal(size=n) + shift for one in manifest.features}
    scores = (random.uniform(size=n) if score is None else score).astype(np.float32)
    return ModelObservation(
        model=manifest.name,
        version=manifest.version,
        role=role,
        digest=watched.digest,
        partition=Array.of(np.broadcast_to(np.asarray(partition, np.int32), n).copy()),
        offset=Array.of(np.arange(offset, offset + n, dtype=np.int64)),
        id=[f"{offset + place}" for place in range(n)],
        rows=Array.of(np.ones(n, np.int32)),
        expired=Array.of(np.zeros(n, np.bool_)),
        event_time_ms=Array.of(np.asarray(times_ms, np.int64)),
        features={name: Array.of(np.asarray(values).astype(np.float32)) for name, values in features.items()},
        context=dict(context or {}),
        score=Array.of(scores),
        applicability=Array.of(random.chisquare(2, n).astype(np.float32)),
        abstained=Array.of(np.zeros(n, np.bool_) if abstained is None else abstained),
        label=Array.of((scores > 0.5).astype(np.int32)),
        classes=list(CLASSES),
    )


def message(
    *sections: ModelObservation,
    record_ms: int = 10**12,
    at_end: Mapping[int, int] | None = None,
    marks: Sequence[TimeMark] = (),
    partitions: int = 4,
) -> Observation:
    """A message over all source partitions; ``at_end`` are times at which some have nothing more."""
    ranges = [
        SourceRange(p, 0, 0, (at_end or {}).get(p, record_ms), p in (at_end or {})) for p in range(partitions)
    ]
    placed = [ObservedMark(p, 0, mark) for mark in marks for p in range(partitions)]
    return Observation(scorer="s", ranges=ranges, models=list(sections), marks=placed)


def reach(time_ms: int, **more: Any) -> Observation:
    """Nothing lies beyond this time in any partition."""
    return message(at_end=dict.fromkeys(range(4), time_ms), **more)


def changed(model: str, drift: Mapping[str, Any], **more: Any) -> Observation:
    """An operator's change of how a model is watched."""
    change = MonitorChange(model, {"drift": dict(drift)}, "2026-01-01T00:00:00Z", **more)
    return Observation(scorer="", ranges=[], models=[], changes=[change])


class Reader:
    """A drift monitor that takes messages, and what it has published."""

    def __init__(self, bundles: Bundles | Watched) -> None:
        if isinstance(bundles, Watched):
            manifest = bundles.manifest
            bundles = Bundles({(manifest.name, manifest.version): bundles})
        self.bundles = bundles
        self.monitor = DriftMonitor(bundles)
        self.position = 0
        self.metadata = b""
        self.panes: dict[bytes, bytes] = {}
        self.results: list[DriftResult] = []
        self.events: list[AlertEvent] = []
        self.letters: list[dict[str, str]] = []
        self.last: Change | None = None

    def take(self, *messages: Observation | bytes) -> list[DriftResult]:
        """A batch; the results it published."""
        records = []
        for one in messages:
            value = one if isinstance(one, bytes) else msgspec.json.encode(one)
            records.append(Record(OBSERVATIONS, self.position, 0, value))
            self.position += 1
        change = self.monitor.take(records, Cut(0, self.position), NoRows())
        self.last = change
        self.metadata = change.metadata
        for name in change.deletes:
            self.panes.pop(name, None)
        self.panes.update(change.writes)
        told = []
        for publication in change.publications:
            if publication.topic is DRIFT:
                told.append(msgspec.json.decode(publication.value, type=DriftResult))
            elif publication.topic is ALERTS:
                self.events.append(msgspec.json.decode(publication.value, type=AlertEvent))
            elif publication.topic is DEAD_LETTERS:
                self.letters.append({name: value.decode() for name, value in publication.headers})
        self.results += told
        return told

    def restart(self) -> None:
        """Lose the process; go on from what was stored."""
        self.monitor = DriftMonitor(self.bundles)
        self.monitor.restore(self.metadata, dict(self.panes))

    def latest(self) -> dict[tuple[str, str, str, str, str], DriftResult]:
        """The last word on every window."""
        return {
            (one.model, one.version, one.role, one.window.start, one.window.end): one for one in self.results
        }
