"""The units a worker has, opened when partitions are assigned to it."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

from atalaia.monitors.units import Record
from atalaia.state.fence import StateStore
from atalaia.topics import Topic
from atalaia.worker.history import History
from atalaia.worker.patience import patiently
from atalaia.worker.publisher import Publisher
from atalaia.worker.unit import UnitRunner

Place = tuple[Topic, int]
ReadHistory = Callable[[], History]
Labels = tuple[str, ...]
"""Model, version and role, as far as they apply."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker has done so far, and where its units stand; a copy that other threads may read.

    ``monitors`` are the monitors' own counts, by name and labels.
    """

    positions: Mapping[Place, int] = field(default_factory=dict)
    totals: Mapping[str, int] = field(default_factory=dict)
    monitors: Mapping[str, Mapping[Labels, float]] = field(default_factory=dict)


class Units:
    """Runners by partition; all calls come from one thread.

    Parameters
    ----------
    make_runner : the runner of a partition, not yet opened, given how to read what was said before
    read_history : read once at most for all units that are opened together
    took_seconds : told how long each step took
    """

    def __init__(
        self,
        make_runner: Callable[[int, ReadHistory], UnitRunner],
        *,
        read_history: ReadHistory,
        store: StateStore,
        publisher: Publisher,
        took_seconds: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._took_seconds = took_seconds
        self._make_runner = make_runner
        self._read_history = read_history
        self._store = store
        self._publisher = publisher
        self._owned: dict[int, UnitRunner] = {}
        self._totals = dict.fromkeys(_TOTALS, 0)

    @property
    def owned(self) -> Mapping[int, UnitRunner]:
        """Open units by partition."""
        return self._owned

    def assign(self, partitions: Iterable[int]) -> dict[Place, int]:
        """Open the units of exactly these partitions anew; where to read from."""
        self.release()
        read_history = cache(self._read_history)
        positions = {}
        for partition in sorted(set(partitions)):
            runner = self._make_runner(partition, read_history)
            at = runner.open()
            self._owned[partition] = runner
            positions.update({(topic, partition): at[topic.name] for topic in runner.topics})
        return positions

    def release(self) -> None:
        """Take nothing more: the partitions may be another worker's from now on."""
        self._totals = self._summed()
        self._owned = {}

    def take(self, partition: int, records: list[Record]) -> None:
        """Hand records to their unit; those of a partition that is no longer ours are left out."""
        runner = self._owned.get(partition)
        if runner is not None:
            began = time.perf_counter()
            runner.take(records)
            self._took_seconds(time.perf_counter() - began)

    def acknowledge(self) -> None:
        """Remove from the outboxes what Kafka has."""
        for unit, ids in self._publisher.collect().items():
            patiently(lambda unit=unit, ids=ids: self._store.acknowledge(unit, ids))  # type: ignore[misc]

    def report(self) -> Report:
        """Where things stand now."""
        positions = {
            (topic, partition): runner.positions[topic.name]
            for partition, runner in self._owned.items()
            for topic in runner.topics
        }
        return Report(positions, self._summed(), self._counts())

    def _summed(self) -> dict[str, int]:
        return {
            name: self._totals[name] + sum(getattr(runner, name) for runner in self._owned.values())
            for name in _TOTALS
        }

    def _counts(self) -> dict[str, dict[Labels, float]]:
        summed: dict[str, dict[Labels, float]] = {}
        for runner in self._owned.values():
            for name, by_labels in runner.monitor.counts().items():
                counts = summed.setdefault(name, {})
                for labels, value in by_labels.items():
                    counts[labels] = counts.get(labels, 0) + value
        return summed


_TOTALS = ("steps", "messages", "dropped", "gaps", "rebuilds", "lost", "oversized")
