"""A Faust consumer whose positions are its own state's, not the group's.

Faust starts where the group committed, reads uncommitted data outside of its own exactly-once mode, and
deals partitions out one by one. A monitor needs the opposite of all three: it starts where its fence
stands, reads committed data only, and has partition q of every input topic on one worker. The classes
here change those three things, and how a worker leaves its group.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import NoOffsetForPartitionError
from aiokafka.structs import TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP, AppT
from yarl import URL

from atalaia.worker.ending import end_process

FETCH_WAIT_MS = 100
_NOT_SOUGHT_SECONDS = 0.02
_SOUGHT_WITHIN_SECONDS = 15.0
"""A position that is still missing after so long is an error after all."""

Open = Callable[[Iterable[TP]], Mapping[TP, int]]
"""Opens the units of assigned partitions; where to read from."""


class FencedConsumer(Consumer):
    """Begins where the units stand."""

    _thread: "CommittedReader"

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return CommittedReader(self, loop=self.loop, beacon=self.beacon)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Open the units of the assigned partitions and seek to their positions, all in one coroutine.

        Faust may ask twice on one assignment; the units are read anew each time, before the seek, so that
        the positions are those of the state in memory. Sought from the main thread, the seek would race
        the fetcher.
        """
        wanted = cast("FencedTransport", self.transport).open_units(self.assignment())
        try:
            await self._thread.call_thread(self._thread.seek_all, wanted)
        except Exception as error:  # noqa: BLE001 - Faust would go on from wherever it stands
            end_process(f"positions cannot be sought: {error}")
        return wanted

    async def leave(self) -> None:
        """Leave the group, so that its other members need not wait for the session to end."""
        await self._thread.call_thread(self._thread.leave_group)


class CommittedReader(AIOKafkaConsumerThread):
    """Reads committed data only, with partition q of every topic on one worker."""

    _without_position = 0

    def _create_worker_consumer(self, transport: Transport) -> AIOKafkaConsumer:
        consumer: AIOKafkaConsumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # noqa: SLF001 - Faust gives no other way
        consumer._partition_assignment_strategy = [RangePartitionAssignor]  # noqa: SLF001
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001
        return consumer

    async def _fetch_records(self, *arguments: Any, **named: Any) -> Any:
        """Fetch nothing before the seek: with no position of the group's, aiokafka would call it an error.

        Units that take long to open lose that race, and the worker that ends of it moves the partitions of
        the others, who lose it in their turn.
        """
        try:
            records = await super()._fetch_records(*arguments, **named)
        except NoOffsetForPartitionError:
            self._without_position += 1
            if self._without_position * _NOT_SOUGHT_SECONDS > _SOUGHT_WITHIN_SECONDS:
                raise
            await asyncio.sleep(_NOT_SOUGHT_SECONDS)
            return {}
        self._without_position = 0
        return records

    async def seek_all(self, wanted: Mapping[TP, int]) -> None:
        """Seek every partition; in this thread nothing is fetched meanwhile."""
        consumer = self._ensure_consumer()
        for place, offset in wanted.items():
            consumer.seek(TopicPartition(place.topic, place.partition), offset)
        await asyncio.sleep(0)

    async def leave_group(self) -> None:
        """Leave as if this were no static member: those only come back."""
        coordinator = self._ensure_consumer()._coordinator  # noqa: SLF001
        coordinator._group_instance_id = None  # noqa: SLF001 - aiokafka gives no other way
        await coordinator.close()


class FencedTransport(Transport):
    """Makes consumers that begin where the units stand."""

    Consumer = FencedConsumer

    def __init__(self, url: list[URL], app: AppT, open_units: Open) -> None:
        super().__init__(url, app)
        self.open_units = open_units
