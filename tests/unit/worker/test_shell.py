"""How records reach units: gathered, in one piece, never past a rebalance, no faster than Kafka takes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from faust.types import TP

from atalaia.monitors.units import Record
from atalaia.settings import KafkaSettings
from atalaia.topics import LABELS, OBSERVATIONS
from atalaia.worker import gathering
from atalaia.worker.app import Shell
from atalaia.worker.gathering import Gathered
from atalaia.worker.units import Place


class Ended(BaseException):
    """The process would be gone."""


@dataclass
class FakeUnits:
    """Writes down what it is told."""

    taken: list[tuple[int, list[Record]]] = field(default_factory=list)
    released: int = 0
    acknowledged: int = 0
    error: Exception | None = None

    def assign(self, partitions: Any) -> dict[Place, int]:
        if self.error is not None:
            raise self.error
        return {(topic, partition): 7 for partition in set(partitions) for topic in (OBSERVATIONS, LABELS)}

    def release(self) -> None:
        self.released += 1

    def take(self, partition: int, records: list[Record]) -> None:
        if self.error is not None:
            raise self.error
        self.taken.append((partition, records))

    def acknowledge(self) -> None:
        self.acknowledged += 1


class Scene:
    """A shell, its units, and a stream that is fed by hand."""

    def __init__(self) -> None:
        self.units = FakeUnits()
        self.outlet = SimpleNamespace(full=False)
        self.shell = Shell(
            KafkaSettings(bootstrap_servers="nowhere:1,elsewhere:2", topic_prefix="p."),
            service="drift",
            worker=3,
            topics=(OBSERVATIONS, LABELS),
            units=self.units,  # type: ignore[arg-type]
            step_interval_seconds=0.001,
            outlet=self.outlet,
        )
        self._queue: asyncio.Queue[Any] = asyncio.Queue()

    def feed(
        self, partition: int, offset: int, *, topic: str = "p.observations", value: bytes = b"v"
    ) -> None:
        message = SimpleNamespace(
            topic=topic,
            partition=partition,
            offset=offset,
            timestamp=1.5,
            key=b"m",
            value=value,
            headers=(),
        )
        self._queue.put_nowait(SimpleNamespace(message=message))

    async def events(self) -> AsyncIterator[Any]:
        while True:
            yield await self._queue.get()

    def play(self, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def run() -> None:
            watching = asyncio.create_task(self.shell._watch(self))
            self.shell.tick()
            await act()
            watching.cancel()

        asyncio.run(run())


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    def end(reason: str) -> NoReturn:
        raise Ended(reason)

    monkeypatch.setattr("atalaia.worker.app.end_process", end)
    return Scene()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not reached():  # noqa: ASYNC110 - each turn of the loop is one step of what is waited for
            await asyncio.sleep(0)


def test_records_are_taken_together_by_partition(scene: Scene) -> None:
    async def act() -> None:
        scene.feed(0, 1)
        scene.feed(1, 1, topic="p.labels")
        scene.feed(0, 2)
        await until(lambda: len(scene.units.taken) == 2)

    scene.play(act)
    (first, records), (second, others) = scene.units.taken
    assert (first, [record.offset for record in records]) == (0, [1, 2])
    assert (second, [record.topic for record in others]) == (1, [LABELS])
    assert records[0].timestamp_ms == 1500


@pytest.mark.parametrize("bound", ["messages", "bytes"])
def test_what_is_full_waits_no_longer(scene: Scene, bound: str) -> None:
    scene.shell._interval_seconds = 3600
    count, value = (
        (gathering.MOST_MESSAGES, b"v") if bound == "messages" else (2, b"v" * (gathering.MOST_BYTES // 2))
    )

    async def act() -> None:
        for offset in range(count):
            scene.feed(0, offset, value=value)
        await until(lambda: bool(scene.units.taken))

    scene.play(act)
    assert [len(records) for _, records in scene.units.taken] == [count]


def test_a_rebalance_forgets_what_was_gathered(scene: Scene) -> None:
    scene.shell._interval_seconds = 3600

    async def act() -> None:
        scene.feed(0, 1)
        await settle()
        await scene.shell._revoked()
        assert not scene.shell.assigned
        scene.shell.step()
        assert scene.shell.open_units([TP("p.observations", 2), TP("p.labels", 2)]) == {
            TP("p.observations", 2): 7,
            TP("p.labels", 2): 7,
        }
        assert scene.shell.assigned

    scene.play(act)
    assert scene.units.taken == []
    assert scene.units.released == 1


def test_a_worker_without_partitions_is_ready_too(scene: Scene) -> None:
    async def act() -> None:
        await scene.shell._assigned(None, {TP("p.labels", 1)})
        assert not scene.shell.assigned
        await scene.shell._assigned(None, set())
        assert scene.shell.assigned

    scene.play(act)


def test_nothing_is_taken_while_kafka_lags_behind(scene: Scene) -> None:
    async def act() -> None:
        scene.outlet.full = True
        scene.shell.tick()
        scene.feed(0, 1)
        await settle()
        assert scene.units.taken == []
        scene.outlet.full = False
        scene.shell.tick()
        await until(lambda: bool(scene.units.taken))

    scene.play(act)


def test_whatever_goes_wrong_in_a_step_ends_the_process(scene: Scene) -> None:
    scene.units.error = ValueError("anything")

    async def act() -> None:
        scene.shell._gathered.add(0, Record(OBSERVATIONS, 0, 0, b""))
        with pytest.raises(Ended, match="anything"):
            scene.shell.step()
        with pytest.raises(Ended, match="units cannot be opened: anything"):
            scene.shell.open_units([TP("p.labels", 1)])

    scene.play(act)


def test_a_message_that_cannot_be_read_ends_the_process(scene: Scene) -> None:
    async def act() -> None:
        scene.feed(0, 1, topic="of somebody else")
        with pytest.raises(Ended, match="the stream broke"):
            await scene.shell._watch(scene)

    asyncio.run(act())


def test_the_app_is_a_static_member_that_starts_nowhere_else(scene: Scene) -> None:
    conf = scene.shell.app.conf
    assert conf.id == "p.drift"
    assert conf.consumer_group_instance_id == "p.drift-3"
    assert conf.consumer_auto_offset_reset == "none"
    assert [str(url) for url in conf.broker] == ["kafka://nowhere:1", "kafka://elsewhere:2"]


def test_gathered_is_empty_after_it_was_taken() -> None:
    gathered = Gathered()
    gathered.add(1, Record(LABELS, 5, 0, b"abc"))
    assert [len(records) for records in gathered.pop().values()] == [1]
    assert gathered.pop() == {}
