"""A unit's surroundings in memory: a log, a publisher that may crash, and a monitor that sums."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import msgspec

from atalaia.monitors.units import Change, Publication, Record, RowReader
from atalaia.records import Observation, SourceRange
from atalaia.results import Cut
from atalaia.state.fence import OutboxEntry, StateStore, Unit
from atalaia.state.memory import MemoryServer, MemoryState
from atalaia.topics import DRIFT, LABELS, OBSERVATIONS, Topic
from atalaia.worker.history import History
from atalaia.worker.outgoing import Outgoing
from atalaia.worker.unit import UnitRunner
from atalaia.worker.units import Units

PARTITION = 1
UNIT = Unit("drift", PARTITION, "c0ffee")


class Crashed(BaseException):
    """The process is gone; nobody can catch it."""


@dataclass
class MemoryLog:
    """A partition of each topic, with the positions that committed records lie at."""

    records: dict[str, dict[int, Record]] = field(default_factory=lambda: defaultdict(dict))
    starts: dict[str, int] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    asked: int = 0

    def topic_ids(self, topics: tuple[Topic, ...]) -> dict[str, str]:
        return {topic.name: self.ids.get(topic.name, "first") for topic in topics}

    def bounds(self, topic: Topic, partition: int) -> tuple[int, int]:
        assert partition == PARTITION
        return self.starts.get(topic.name, 0), self.ends.get(topic.name, 0)

    def offsets(self, topic: Topic, partition: int, start: int, end: int) -> list[int]:
        assert partition == PARTITION
        self.asked += 1
        return sorted(offset for offset in self.records[topic.name] if start <= offset < end)

    def next_offset(self, topic: Topic, partition: int, position: int) -> int | None:
        assert partition == PARTITION
        return min((offset for offset in self.records[topic.name] if offset >= position), default=None)

    def observe(self, rows: int, *, skip: int = 1, start: int | None = None) -> Record:
        """One more observation of ``rows`` rows, ``skip`` markers behind it."""
        last = max(self.records[OBSERVATIONS.name].values(), key=lambda entry: entry.offset, default=None)
        begin = 0
        if last is not None:
            begin = msgspec.json.decode(last.value or b"", type=Observation).ranges[0].end
        begin = begin if start is None else start
        value = Observation("s", [SourceRange(0, begin, begin + rows, 0)], [])
        return self._append(OBSERVATIONS, msgspec.json.encode(value), skip)

    def label(self, *, skip: int = 0) -> Record:
        """One more label, ``skip`` markers behind it."""
        return self._append(LABELS, b"{}", skip)

    def _append(self, topic: Topic, value: bytes, skip: int) -> Record:
        offset = self.ends.get(topic.name, 0)
        record = self.records[topic.name][offset] = Record(topic, offset, 0, value)
        self.ends[topic.name] = offset + 1 + skip
        return record

    def read(self, positions: Mapping[str, int]) -> list[Record]:
        """All from some positions on."""
        return [
            record
            for name, records in self.records.items()
            for offset, record in sorted(records.items())
            if offset >= positions[name]
        ]


@dataclass
class Kafka:
    """The result topics, which outlive workers."""

    messages: list[Outgoing] = field(default_factory=list)

    def history(self) -> History:
        history = History()
        for topic in {message.topic for message in self.messages}:
            headers = [dict(message.headers) for message in self.messages if message.topic == topic]
            history.read(UNIT.service, topic, headers)
        return history

    def values(self) -> list[str]:
        return [message.value.decode() for message in self.messages]


@dataclass
class MemoryPublisher:
    """Delivers when it is told to."""

    kafka: Kafka
    flying: dict[tuple[Unit, bytes], Outgoing] = field(default_factory=dict)
    arrived: dict[Unit, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    broken: bool = False

    def publish(self, unit: Unit, entries: Sequence[OutboxEntry]) -> None:
        if self.broken:
            raise Crashed
        for entry in entries:
            self.flying.setdefault((unit, entry.id), Outgoing.of(entry))

    def deliver(self) -> None:
        for (unit, name), message in self.flying.items():
            self.kafka.messages.append(message)
            self.arrived[unit].append(name)
        self.flying = {}

    def collect(self) -> dict[Unit, list[bytes]]:
        arrived, self.arrived = self.arrived, defaultdict(list)
        return arrived


class Sums(msgspec.Struct):
    """State of `Summing`."""

    total: int = 0
    labels: int = 0
    windows: dict[int, int] = {}
    lost: list[tuple[str, int, int]] = []
    began: dict[str, int] = {}


class Summing:
    """Sums rows, in windows of ten source positions; a window is said whenever it changes."""

    topics: ClassVar[tuple[Topic, ...]] = (OBSERVATIONS, LABELS)
    state_format: ClassVar[str] = "1"

    def __init__(self) -> None:
        self.state = Sums()

    def restore(self, metadata: bytes, panes: Mapping[bytes, bytes]) -> None:
        self.state = msgspec.json.decode(metadata, type=Sums)
        assert panes.get(b"total", b"0") == str(self.state.total).encode()

    def begin(self, positions: Mapping[str, int]) -> None:
        self.state.began = dict(positions)

    def lose(self, topic: Topic, first: int, end: int) -> None:
        self.state.lost.append((topic.name, first, end))

    def take(self, records: Sequence[Record], cut: Cut, rows: RowReader) -> Change:
        del rows
        changed = set()
        for record in records:
            if record.topic is LABELS:
                self.state.labels += 1
                continue
            for entry in msgspec.json.decode(record.value or b"", type=Observation).ranges:
                self.state.total += entry.end - entry.start
                for row in range(entry.start, entry.end):
                    self.state.windows[row // 10] = self.state.windows.get(row // 10, 0) + 1
                    changed.add(row // 10)
        return Change(
            metadata=msgspec.json.encode(self.state),
            writes={b"total": str(self.state.total).encode()},
            publications=[
                Publication(
                    DRIFT,
                    key="m",
                    subject=f"window {window}",
                    value=f"{window}={self.state.windows[window]} at {cut.observations}".encode(),
                    content=str(self.state.windows[window]),
                )
                for window in sorted(changed)
                if self.state.windows[window] == 10
            ],
        )

    def counts(self) -> Mapping[str, Mapping[tuple[str, ...], float]]:
        return {"rows": {(): self.state.total}}


def units_of(runner: UnitRunner, publisher: MemoryPublisher) -> Units:
    """A worker's units, of which this is the only one."""
    return Units(
        lambda _partition, _history: runner,
        read_history=publisher.kafka.history,
        store=runner._store,
        publisher=publisher,
    )


@dataclass
class World:
    """What outlives workers; `worker` is one more of them."""

    log: MemoryLog = field(default_factory=MemoryLog)
    server: MemoryServer = field(default_factory=MemoryServer)
    kafka: Kafka = field(default_factory=Kafka)

    def worker(
        self, wrap: Callable[[StateStore], StateStore] = lambda store: store
    ) -> tuple[UnitRunner, MemoryPublisher]:
        publisher = MemoryPublisher(self.kafka)
        runner = UnitRunner(
            UNIT,
            Summing,
            store=wrap(MemoryState(self.server)),
            log=self.log,
            publisher=publisher,
            history=self.kafka.history,
            now=lambda: "2026-01-01T00:00:00Z",
        )
        return runner, publisher

    def stored(self) -> Sums:
        """What a worker that opened the unit now would have."""
        runner, _ = self.worker()
        runner.open()
        assert isinstance(runner.monitor, Summing)
        return runner.monitor.state
