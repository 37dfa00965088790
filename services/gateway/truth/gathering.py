"""Labels of many small posts, gathered into few messages, and the marks of time between them."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from atalaia.errors import Refusal
from atalaia.labels import LabelRows, concatenate, write_labels
from atalaia.records import TimeMark
from atalaia.stream.deadletters import Headers
from atalaia.stream.headers import MARK
from atalaia.stream.partitioner import partition_of
from atalaia.topics import LABELS, Topic

GATHER_SECONDS = 0.003
MARK_SECONDS = 1.0
MAX_LABELS = 5_000
MAX_BYTES = 1_048_576
"""Of the bodies whose labels go in one message; a larger one goes alone."""


class Publishing(Protocol):
    """Hands messages to Kafka in order."""

    def publish(
        self,
        topic: Topic,
        *,
        value: bytes,
        key: str | None = None,
        partition: int = 0,
        headers: Headers | None = None,
    ) -> asyncio.Future[int]:
        """As `services.gateway.publishing.Publisher.publish`."""


class _Message:
    """Labels of one model on their way."""

    def __init__(self, done: asyncio.Future[int]) -> None:
        self.done = done
        self.parts: list[LabelRows] = []
        self.labels = 0
        self.bytes = 0


class Gathering:
    """Takes the labels of each post and publishes those of a model that come within milliseconds together.

    Once a second every partition gets a mark of time. A mark of time T lies behind every label that was
    accepted before T: what is gathered is handed over first, to the same producer, and the clock that labels
    and marks are stamped with never goes back.

    Parameters
    ----------
    publisher : keeps the order it is called in
    clock : wall clock in milliseconds
    """

    def __init__(self, publisher: Publishing, *, clock: Callable[[], float] = time.time) -> None:
        self._publisher = publisher
        self._clock = clock
        self._latest_ms = 0
        self._gathered: dict[str, _Message] = {}

    def now_ms(self) -> int:
        """The time with which what comes now is accepted."""
        self._latest_ms = max(self._latest_ms, int(self._clock() * 1000))
        return self._latest_ms

    def take(self, model: str, rows: LabelRows, *, body_bytes: int) -> asyncio.Future[int]:
        """Labels read at `now_ms`, nothing having been awaited since; done when Kafka holds them."""
        message = self._gathered.get(model)
        if message is not None and (
            message.labels + len(rows) > MAX_LABELS or message.bytes + body_bytes > MAX_BYTES
        ):
            self._hand_over(model)
            message = None
        if message is None:
            loop = asyncio.get_running_loop()
            message = self._gathered[model] = _Message(loop.create_future())
            loop.call_later(GATHER_SECONDS, self._ripen, model, message)
        message.parts.append(rows)
        message.labels += len(rows)
        message.bytes += body_bytes
        return message.done

    def mark(self) -> None:
        """Hand over what is gathered, then a mark of time to every partition."""
        for model in list(self._gathered):
            self._hand_over(model)
        value = msgspec.json.encode(TimeMark("clock", self.now_ms()))
        for partition in range(LABELS.partitions):
            self._publisher.publish(LABELS, value=value, partition=partition, headers=[(MARK, b"clock")])

    async def keep_time(self, up: Callable[[], bool]) -> None:
        """Mark time once a second while Kafka is there."""
        while True:
            if up():
                with contextlib.suppress(Refusal):  # the queue is full; the next mark says more
                    self.mark()
            await asyncio.sleep(MARK_SECONDS)

    def _ripen(self, model: str, message: _Message) -> None:
        if self._gathered.get(model) is message:
            self._hand_over(model)

    def _hand_over(self, model: str) -> None:
        message = self._gathered.pop(model)
        try:
            published = self._publisher.publish(
                LABELS,
                value=write_labels(concatenate(message.parts)),
                key=model,
                partition=partition_of(model, LABELS.partitions),
            )
        except Refusal as refusal:
            _settle(message.done, refusal)
            return
        published.add_done_callback(lambda done: _pass_on(done, message.done))


def _pass_on(published: asyncio.Future[int], waiting: asyncio.Future[int]) -> None:
    if waiting.done():
        return
    refusal = published.exception()
    if refusal is None:
        waiting.set_result(published.result())
    else:
        _settle(waiting, refusal)


def _settle(waiting: asyncio.Future[int], refusal: BaseException) -> None:
    if not waiting.done():
        waiting.set_exception(refusal)
        waiting.exception()  # those who waited may have gone
