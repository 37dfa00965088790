"""A Faust worker whose positions are its own state's, not the group's.

Faust starts where the group committed, reads uncommitted data outside of its own exactly-once mode, and
deals partitions out one by one. A monitor needs the opposite of all three: it starts where its fence
stands, reads committed data only, and has partition q of every input topic on one worker. The classes
here change those three things and nothing else.
"""

import asyncio
import os
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import faust
import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.structs import TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP

from atalaia.settings import KafkaSettings

SESSION_SECONDS = 6.0
FETCH_WAIT_MS = 100
GRACE_SECONDS = 0.02
"""How long an agent gathers messages before it handles them together."""
BATCH = 200
"""Messages handled together at most: observations are large."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Record:
    """One message of an input topic, named without the prefix."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


class Unit(Protocol):
    """What a monitor keeps of one input partition: its state and the positions it stands for."""

    def positions(self) -> Mapping[str, int]:
        """Next offset of each input topic, by name without the prefix; from the fence."""

    def take(self, records: Sequence[Record]) -> None:
        """Count the records, in order, in one atomic step that moves the positions."""


class Units:
    """The units of the partitions a worker owns, opened on assignment.

    Parameters
    ----------
    open_unit : reads a partition's unit from its fence
    """

    def __init__(self, open_unit: Callable[[int], Unit]) -> None:
        self._open = open_unit
        self._owned: dict[int, Unit] = {}

    def assign(self, partitions: Iterable[int]) -> dict[int, Mapping[str, int]]:
        """Open the units of exactly these partitions anew; the positions each begins at."""
        self._owned = {partition: self._open(partition) for partition in sorted(set(partitions))}
        return {partition: unit.positions() for partition, unit in self._owned.items()}

    def take(self, records: Sequence[Record]) -> None:
        """Hand records to their units; those already counted, or of units no longer ours, are left out."""
        by_partition: dict[int, list[Record]] = {}
        for record in records:
            by_partition.setdefault(record.partition, []).append(record)
        for partition, entries in by_partition.items():
            unit = self._owned.get(partition)
            if unit is None:
                continue
            positions = unit.positions()
            fresh = [entry for entry in entries if entry.offset >= positions.get(entry.topic, 0)]
            if fresh:
                unit.take(fresh)


def monitor_app(
    name: str, kafka: KafkaSettings, topics: Sequence[str], units: Units, *, replica: int = 0
) -> faust.App:
    """A Faust app of one agent over ``topics``, co-partitioned, that feeds ``units``.

    Parameters
    ----------
    name : of the service; the consumer group is the prefix and this
    topics : names without the prefix
    replica : makes a static group member, so that a restart within the session keeps its partitions
    """
    app = faust.App(
        f"{kafka.topic_prefix}{name}",
        broker=f"kafka://{(kafka.bootstrap_servers or '').replace(',', ';kafka://')}",
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        stream_wait_empty=False,
        consumer_auto_offset_reset="none",
        consumer_group_instance_id=f"{name}-{replica}",
        broker_session_timeout=SESSION_SECONDS,
        broker_heartbeat_interval=1.0,
        broker_request_timeout=10.0,
        broker_rebalance_timeout=8.0,
        broker_max_poll_interval=30.0,
        broker_commit_interval=2.0,
    )
    app.transport = _FencedTransport(app.conf.broker, app, kafka.topic_prefix, units)
    channel = app.topic(*(kafka.topic_prefix + topic for topic in topics), value_serializer="raw", key_serializer="raw")

    async def watch(stream: Any) -> None:
        async for events in stream.take_events(BATCH, within=GRACE_SECONDS):
            try:
                units.take([_record(event.message, kafka.topic_prefix) for event in events])
            except Exception:  # noqa: BLE001 - whatever it is, nothing after it may be counted
                _log.exception("monitor ends", monitor=name)
                os._exit(70)

    app.agent(channel, name=f"{name}.watch")(watch)
    return app


def _record(message: Any, prefix: str) -> Record:
    return Record(message.topic.removeprefix(prefix), message.partition, message.offset, message.key, message.value)


class _FencedConsumer(Consumer):
    """Begins where the units stand."""

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _CommittedReader(self, loop=self.loop, beacon=self.beacon)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Open the units of the assigned partitions and seek to their positions, all in one coroutine.

        Faust may ask twice on one assignment; the units are read anew each time, before the seek, so that
        the positions are those of the state in memory.
        """
        prefix, units = self.transport.prefix, self.transport.units
        assigned = list(self.assignment())
        positions = units.assign(tp.partition for tp in assigned)
        wanted = {
            TP(tp.topic, tp.partition): positions[tp.partition].get(tp.topic.removeprefix(prefix), 0) for tp in assigned
        }
        await self._thread.call_thread(self._seek_all, wanted)
        _log.info("partitions assigned", positions={f"{tp.topic}-{tp.partition}": at for tp, at in wanted.items()})
        return wanted

    async def _seek_all(self, wanted: Mapping[TP, int]) -> None:
        consumer = self._thread._ensure_consumer()
        for tp, offset in wanted.items():
            consumer.seek(TopicPartition(tp.topic, tp.partition), offset)
        await asyncio.sleep(0)


class _CommittedReader(AIOKafkaConsumerThread):
    """Reads committed data only, with partition q of every topic on one worker."""

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        consumer._partition_assignment_strategy = [RangePartitionAssignor]
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer


class _FencedTransport(Transport):
    """Makes consumers that begin where the units stand."""

    Consumer = _FencedConsumer

    def __init__(self, url: Any, app: Any, prefix: str, units: Units) -> None:
        super().__init__(url, app)
        self.prefix = prefix
        self.units = units
