"""Posts of labels gathered into messages, and marks of time that lie behind what came before them."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atalaia.errors import InvalidInput, Refusal, TooLarge, Unavailable
from atalaia.labels import LabelRows, read_labels
from atalaia.records import TimeMark
from atalaia.stream.deadletters import Headers
from atalaia.stream.partitioner import partition_of
from atalaia.topics import LABELS, Topic
from services.gateway.truth.acceptance import accept, model_of
from services.gateway.truth.gathering import MAX_LABELS, Gathering
from tests.unit.gateway.gateway_bundles import LOAN, PANEL


@dataclass
class Log:
    """Keeps what is published; acknowledges when told."""

    refusal: Refusal | None = None
    messages: list[tuple[int, str | None, bytes]] = field(default_factory=list)
    futures: list[asyncio.Future[int]] = field(default_factory=list)

    def publish(
        self,
        topic: Topic,
        *,
        value: bytes,
        key: str | None = None,
        partition: int = 0,
        headers: Headers | None = None,
    ) -> asyncio.Future[int]:
        assert topic is LABELS
        assert (key is None) == (headers == [("mark", b"clock")])
        if self.refusal is not None:
            raise self.refusal
        self.messages.append((partition, key, value))
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.futures.append(future)
        return future

    async def until(self, count: int) -> None:
        """Let the loop turn until so many messages are there."""
        for _ in range(1_000_000):
            if len(self.messages) >= count:
                return
            await asyncio.sleep(0)
        raise AssertionError(f"only {len(self.messages)} messages came")

    def labels(self) -> list[tuple[str, list[str]]]:
        return [
            (key, read_labels(value, written_ms=0).ids) for _, key, value in self.messages if key is not None
        ]


@dataclass
class Clock:
    seconds: float = 1.0

    def __call__(self) -> float:
        return self.seconds


def one(name: str, gathering: Gathering) -> LabelRows:
    return read_labels(msgspec.json.encode({"id": name, "label": 1}), written_ms=gathering.now_ms())


def run(what: Coroutine[Any, Any, None]) -> None:
    asyncio.run(what)


def test_posts_of_a_model_within_milliseconds_go_in_one_message_and_are_answered_with_it() -> None:
    async def check() -> None:
        log = Log()
        gathering = Gathering(log)
        waiting = [gathering.take("m", one(f"{n}", gathering), body_bytes=20) for n in range(5)]
        other = gathering.take("n", one("other", gathering), body_bytes=20)
        assert log.messages == []
        await log.until(2)
        assert log.labels() == [("m", ["0", "1", "2", "3", "4"]), ("n", ["other"])]
        assert [partition for partition, _, _ in log.messages] == [
            partition_of("m", LABELS.partitions),
            partition_of("n", LABELS.partitions),
        ]
        assert not any(future.done() for future in waiting)
        log.futures[0].set_result(7)
        assert [await future for future in waiting] == [7] * 5
        assert not other.done()
        log.futures[1].set_exception(Unavailable("gone"))
        with pytest.raises(Unavailable):
            await other

    run(check())


def test_a_message_that_would_grow_too_large_leaves_at_once() -> None:
    async def check() -> None:
        log = Log()
        gathering = Gathering(log)
        rows = read_labels(msgspec.json.encode([{"id": "a", "label": 1}] * (MAX_LABELS - 1)), written_ms=0)
        gathering.take("m", rows, body_bytes=1_000)
        gathering.take("m", one("fits", gathering), body_bytes=1_000)
        assert log.messages == []
        gathering.take("m", one("next", gathering), body_bytes=1_000)
        assert [len(ids) for _, ids in log.labels()] == [MAX_LABELS]
        gathering.take("m", one("large", gathering), body_bytes=1_048_576)
        assert [ids for _, ids in log.labels()][1:] == [["next"]]

    run(check())


def test_a_queue_that_is_full_is_said_to_all_who_wait() -> None:
    async def check() -> None:
        gathering = Gathering(Log(refusal=Unavailable("full")))
        waiting = [gathering.take("m", one(name, gathering), body_bytes=20) for name in "ab"]
        for future in waiting:
            with pytest.raises(Unavailable):
                await future

    run(check())


@given(st.lists(st.sampled_from(["post m", "post n", "mark", "back", "on"]), max_size=30))
def test_every_label_accepted_before_a_mark_lies_before_it_whatever_the_clock_does(steps: list[str]) -> None:
    async def check() -> None:
        log, clock = Log(), Clock()
        gathering = Gathering(log, clock=clock)
        for step in steps:
            if step.startswith("post"):
                gathering.take(step[-1], one("a", gathering), body_bytes=20)
            elif step == "mark":
                gathering.mark()
            else:
                clock.seconds += 0.5 if step == "on" else -0.25
        gathering.mark()
        marked: dict[int, int] = {}
        for partition, key, value in log.messages:
            if key is None:
                time_ms = msgspec.json.decode(value, type=TimeMark).time_ms
                assert time_ms >= marked.get(partition, 0)
                marked[partition] = time_ms
            else:
                assert min(read_labels(value, written_ms=0).time_ms) >= marked.get(partition, 0)
        assert len(marked) == LABELS.partitions
        posts = sum(step.startswith("post") for step in steps)
        assert sum(len(ids) for _, ids in log.labels()) == posts

    run(check())


def test_time_is_kept_while_kafka_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.truth.gathering.MARK_SECONDS", 0.0)

    async def check() -> None:
        log, there = Log(), [False]
        task = asyncio.create_task(Gathering(log).keep_time(lambda: there[0]))
        for _ in range(5):
            await asyncio.sleep(0)
        assert log.messages == []
        there[0] = True
        await log.until(3 * LABELS.partitions)
        task.cancel()
        assert {partition for partition, _, _ in log.messages} == set(range(LABELS.partitions))

    run(check())


class TestModelOfABody:
    @pytest.mark.parametrize(
        ("body", "route", "expected"),
        [
            (b'{"id": "a", "label": 1}', None, None),
            (b'{"id": "a", "label": 1}', "m", "m"),
            (b'{"id": "a", "label": 1, "model": "n"}', None, "n"),
            (b'[{"model": "n"}, {"model": "n"}]', None, "n"),
            (b'[{"model": "n"}, {}]', "n", "n"),
            (b'{"ids": [], "labels": [], "model": "n"}', None, "n"),
            (b'[{"id": "model", "label": "\\"model\\""}]', None, None),
            (b'{"model": 5}', "m", "m"),
            (b"[]", None, None),
        ],
    )
    def test_it_is_the_routes_else_the_bodys(
        self, body: bytes, route: str | None, expected: str | None
    ) -> None:
        assert model_of(body, route) == expected

    @pytest.mark.parametrize(
        ("body", "route"),
        [
            (b'{"model": "n"}', "m"),
            (b'[{"model": "n"}, {"model": "m"}]', None),
            (b'[{"model": "n"}, {}]', None),
            (b'[{}, {"model": "n"}]', None),
        ],
    )
    def test_labels_of_two_models_do_not_go_together(self, body: bytes, route: str | None) -> None:
        with pytest.raises(InvalidInput, match="model"):
            model_of(body, route)


class TestAccept:
    def test_labels_that_fit_are_stamped(self) -> None:
        rows = accept(b'[{"id": "a", "label": 3}]', PANEL, now_ms=5, max_labels=1)
        assert (rows.ids, rows.time_ms.tolist()) == (["a"], [5])
        assert accept(b'{"id": "a", "label": 0.5}', LOAN, now_ms=5, max_labels=1).labels == [0.5]

    def test_too_many_none_and_unfit_ones_are_refused(self) -> None:
        with pytest.raises(TooLarge, match="at most 1"):
            accept(b'[{"id": "a", "label": 3}, {"id": "b", "label": 3}]', PANEL, now_ms=5, max_labels=1)
        with pytest.raises(InvalidInput, match="no labels"):
            accept(b"[]", PANEL, now_ms=5, max_labels=1)
        with pytest.raises(InvalidInput, match="3, 4, 5"):
            accept(b'{"id": "a", "label": 6}', PANEL, now_ms=5, max_labels=1)
