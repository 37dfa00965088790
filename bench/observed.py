"""What monitors read, written beforehand: observations by the scorer's own records, labels as the gateway's.

Rows are those of the benchmark's model, scored once and repeated under new ids; every row is a request of its
own. Event time rises with the rows, by as much a row as is told, from a fixed day.
"""

from dataclasses import dataclass

import msgspec
import numpy as np
import redis
from confluent_kafka import Producer

from atalaia.bundles.folder import Bundle
from atalaia.bundles.predictor import Predictor
from atalaia.inference.rows import Rows
from atalaia.labels import LabelRows, write_labels
from atalaia.records import Array, ModelObservation, Observation, SourceRange, TimeMark
from atalaia.runtime.machine import Machine
from atalaia.state.fence import Fence
from atalaia.stream.clients import producer
from atalaia.stream.headers import MARK
from atalaia.stream.partitioner import partition_of
from atalaia.topics import LABELS, OBSERVATIONS, REQUESTS, Topic
from bench import bundles, rig

BEGIN_MS = 1_767_225_600_000
"""The first row's event time, 1 January 2026."""
PARTITION = partition_of(bundles.NAME, OBSERVATIONS.partitions)
"""Where all of the model lies, on both topics."""
SCORED_ROWS = 50_000
LABELS_PER_MESSAGE = 5_000
"""As many as a gateway puts into one."""
_RIGHT = 0.8


@dataclass(frozen=True, slots=True)
class Step:
    """Event time from one row to the next, as milliseconds for so many rows."""

    ms: int
    rows: int

    def time_ms(self, row: int) -> int:
        """The event time of a row, counted from 0."""
        return BEGIN_MS + row * self.ms // self.rows


class Feed:
    """Writes rows and their labels, in messages of whatever size.

    Parameters
    ----------
    running : a `bench.rig.machine`
    step : how event time goes on
    """

    def __init__(self, running: Machine, step: Step, *, seed: int = 8) -> None:
        bundle = Bundle.read(rig.bundle_folder(running))
        self._digest = bundle.digest
        self._version = bundle.manifest.version
        self._classes = bundle.manifest.classes
        numeric = bundles.rows(SCORED_ROWS, seed=seed).astype(np.float32)
        answered = Predictor(bundle).predict(Rows(numeric=numeric.astype(np.float64)))
        if answered.label is None or answered.probabilities is None:
            raise RuntimeError("the benchmark's model gives no classes; it was to be a classifier")
        self._columns = dict(zip((f"x{place}" for place in range(bundles.FEATURES)), numeric.T, strict=True))
        self._score, self._distance, self._abstained = (
            answered.score,
            answered.applicability,
            answered.abstained,
        )
        self._label, self._probabilities = answered.label, answered.probabilities
        wrong = np.random.default_rng(seed).uniform(size=SCORED_ROWS) > _RIGHT
        codes = (self._label + wrong) % len(self._classes)
        self._truth = [self._classes[code] for code in codes.tolist()]
        self._step = step
        self._prefix = running.settings.kafka.topic_prefix
        self._producer: Producer = producer(
            running.settings.kafka, **{"linger.ms": 5, "queue.buffering.max.kbytes": 262_144}
        )
        self._encode = msgspec.json.Encoder().encode

    def answered(self, rows: int) -> int:
        """How many of the first rows the model did not abstain from: the others wait for no label."""
        return int((~self._abstained[np.arange(rows) % SCORED_ROWS]).sum())

    def observe(self, first: int, count: int) -> None:
        """Write one message of rows [first, first + count)."""
        self._write(OBSERVATIONS, self._encode(self._observation(first, count)))

    def label(self, first: int, count: int) -> None:
        """Write the truth of rows [first, first + count), known when the last of them was asked."""
        places = (np.arange(first, first + count) % SCORED_ROWS).tolist()
        known_ms = self._step.time_ms(first + count - 1)
        labels = LabelRows(
            ids(first, count),
            np.zeros(count, np.int64),
            [self._truth[place] for place in places],
            np.full(count, known_ms, np.int64),
            {},
        )
        self._write(LABELS, write_labels(labels), key=bundles.NAME)

    def mark_labels(self, row: int) -> None:
        """Write the labels' mark of time: that of a row."""
        mark = self._encode(TimeMark("clock", self._step.time_ms(row)))
        self._write(LABELS, mark, headers=[(MARK, b"clock")])

    def fill(self, first: int, rows: int, *, message_rows: int) -> None:
        """Write observations of rows [first, first + rows), and wait until Kafka has them."""
        for start in range(first, first + rows, message_rows):
            self.observe(start, min(message_rows, first + rows - start))
        self._producer.flush()

    def fill_labels(self, first: int, rows: int) -> None:
        """Write labels of rows [first, first + rows) and a mark after them; wait until Kafka has them."""
        for start in range(first, first + rows, LABELS_PER_MESSAGE):
            self.label(start, min(LABELS_PER_MESSAGE, first + rows - start))
        self.mark_labels(first + rows - 1)
        self._producer.flush()

    def _observation(self, first: int, count: int) -> Observation:
        numbers = np.arange(first, first + count)
        places = numbers % SCORED_ROWS
        times = BEGIN_MS + numbers * self._step.ms // self._step.rows
        section = ModelObservation(
            model=bundles.NAME,
            version=self._version,
            role="primary",
            digest=self._digest,
            partition=Array.of((numbers % REQUESTS.partitions).astype(np.int32)),
            offset=Array.of(numbers),
            id=ids(first, count),
            rows=Array.of(np.ones(count, np.int32)),
            expired=Array.of(np.zeros(count, np.bool_)),
            event_time_ms=Array.of(times),
            features={name: Array.of(values[places]) for name, values in self._columns.items()},
            context={},
            score=Array.of(self._score[places]),
            applicability=Array.of(self._distance[places]),
            abstained=Array.of(self._abstained[places]),
            label=Array.of(self._label[places]),
            probabilities=Array.of(self._probabilities[places]),
            classes=list(self._classes),
            waited_ms=Array.of(np.array([5], np.int64)),
            waited_rows=Array.of(np.array([count], np.int32)),
        )
        ranges = [
            SourceRange(partition, first, first + count, int(times[-1]))
            for partition in range(REQUESTS.partitions)
        ]
        return Observation("bench", ranges, [section])

    def _write(
        self,
        topic: Topic,
        value: bytes,
        *,
        key: str | None = None,
        headers: list[tuple[str, str | bytes | None]] | None = None,
    ) -> None:
        while True:
            try:
                self._producer.produce(
                    self._prefix + topic.name, value, key, partition=PARTITION, headers=headers or []
                )
                break
            except BufferError:  # the producer's queue is full: let it drain
                self._producer.poll(0.05)
        self._producer.poll(0)


def ids(first: int, count: int) -> list[str]:
    """The request ids of rows [first, first + count): 32 characters, as a gateway's."""
    return [f"{number:032x}" for number in range(first, first + count)]


class Fences:
    """Where the stored state of a service stands, as Redis holds it."""

    def __init__(self, running: Machine) -> None:
        self._client = redis.Redis.from_url(running.settings.redis.url or "")
        self._keys: dict[str, bytes] = {}
        self._known: dict[str, dict[str, int]] = {}

    def position(self, service: str, topic: Topic) -> int:
        """The next offset of the model's partition; 0 before there is any state.

        The one last seen where Redis says that a script is running: until it ends, no fence moves.
        """
        try:
            self._known[service] = self._positions(service)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSY"):
                raise
        return self._known.get(service, {}).get(topic.name, 0)

    def used_bytes(self) -> int:
        """What Redis holds in memory, all of it."""
        return int(self._client.info("memory")["used_memory"])

    def cpu_seconds(self) -> float:
        """CPU time of Redis so far."""
        info = self._client.info("cpu")
        return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])

    def _positions(self, service: str) -> dict[str, int]:
        if service not in self._keys:
            pattern = f"atalaia:{{{service}:{PARTITION}}}:*:fence"
            found = list(self._client.scan_iter(match=pattern))
            if not found:
                return {}
            self._keys[service] = found[0]
        stored = self._client.hget(self._keys[service], "fence")
        return Fence.decode(stored).positions if isinstance(stored, bytes) else {}

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
