"""What this process writes beside requests, each message told once Kafka holds it."""

import asyncio
from functools import partial

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from atalaia.errors import Refusal, TooLarge, TooManyRequests, Unavailable
from atalaia.settings import KafkaSettings
from atalaia.stream.clients import producer
from atalaia.stream.deadletters import Headers
from atalaia.telemetry.logs import KAFKA_LOGGER
from atalaia.topics import Topic

_log = structlog.get_logger()

BUSY_SECONDS = 0.003
IDLE_SECONDS = 0.05
"""How often delivery reports are served, with something under way and without."""


class Publisher:
    """Publishes in the order it is called, and says of each message when all replicas have it.

    It runs on the event loop alone; nothing here waits for Kafka.

    Parameters
    ----------
    timeout_seconds : after which a message that Kafka has not acknowledged counts as not accepted
    max_messages : not yet acknowledged, beyond which nothing is taken
    """

    def __init__(self, kafka: KafkaSettings, *, timeout_seconds: float, max_messages: int) -> None:
        self._kafka = kafka
        self._timeout_seconds = timeout_seconds
        self._max_messages = max_messages
        self._broken: str | None = None
        self._pulse: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, on the running event loop; Kafka may be away."""
        self._loop = asyncio.get_running_loop()
        self._producer = self._new_producer()
        self._beat()

    def stop(self) -> None:
        """Stop publishing."""
        if self._pulse is not None:
            self._pulse.cancel()
            self._producer.flush(1.0)

    def publish(
        self,
        topic: Topic,
        *,
        value: bytes,
        key: str | None = None,
        partition: int = 0,
        headers: Headers | None = None,
    ) -> asyncio.Future[int]:
        """Hand over a message; the future has its offset once it is durable, or the refusal.

        Raises
        ------
        Unavailable, TooManyRequests, TooLarge
            where it was not even handed over.
        """
        future: asyncio.Future[int] = self._loop.create_future()
        # Whoever asked may have gone; what was refused is then nobody's.
        future.add_done_callback(_retrieve)
        try:
            self._producer.produce(
                self._kafka.topic_prefix + topic.name,
                value=value,
                key=None if key is None else key.encode(),
                partition=partition,
                headers=headers or [],
                on_delivery=partial(_tell, future),
            )
        except BufferError as error:
            raise TooManyRequests("the queue to Kafka is full; send it again") from error
        except KafkaException as error:
            raise _not_accepted(error.args[0]) from error
        self._producer.poll(0)
        self._loop.call_later(self._timeout_seconds + 1.0, _expire, future)
        if self._pulse is not None:
            self._pulse.cancel()
        self._pulse = self._loop.call_later(BUSY_SECONDS, self._beat)
        return future

    def _beat(self) -> None:
        self._producer.poll(0)
        if self._broken is not None:
            _log.error("producer of labels is broken, taking another", reason=self._broken)
            self._broken = None
            self._producer = self._new_producer()
        seconds = BUSY_SECONDS if len(self._producer) else IDLE_SECONDS
        self._pulse = self._loop.call_later(seconds, self._beat)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._broken = str(error)

    def _new_producer(self) -> Producer:
        return producer(
            self._kafka,
            **{
                "linger.ms": 0,
                "delivery.timeout.ms": max(round(self._timeout_seconds * 1000), 1000),
                "queue.buffering.max.messages": self._max_messages,
                "error_cb": self._on_error,
                "logger": KAFKA_LOGGER,
            },
        )


def _tell(future: asyncio.Future[int], error: KafkaError | None, message: Message) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(message.offset() or 0)
    else:
        future.set_exception(_not_accepted(error))


def _expire(future: asyncio.Future[int]) -> None:
    if not future.done():
        future.set_exception(Unavailable("Kafka did not acknowledge in time; it was not accepted"))


def _retrieve(future: asyncio.Future[int]) -> None:
    if not future.cancelled():
        future.exception()


def _not_accepted(error: KafkaError) -> Refusal:
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return TooLarge("this is larger than Kafka takes: send fewer at a time")
    return Unavailable(f"Kafka did not take it ({error.str()}); it was not accepted")
