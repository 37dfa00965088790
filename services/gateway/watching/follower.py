"""The thread that follows what the monitors publish and what people recorded about it."""

import asyncio
import threading
from collections.abc import Callable

import structlog
from confluent_kafka import KafkaException, Message

from atalaia.errors import StreamUnavailable
from atalaia.settings import KafkaSettings
from atalaia.stream.logs import LogReader
from atalaia.telemetry import metrics
from atalaia.topics import ALERTS, DRIFT, FAIRNESS, PERFORMANCE, SILENCES, Topic
from services.gateway.watching.alertbook import AlertBook
from services.gateway.watching.windows import WindowIndex

_log = structlog.get_logger()
_RETRY_SECONDS = 0.5

RESULTS: dict[str, Topic] = {topic.name: topic for topic in (DRIFT, PERFORMANCE, FAIRNESS)}
"""The monitors whose results are held, by name."""


class Follower:
    """Reads the topics of results, alerts and silences from their beginning on, into memory.

    Parameters
    ----------
    index, book : where they go
    """

    def __init__(self, kafka: KafkaSettings, index: WindowIndex, book: AlertBook) -> None:
        self._kafka = kafka
        self._index = index
        self._book = book
        self._positions: dict[str, int] = {}
        self._moved = threading.Condition()
        self._read = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="results", daemon=True)

    @property
    def ready(self) -> bool:
        """Whether all has been read once to its end."""
        return self._read.is_set()

    def start(self) -> None:
        """Begin; Kafka may be away."""
        self._thread.start()

    def stop(self) -> None:
        """End, within a few seconds."""
        self._stop.set()
        self._thread.join(5.0)

    async def reach(self, topic: Topic, offset: int, *, timeout_seconds: float = 2.0) -> None:
        """Wait until a position was read, so that who wrote there finds it; in vain for at most so long."""
        name = self._kafka.topic_prefix + topic.name
        await asyncio.to_thread(self._wait, name, offset, timeout_seconds)

    def _wait(self, topic: str, offset: int, timeout_seconds: float) -> None:
        with self._moved:
            self._moved.wait_for(lambda: self._positions.get(topic, -1) >= offset, timeout_seconds)

    def _run(self) -> None:
        said = ""
        while not self._stop.is_set():
            try:
                with LogReader(self._kafka, (*RESULTS.values(), ALERTS, SILENCES)) as reader:
                    self._follow(reader)
            except (StreamUnavailable, KafkaException) as error:
                if str(error) != said:
                    said = str(error)
                    _log.warning("results cannot be read, trying again", reason=said)
                self._stop.wait(_RETRY_SECONDS)

    def _follow(self, reader: LogReader) -> None:
        takers: dict[str, Callable[[Message], None]] = {
            self._kafka.topic_prefix + name: _taker(self._index, name) for name in RESULTS
        }
        takers[self._kafka.topic_prefix + ALERTS.name] = lambda message: self._book.take_event(
            message.value() or b""
        )
        takers[self._kafka.topic_prefix + SILENCES.name] = lambda message: self._book.take_record(
            (message.key() or b"").decode("utf-8", "replace"), message.value()
        )
        while not self._stop.is_set():
            for message in reader.read(timeout_seconds=0.2):
                self._take(takers, message)
            if reader.at_end:
                self._read.set()
            metrics.GATEWAY_KEPT_WINDOWS.set(self._index.windows)
            metrics.GATEWAY_KEPT_WINDOW_BYTES.set(self._index.bytes)

    def _take(self, takers: dict[str, Callable[[Message], None]], message: Message) -> None:
        topic, offset = message.topic() or "", message.offset() or 0
        try:
            takers[topic](message)
        except ValueError as error:
            _log.warning("record skipped", topic=topic, offset=offset, reason=str(error))
        with self._moved:
            self._positions[topic] = offset
            self._moved.notify_all()


def _taker(index: WindowIndex, monitor: str) -> Callable[[Message], None]:
    return lambda message: index.take(monitor, message.value() or b"")
