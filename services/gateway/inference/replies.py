"""The thread that reads this process's partition of `replies`."""

import random
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from atalaia.settings import KafkaSettings
from atalaia.stream.clients import consumer
from atalaia.stream.headers import OUTCOME
from atalaia.telemetry.logs import KAFKA_LOGGER
from atalaia.topics import REPLIES

_log = structlog.get_logger()

_ANSWER_SECONDS = 2.0
_AT_ONCE = 500
_LOST = frozenset(
    {
        KafkaError.OFFSET_OUT_OF_RANGE,
        KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001 - librdkafka names its own codes so
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)
"""Errors after which the position means nothing and the end is asked for again."""


class Reply(NamedTuple):
    """A message of `replies`: the request's key, the response, and the header ``outcome``."""

    key: bytes
    value: bytes | None
    outcome: bytes | None


class _PositionLost(Exception):
    """The log is not the one we were reading."""


class ReplyReader:
    """Reads one partition of `replies` from the end it had when this process came, without a group.

    The end is asked for as a number and that number is assigned: assigning "end" would resolve it later,
    past the first replies.

    Parameters
    ----------
    on_address : told from the reader's thread which partition it reads, each time it begins
    on_replies : given what came, in order, from the reader's thread; must not block
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        *,
        on_address: Callable[[int], None],
        on_replies: Callable[[Sequence[Reply]], None],
    ) -> None:
        self._kafka = kafka
        self._topic = kafka.topic_prefix + REPLIES.name
        self._on_address = on_address
        self._on_replies = on_replies
        self._partition: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replies", daemon=True)

    def start(self) -> None:
        """Begin; Kafka may be away."""
        self._thread.start()

    def stop(self) -> None:
        """End, within a few seconds."""
        self._stop.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        said = ""
        while not self._stop.is_set():
            client = consumer(
                self._kafka,
                **{
                    "auto.offset.reset": "error",
                    "isolation.level": "read_uncommitted",
                    "fetch.error.backoff.ms": 50,
                    "fetch.wait.max.ms": 500,
                    "queued.max.messages.kbytes": 16_384,
                    "logger": KAFKA_LOGGER,
                },
            )
            try:
                self._assign(client)
                said = ""
                self._read(client)
            except (KafkaException, _PositionLost) as error:
                if str(error) != said:
                    said = str(error)
                    _log.warning("replies cannot be read, trying again", reason=said)
                self._stop.wait(0.3)
            finally:
                client.close()

    def _assign(self, client: Consumer) -> None:
        partitions = client.list_topics(self._topic, timeout=_ANSWER_SECONDS).topics[self._topic].partitions
        if not partitions:
            raise _PositionLost(f"topic {self._topic} is not there yet")
        partition = self._partition
        if partition is None or partition not in partitions:
            # Not by process id: in containers those are all alike.
            partition = self._partition = random.choice(list(partitions))  # noqa: S311 - no secret
        place = TopicPartition(self._topic, partition)
        end = client.get_watermark_offsets(place, timeout=_ANSWER_SECONDS)[1]
        client.assign([TopicPartition(self._topic, partition, end)])
        self._on_address(partition)

    def _read(self, client: Consumer) -> None:
        while not self._stop.is_set():
            first = client.poll(0.2)
            if first is None:
                continue
            # `consume` alone would wait for a whole batch; the first message waits for nobody.
            messages = [first, *client.consume(_AT_ONCE, 0)]
            replies = [_reply(message) for message in messages if not _failed(message)]
            if replies:
                self._on_replies(replies)


def _failed(message: Message) -> bool:
    error = message.error()
    if error is None:
        return False
    if error.code() in _LOST:
        raise _PositionLost(str(error))
    return True


def _reply(message: Message) -> Reply:
    headers = message.headers()
    outcome = dict(headers).get(OUTCOME) if headers else None
    return Reply(
        message.key() or b"", message.value(), outcome.encode() if isinstance(outcome, str) else outcome
    )
