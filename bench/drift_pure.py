"""The drift monitor alone: observations as bytes in, absolute state and results as bytes out.

No Kafka and no Redis; one process, by its CPU time. ``python -m bench.drift_pure`` prints rows a CPU second
for 11 features, score, class, applicability and abstention, single-row requests, in batches of several
sizes; ``--profile`` where the time goes. Event time advances by a window every 100,000 rows, so the tests of
a window are in the figures.
"""

import argparse
import cProfile
import pstats
import sys
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from atalaia.bundles.manifest import Feature, Manifest, ModelFile
from atalaia.bundles.reference import Answers, Distribution, Reference, SelfTest
from atalaia.inference.rows import Rows
from atalaia.join.rows import ExpiredRows, RowKeys, RowValues
from atalaia.monitors.drift.monitor import DriftMonitor
from atalaia.monitors.units import Record, Watched
from atalaia.records import Array, ModelObservation, MonitorChange, Observation, SourceRange
from atalaia.results import Cut
from atalaia.statistics.applicability import Applicability
from atalaia.topics import OBSERVATIONS, REQUESTS

FEATURES = 11
REFERENCE_ROWS = 5_000
WINDOW_ROWS = 100_000
ROWS = 1_000_000
_HOUR_MS = 3_600_000


class OneModel:
    """A bundle of 11 features with 5,000 reference rows, no two values of which are alike."""

    def __init__(self, seed: int = 1) -> None:
        random = np.random.default_rng(seed)
        names = [f"feature {place}" for place in range(FEATURES)]
        columns = {
            name: Distribution.of_numbers(random.normal(size=REFERENCE_ROWS), "FP32") for name in names
        }
        scores = random.uniform(size=REFERENCE_ROWS).astype(np.float32)
        distances = random.chisquare(FEATURES, REFERENCE_ROWS)
        nothing = Rows(numeric=np.zeros((0, FEATURES)))
        reference = Reference(
            columns=columns,
            answers=Answers(scores, predicted=(scores > 0.5).astype(np.int64)),
            distances=distances,
            applicability=Applicability(
                features=names,
                mean=np.zeros(FEATURES),
                scale=np.ones(FEATURES),
                correlation=np.eye(FEATURES),
                cutoff=float(np.quantile(distances, 0.999)),
            ),
            background=nothing,
            self_test=SelfTest(nothing, scores[:0], scores[:0]),
        )
        manifest = Manifest(
            name="bench",
            version="1",
            task="classification",
            model=ModelFile(inputs="tensor"),
            features=tuple(Feature(name) for name in names),
            classes=("no", "yes"),
        )
        self.version = Watched(manifest, reference, "sha256:bench")

    def watched(self, model: str, version: str, digest: str) -> Watched | None:
        """The one there is."""
        del model, version, digest
        return self.version

    def reference(self, change: MonitorChange) -> bytes | None:
        """None was made from the stream."""
        del change
        return None

    def changes(self, model: str) -> Sequence[MonitorChange]:
        """None was made."""
        del model
        return []


class NoRows:
    """The join, which drift never asks."""

    def read_rows(self, keys: RowKeys) -> RowValues:
        """Not asked."""
        raise AssertionError(keys)

    def read_expired(self, buckets: Sequence[int], by_ms: int) -> ExpiredRows:
        """Not asked."""
        raise AssertionError((buckets, by_ms))


def messages(version: Watched, *, rows: int, message_rows: int, seed: int = 2) -> list[bytes]:
    """Observations of single-row requests from all source partitions, event time rising with them."""
    random = np.random.default_rng(seed)
    times = np.arange(rows, dtype=np.int64) * _HOUR_MS // WINDOW_ROWS
    return [
        msgspec.json.encode(_message(version, times[start : start + message_rows], start, random))
        for start in range(0, rows, message_rows)
    ]


def _message(
    version: Watched, times_ms: npt.NDArray[np.int64], start: int, random: np.random.Generator
) -> Observation:
    n = len(times_ms)
    manifest = version.manifest
    scores = random.uniform(size=n).astype(np.float32)
    section = ModelObservation(
        model=manifest.name,
        version=manifest.version,
        role="primary",
        digest=version.digest,
        partition=Array.of((np.arange(n) % REQUESTS.partitions).astype(np.int32)),
        offset=Array.of(np.arange(start, start + n)),
        id=[f"{number:032x}" for number in range(start, start + n)],
        rows=Array.of(np.ones(n, np.int32)),
        expired=Array.of(np.zeros(n, np.bool_)),
        event_time_ms=Array.of(times_ms),
        features={one.name: Array.of(random.normal(size=n).astype(np.float32)) for one in manifest.features},
        context={},
        score=Array.of(scores),
        applicability=Array.of(random.chisquare(FEATURES, n).astype(np.float32)),
        abstained=Array.of(random.uniform(size=n) < 0.001),
        label=Array.of((scores > 0.5).astype(np.int64)),
        probabilities=Array.of(np.stack([1 - scores, scores], axis=1)),
        classes=list(manifest.classes),
    )
    recorded_ms = int(times_ms[-1])
    ranges = [SourceRange(p, start, start + n, recorded_ms) for p in range(REQUESTS.partitions)]
    return Observation("bench", ranges, [section])


def measure(*, rows: int = ROWS, message_rows: int = 5_000, batch: int = 4) -> dict[str, Any]:
    """Rows a CPU second, and what a step writes, in batches of so many messages."""
    models = OneModel()
    log = messages(models.version, rows=rows, message_rows=message_rows)
    monitor = DriftMonitor(models)
    written = published = steps = 0
    began = time.process_time()
    for start in range(0, len(log), batch):
        records = [
            Record(OBSERVATIONS, start + place, 0, value)
            for place, value in enumerate(log[start : start + batch])
        ]
        change = monitor.take(records, Cut(0, start + len(records)), NoRows())
        written += len(change.metadata) + sum(map(len, change.writes.values()))
        published += len(change.publications)
        steps += 1
    seconds = time.process_time() - began
    return {
        "message_rows": message_rows,
        "batch": batch,
        "rows_a_cpu_second": round(rows / seconds),
        "written_bytes_a_step": round(written / steps),
        "published": published,
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.drift_pure")
    parser.add_argument("--profile", action="store_true")
    if parser.parse_args().profile:
        profile = cProfile.Profile()
        profile.runcall(measure, rows=ROWS // 2)
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        return
    for message_rows, batch in ((5_000, 4), (10_000, 1), (500, 20), (100, 20)):
        rows = ROWS if message_rows >= 500 else ROWS // 10
        figures = measure(rows=rows, message_rows=message_rows, batch=batch)
        sys.stdout.write(msgspec.json.encode(figures).decode() + "\n")


if __name__ == "__main__":
    main()
