"""Scorer and monitors together at 20,000 rows a second, open loop: how far the monitors lag, what they cost.

Requests of one row are written straight to Kafka at a constant rate, whatever becomes of them; their labels
come as columns a few seconds later. The figures are of the time after everything has settled.
"""

import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import psutil
from confluent_kafka import Consumer, TopicPartition

from atalaia.labels import LabelRows, write_labels
from atalaia.records import TimeMark
from atalaia.runtime.machine import Machine
from atalaia.stream.clients import consumer, producer
from atalaia.stream.headers import MARK
from atalaia.topics import LABELS, OBSERVATIONS, REQUESTS, Topic
from bench import bundles, rig
from bench.catching_up import started
from bench.observed import LABELS_PER_MESSAGE, PARTITION, Fences

RATE = 20_000
SECONDS = 60.0
WARM_UP_SECONDS = 15.0
LABELS_AFTER_SECONDS = 3.0
TICK_SECONDS = 0.02
_LOOK_SECONDS = 0.2
_READS: Mapping[str, tuple[Topic, ...]] = {"drift": (OBSERVATIONS,), "fairness": (OBSERVATIONS, LABELS)}
_PROCESSES = {
    "scorer": "scorer-0",
    "drift": "drift-0",
    "fairness": "fairness-0",
    "alerts": "alerts-0",
    "kafka": "kafka",
    "redis": "redis",
}


class Lags:
    """How old the oldest message is that a service has not yet stored, by looking now and then.

    What lies between a fence and the end of a topic came no earlier than when the end was first seen beyond
    the fence; transaction markers count as messages, so a lag may be up to a commit interval too long.
    """

    def __init__(self) -> None:
        self._seen: dict[str, deque[tuple[float, int]]] = {}

    def see(self, topic: str, at_seconds: float, end: int) -> None:
        """Where a topic ends now."""
        seen = self._seen.setdefault(topic, deque())
        if not seen or end > seen[-1][1]:
            seen.append((at_seconds, end))

    def of(self, topic: str, at_seconds: float, position: int, *, keep: int | None = None) -> float:
        """The lag in seconds of who stands at a position; ends up to ``keep`` are not asked for again."""
        seen = self._seen.get(topic, deque())
        while keep is not None and seen and seen[0][1] <= keep:
            seen.popleft()
        return next((at_seconds - when for when, end in seen if end > position), 0.0)


@dataclass
class Figures:
    """What was seen: lags by service, and CPU seconds by process, of the settled time."""

    seconds: float = 0.0
    rows: int = 0
    lags: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in _READS})
    cpu_seconds: dict[str, float] = field(default_factory=dict)


def measure(*, rate: int = RATE, seconds: float = SECONDS) -> dict[str, Any]:
    """All figures; ``ours`` is the CPU time of drift and fairness, ``ratio`` that to the scorer's."""
    with rig.machine(["scorer", "drift", "fairness", "alerts"]) as running:
        return summary(_load(running, rate, seconds), rate=rate)


def summary(figures: Figures, *, rate: int) -> dict[str, Any]:
    """The answer of the bench."""
    cpu = figures.cpu_seconds
    monitors = cpu["drift"] + cpu["fairness"]
    beside: dict[str, float | None] = {
        "rate": rate,
        "rows_per_second_written": figures.rows / figures.seconds,
    }
    for name, lags in figures.lags.items():
        beside[f"{name}_lag_p50_seconds"] = float(np.quantile(lags, 0.5))
        beside[f"{name}_lag_p95_seconds"] = float(np.quantile(lags, 0.95))
        beside[f"{name}_lag_most_seconds"] = max(lags)
    for name, used in cpu.items():
        beside[f"{name}_cores"] = used / figures.seconds
    return {
        "bench": "platform",
        "ours": monitors,
        "beside": beside,
        "ratio": monitors / cpu["scorer"],
        "cpu_seconds": sum(cpu[name] for name in ("scorer", "drift", "fairness", "alerts")),
        "seconds": figures.seconds,
    }


class Load:
    """Writes what is due: requests by the clock, labels of those of some seconds ago, a mark each second."""

    def __init__(self, running: Machine, rate: int) -> None:
        rows = rig.answered_rows(running, rate, seed=9)
        bodies = [rig.request_body(row[None, :], "") for row in rows]
        self._tails = [body.removeprefix(b'{"id":"') for body in bodies]
        self._truth = np.random.default_rng(9).choice(bundles.CLASSES, rate).tolist()
        self._producer = producer(
            running.settings.kafka, **{"linger.ms": 5, "queue.buffering.max.messages": 1_000_000}
        )
        self._prefix = running.settings.kafka.topic_prefix
        self._rate = rate
        self.written = self.labelled = 0
        self._marked = 0

    def write(self, elapsed_seconds: float) -> None:
        """All that is due by now."""
        topic, due = self._prefix + REQUESTS.name, math.floor(elapsed_seconds * self._rate)
        for number in range(self.written, due):
            key = b"%032x" % number
            body = b'{"id":"' + key + self._tails[number % self._rate]
            self._producer.produce(topic, body, key, partition=number % REQUESTS.partitions)
        self.written = due
        known = math.floor((elapsed_seconds - LABELS_AFTER_SECONDS) * self._rate)
        while known - self.labelled >= LABELS_PER_MESSAGE:
            self._label(self.labelled, LABELS_PER_MESSAGE)
            self.labelled += LABELS_PER_MESSAGE
        if elapsed_seconds >= self._marked:
            self._mark()
            self._marked += 1
        self._producer.poll(0)

    def _label(self, first: int, count: int) -> None:
        numbers = range(first, first + count)
        labels = LabelRows(
            [f"{number:032x}" for number in numbers],
            np.zeros(count, np.int64),
            [self._truth[number % self._rate] for number in numbers],
            np.full(count, int(time.time() * 1000), np.int64),
            {},
        )
        topic = self._prefix + LABELS.name
        self._producer.produce(topic, write_labels(labels), bundles.NAME, partition=PARTITION)

    def _mark(self) -> None:
        value = msgspec.json.encode(TimeMark("clock", int(time.time() * 1000)))
        for partition in range(LABELS.partitions):
            self._producer.produce(
                self._prefix + LABELS.name, value, partition=partition, headers=[(MARK, b"clock")]
            )

    def close(self) -> None:
        """Wait until Kafka has it."""
        self._producer.flush()


def _load(running: Machine, rate: int, seconds: float) -> Figures:
    processes = {name: started(running, process) for name, process in _PROCESSES.items()}
    load, fences, lags, figures = Load(running, rate), Fences(running), Lags(), Figures()
    client = consumer(running.settings.kafka, **{"group.id": "bench"})
    rig.tell(f"{rate:,} rows a second for {WARM_UP_SECONDS + seconds:g} s")
    began = time.monotonic()
    look, settled_at = 0.0, WARM_UP_SECONDS
    before: dict[str, float] = {}
    rows_before = 0
    while (elapsed := time.monotonic() - began) < WARM_UP_SECONDS + seconds:
        load.write(elapsed)
        if not before and elapsed >= settled_at:
            before, rows_before, settled_at = _cpu(processes), load.written, elapsed
        if elapsed >= look:
            found = _look(client, running, fences, lags)
            if before:
                for name, lag in found.items():
                    figures.lags[name].append(lag)
            look = elapsed + _LOOK_SECONDS
        time.sleep(max(0.0, TICK_SECONDS - (time.monotonic() - began - elapsed)))
    figures.seconds = time.monotonic() - began - settled_at
    figures.rows = load.written - rows_before
    figures.cpu_seconds = {name: used - before[name] for name, used in _cpu(processes).items()}
    load.close()
    client.close()
    fences.close()
    return figures


def _cpu(processes: Mapping[str, psutil.Process]) -> dict[str, float]:
    return {name: rig.cpu_seconds(process) for name, process in processes.items()}


def _look(client: Consumer, running: Machine, fences: Fences, lags: Lags) -> dict[str, float]:
    """The lag of each service, by that of its topics which lags most."""
    now = time.monotonic()
    for topic in (OBSERVATIONS, LABELS):
        place = TopicPartition(running.settings.kafka.topic_prefix + topic.name, PARTITION)
        lags.see(topic.name, now, client.get_watermark_offsets(place, 10)[1])
    stands = {
        (name, topic.name): fences.position(name, topic)
        for name, topics in _READS.items()
        for topic in topics
    }
    now = time.monotonic()
    found = dict.fromkeys(_READS, 0.0)
    for (name, topic_name), position in stands.items():
        least = min(at for (_, other), at in stands.items() if other == topic_name)
        found[name] = max(found[name], lags.of(topic_name, now, position, keep=least))
    return found
