"""The Faust app of a worker: one agent over all topics of its monitors, which gathers records for steps."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import faust
import structlog
from faust.tables.manager import TableManager
from faust.types import TP

from atalaia.monitors.units import Record
from atalaia.settings import KafkaSettings
from atalaia.stream.headers import ACCEPTED, MARK, accepted_ms
from atalaia.topics import Topic
from atalaia.worker.consumer import FencedConsumer, FencedTransport
from atalaia.worker.credentials import credentials_of
from atalaia.worker.ending import end_process
from atalaia.worker.gathering import Gathered
from atalaia.worker.units import Units

SESSION_SECONDS = 6.0
_BUFFERED_MESSAGES = 64

_log = structlog.get_logger()


class Outlet(Protocol):
    """What bounds how far publishing may lag behind."""

    @property
    def full(self) -> bool:
        """Whether nothing should be added for now."""


class NoTables(TableManager):
    """Faust's tables, of which there are none: nobody waits a second for them to be declared."""

    async def on_start(self) -> None:
        """Go on at once."""
        await self._update_channels()
        await self.recovery.start()


class FencedApp(faust.App):
    """Faust without folders of its own: it keeps nothing on disk."""

    def _create_directories(self) -> None:
        pass


class Shell:
    """Feeds units from Faust.

    Parameters
    ----------
    service, worker : the group, and a number that stays a worker's over its restarts, which makes it a
        static member: a crash that is over within the session moves no partition
    topics : with equal partition counts
    step_interval_seconds : how long records are gathered before what they change is stored
    outlet : taking waits while it is full
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        *,
        service: str,
        worker: int,
        topics: Sequence[Topic],
        units: Units,
        step_interval_seconds: float,
        outlet: Outlet,
    ) -> None:
        self.units = units
        self.assigned = False
        self._topics = {kafka.topic_prefix + topic.name: topic for topic in topics}
        self._interval_seconds = step_interval_seconds
        self._outlet = outlet
        self._gathered = Gathered()
        self._room = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self.app = self._make_app(kafka, service, worker)

    def open_units(self, assigned: Iterable[TP]) -> Mapping[TP, int]:
        """Open the units of assigned partitions, and forget what was gathered for them before."""
        places = list(assigned)
        self._forget()
        try:
            positions = self.units.assign(place.partition for place in places)
            wanted = {place: positions[self._topics[place.topic], place.partition] for place in places}
        except Exception as error:  # noqa: BLE001 - Faust would go on without positions
            end_process(f"units cannot be opened: {error}")
        self.assigned = True
        _log.info("units open", positions={f"{at.topic}-{at.partition}": to for at, to in wanted.items()})
        return wanted

    async def leave(self) -> None:
        """Take nothing more, and leave the group."""
        self._forget()
        self.units.release()
        consumer = self.app.consumer
        if isinstance(consumer, FencedConsumer):
            await consumer.leave()

    async def _assigned(self, *arguments: Any, **_: Any) -> None:
        """More workers than partitions: one without any is ready to take over."""
        self.assigned = self.assigned or not arguments[1]

    async def _revoked(self, *_arguments: Any, **_: Any) -> None:
        self._forget()
        self.assigned = False
        self.units.release()

    async def _watch(self, stream: Any) -> None:
        try:
            async for event in stream.events():
                await self._gather(event.message)
        except Exception as error:  # noqa: BLE001 - Faust would start the agent again, past what it lost
            end_process(f"the stream broke: {error}")

    async def _gather(self, message: Any) -> None:
        self._gathered.add(message.partition, self._record(message))
        await self._room.wait()
        if self._gathered.full:
            self.step()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._interval_seconds, self.step)

    def step(self) -> None:
        """Count what was gathered. In one piece: a rebalance comes before or after it."""
        self._cancel_timer()
        try:
            for partition, records in self._gathered.pop().items():
                self.units.take(partition, records)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing after it may be counted
            end_process(str(error))
        self.tick()

    def tick(self) -> None:
        """Hear what Kafka has acknowledged; call it now and then."""
        try:
            self.units.acknowledge()
        except Exception as error:  # noqa: BLE001 - the outbox is published again when it is opened
            end_process(str(error))
        if self._outlet.full:
            self._room.clear()
        else:
            self._room.set()

    def _record(self, message: Any) -> Record:
        headers = dict(message.headers or ())
        return Record(
            topic=self._topics[message.topic],
            offset=message.offset,
            timestamp_ms=accepted_ms(headers.get(ACCEPTED), round(message.timestamp * 1000)),
            value=message.value,
            marked=MARK in headers,
            key=None if message.key is None else message.key.decode("utf-8", "replace"),
        )

    def _forget(self) -> None:
        self._cancel_timer()
        self._gathered.clear()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _make_app(self, kafka: KafkaSettings, service: str, worker: int) -> faust.App:
        servers = (kafka.bootstrap_servers or "").split(",")
        app = FencedApp(
            f"{kafka.topic_prefix}{service}",
            broker=";".join(f"kafka://{server.strip()}" for server in servers),
            broker_credentials=credentials_of(kafka.client),
            store="memory://",
            TableManager=NoTables,
            web_enabled=False,
            autodiscover=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            stream_wait_empty=False,
            stream_buffer_maxsize=_BUFFERED_MESSAGES,
            stream_recovery_delay=0.0,
            consumer_auto_offset_reset="none",
            consumer_max_fetch_size=4_194_304,
            consumer_group_instance_id=f"{kafka.topic_prefix}{service}-{worker}",
            broker_session_timeout=SESSION_SECONDS,
            broker_heartbeat_interval=1.0,
            broker_request_timeout=10.0,
            broker_rebalance_timeout=8.0,
            broker_max_poll_interval=30.0,
        )
        app.transport = FencedTransport(app.conf.broker, app, self.open_units)
        app.on_partitions_assigned.connect(self._assigned, weak=False)
        app.on_partitions_revoked.connect(self._revoked, weak=False)
        # Positions are the fences': nothing is acknowledged to Faust, which would commit it to the group.
        channel = app.topic(*self._topics, key_serializer="raw", value_serializer="raw", acks=False)
        app.agent(channel, name=f"{service}.watch")(self._watch)
        return app
