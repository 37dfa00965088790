"""Labels as they come in life: late, early, corrected, twice, of rows nobody knows, an hour off."""

import contextlib
import heapq
import itertools
import random
import threading
import time
import uuid
from collections import Counter
from datetime import UTC, datetime
from types import TracebackType
from typing import NamedTuple, Self

import httpx
import msgspec

from atalaia.records import Label
from atalaia.settings import KafkaSettings
from atalaia.stream.clients import producer
from atalaia.stream.partitioner import partition_of
from atalaia.topics import LABELS
from bench import bundles

from .load import Load, Wish
from .watched import NAME

HOUR_SECONDS = 3600.0
_PAUSE_SECONDS = 0.1
_AT_ONCE = 40
_LATEST_SECONDS = 25.0
_HOUR_EVERY = 50
"""So many turns of 0.1 s from one row that lies an hour off to the next."""


class _Due(NamedTuple):
    at: float
    number: int
    labels: list[Label]


class Truth:
    """Labels rows of a load in a thread of its own until `stop`, by HTTP and straight to Kafka.

    Parameters
    ----------
    load : whose rows; some of its requests are made up here, after their labels
    kinds : how many labels of each kind were sent
    """

    def __init__(self, gateway: str, kafka: KafkaSettings, load: Load, *, seed: int) -> None:
        self.kinds: Counter[str] = Counter()
        self._url = f"{gateway}/models/{NAME}/labels"
        self._kafka, self._load = kafka, load
        self._partition = partition_of(NAME, LABELS.partitions)
        self._random = random.Random(seed)
        self._due: list[_Due] = []
        self._numbers, self._turns = itertools.count(), itertools.count()
        self._name = uuid.uuid4().hex[:8]
        self._seen_asked = self._seen_written = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="labelling")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it; what was not yet due is never sent."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        writer = producer(self._kafka, **{"linger.ms": 5, "delivery.timeout.ms": 120_000})
        with httpx.Client(timeout=2.0) as client:
            while not self._stopping.wait(_PAUSE_SECONDS):
                self._plan()
                labels = []
                while self._due and self._due[0].at <= time.monotonic():
                    labels += heapq.heappop(self._due).labels
                if not labels:
                    continue
                if self._random.random() < 0.5:
                    # A post that fails may have been taken all the same.
                    with contextlib.suppress(httpx.TransportError):
                        client.post(self._url, content=msgspec.json.encode(labels))
                else:
                    # Now and then on a partition that may not be the model's, to be sent on.
                    stray = self._random.random() < 0.05
                    partition = self._random.randrange(LABELS.partitions) if stray else self._partition
                    topic = self._kafka.topic_prefix + LABELS.name
                    writer.produce(topic, key=NAME, value=msgspec.json.encode(labels), partition=partition)
                    writer.poll(0)
        writer.flush(60)

    def _plan(self) -> None:
        for request_id in self._fresh():
            kind = self._random.choices(
                ("soon", "late", "corrected", "twice", "none"), (0.5, 0.2, 0.1, 0.1, 0.1)
            )[0]
            self.kinds[kind] += 1
            self._send(kind, request_id)
        turn = next(self._turns)
        if turn % 10 == 0:
            self.kinds["unknown"] += 1
            self._put(0.0, self._label(f"never-{self._name}-{turn}"))
        if turn % 7 == 0:
            self._before_its_row(f"early-{self._name}-{turn}", None)
        if turn % _HOUR_EVERY == _HOUR_EVERY - 1:
            self._an_hour_off(turn)

    def _fresh(self) -> list[str]:
        """Ids of rows taken since the last time, not too many."""
        asked = self._load.asked[self._seen_asked : self._seen_asked + _AT_ONCE]
        written = self._load.acknowledged[self._seen_written : self._seen_written + _AT_ONCE]
        self._seen_asked += len(asked)
        self._seen_written += len(written)
        return [entry.id for entry in asked if entry.status == httpx.codes.OK] + written

    def _send(self, kind: str, request_id: str) -> None:
        label = self._label(request_id)
        if kind == "none":
            return
        delay = self._random.uniform(5.0, _LATEST_SECONDS) if kind == "late" else 0.0
        self._put(delay, label)
        if kind == "twice":
            self._put(self._random.uniform(0.0, 5.0), label)
        elif kind == "corrected":
            self._put(self._random.uniform(0.0, 10.0), self._label(request_id))

    def _before_its_row(self, request_id: str, known: str | None) -> None:
        self.kinds["early"] += 1
        self._put(0.0, self._label(request_id, known))
        self._load.wish(Wish(request_id))

    def _an_hour_off(self, turn: int) -> None:
        """A truth known an hour before its row; one of a row of an hour ago; a row an hour ahead of time."""
        now = time.time()
        self._before_its_row(f"overtaking-{self._name}-{turn}", _text(now - HOUR_SECONDS))
        old, ahead = f"old-{self._name}-{turn}", f"ahead-{self._name}-{turn}"
        self._load.wish(Wish(old, _text(now - HOUR_SECONDS)))
        self._load.wish(Wish(ahead, _text(now + HOUR_SECONDS)))
        self._put(1.0, self._label(old))
        self._put(1.0, self._label(ahead))
        self.kinds["an hour off"] += 3

    def _label(self, request_id: str, known: str | None = None) -> Label:
        return Label(request_id, self._random.choice(bundles.CLASSES), time=known)

    def _put(self, delay_seconds: float, label: Label) -> None:
        heapq.heappush(self._due, _Due(time.monotonic() + delay_seconds, next(self._numbers), [label]))


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
