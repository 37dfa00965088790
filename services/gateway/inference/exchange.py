"""Request and reply over Kafka: what is published waits here, by key, for its reply or its deadline."""

import asyncio
import contextlib
import random
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import structlog
from confluent_kafka import KafkaError, KafkaException, Message

from atalaia.errors import DeadlineExceeded, Refusal, TooLarge, TooManyRequests, Unavailable
from atalaia.settings import GatewaySettings, KafkaSettings
from atalaia.stream.deadletters import Headers
from atalaia.stream.dispatch import Dispatcher, StickyPartition
from atalaia.stream.headers import DEADLINE, MODEL, REPLY, RESULT, VERSION
from atalaia.telemetry import metrics
from atalaia.telemetry.logs import KAFKA_LOGGER
from atalaia.topics import REPLIES, REQUESTS
from services.gateway.inference.callers import Caller, Callers, Outcome, Tell
from services.gateway.inference.replies import Reply, ReplyReader

_log = structlog.get_logger()
Told = TypeVar("Told")

PULSE_SECONDS = 0.05
CHASE_SECONDS = 0.001
"""How often delivery reports are looked for while somebody waits for one, as for a 202."""
PING_SECONDS = 1.0
SILENCE_SECONDS = 3.0
"""Without a ping coming back for this long, Kafka counts as away."""

_PING = b"ping-"
_SERVED_TOGETHER = 32
"""Delivery reports are looked for once in so many requests, and with the pulse."""


class Exchange:
    """Publishes requests and hands each caller the reply to its own.

    Everything but the reader of replies runs on the event loop: delivery reports are served by a pulse and
    between requests, so a reply costs one switch of threads and an acknowledgement none.

    Kafka is known to be there by a ping a second that this process publishes to its own partition of
    `replies` and reads back. Without one for three seconds new requests are refused at once.

    Parameters
    ----------
    kafka, gateway : settings
    """

    def __init__(self, kafka: KafkaSettings, gateway: GatewaySettings) -> None:
        self._kafka = kafka
        self._deadline_seconds = gateway.deadline
        self._max_in_flight = gateway.max_in_flight
        self._requests = kafka.topic_prefix + REQUESTS.name
        self._replies = kafka.topic_prefix + REPLIES.name
        # Not where all gateways begin: they would follow each other from scorer to scorer.
        self._sticky = StickyPartition(REQUESTS.partitions, first=random.randrange(REQUESTS.partitions))  # noqa: S311
        self._callers = Callers()
        self._ping = _PING + uuid.uuid4().hex.encode()
        self._reader = ReplyReader(kafka, on_address=self._on_address, on_replies=self._on_replies)
        self._address: bytes | None = None
        self._heard_at = float("-inf")
        self._pinged_at = float("-inf")
        self._was_up = False
        self._broken: str | None = None
        self._pulse: asyncio.TimerHandle | None = None
        self._unacknowledged = self._unserved = 0
        self._chase: asyncio.TimerHandle | None = None

    @property
    def up(self) -> bool:
        """Whether what this process publishes comes back."""
        return time.monotonic() - self._heard_at < SILENCE_SECONDS

    @property
    def in_flight(self) -> int:
        """Callers waiting."""
        return len(self._callers)

    def start(self) -> None:
        """Begin, on the running event loop; Kafka may be away."""
        self._loop = asyncio.get_running_loop()
        self._producer = self._new_producer()
        self._reader.start()
        self._beat()

    def stop(self) -> None:
        """Stop reading and publishing."""
        for timer in (self._pulse, self._chase):
            if timer is not None:
                timer.cancel()
        self._reader.stop()
        self._producer.flush(1.0)

    def admit(self) -> None:
        """Say at once where a request could not be taken.

        Raises
        ------
        Unavailable, TooManyRequests
        """
        if not self.up:
            raise Unavailable("Kafka does not answer; the request was not accepted, send it again")
        if len(self._callers) >= self._max_in_flight:
            raise TooManyRequests(
                f"{self._max_in_flight} requests are in flight, as many as are allowed; send it again"
            )

    def post(
        self,
        key: bytes,
        value: bytes,
        tell: Tell,
        *,
        model: str,
        version: str | None,
        deadline_seconds: float | None = None,
        kept: bool = False,
    ) -> None:
        """Publish a request; ``tell`` takes its reply, or why there is none, on the event loop and once.

        ``deadline_seconds`` is how long it is waited for, where that is less than the exchange would;
        ``kept`` also has the answer kept on `results`.

        Raises
        ------
        Unavailable, TooManyRequests, TooLarge
            where the request was not accepted; nobody is told anything then. `Unavailable` and `TooLarge` may
            also be told, and `DeadlineExceeded` where the request was accepted and no reply came in time.
        """
        self.admit()
        seconds = self._deadline_seconds
        if deadline_seconds is not None:
            seconds = min(seconds, deadline_seconds)
        deadline_ms = int((time.time() + seconds) * 1000)
        headers: Headers = [
            (MODEL, model.encode()),
            (REPLY, self._address),
            (DEADLINE, str(deadline_ms).encode()),
        ]
        if kept:
            headers.append((RESULT, b"1"))
        caller = Caller(tell, seconds=seconds, until=time.monotonic() + seconds)
        self._publish(key, value, headers, version, caller)
        if seconds < self._deadline_seconds:
            caller.timer = self._loop.call_later(seconds, self._expire, key)

    async def ask(
        self, key: bytes, value: bytes, *, model: str, version: str | None, kept: bool = False
    ) -> Reply:
        """`post` a request and wait for its reply.

        Raises
        ------
        Unavailable, TooManyRequests, TooLarge, DeadlineExceeded
            as `post` raises and tells.
        """
        reply: asyncio.Future[Reply] = self._loop.create_future()
        self.post(key, value, partial(_settle, reply), model=model, version=version, kept=kept)
        try:
            return await reply
        finally:
            self._callers.remove(key)

    async def ask_later(
        self,
        key: bytes,
        value: bytes,
        accept: Callable[[], None],
        *,
        model: str,
        version: str | None,
        wait_seconds: float,
    ) -> Reply | None:
        """Publish a request whose answer is kept, and return once Kafka has it; `accept` is called then.

        The reply where it comes within ``wait_seconds``, else None. It has no deadline.

        Raises
        ------
        Unavailable, TooManyRequests, TooLarge
            where the request was not accepted.
        """
        self.admit()
        reply: asyncio.Future[Reply] = self._loop.create_future()
        accepted: asyncio.Future[None] = self._loop.create_future()
        seconds = self._deadline_seconds
        until = time.monotonic() + seconds
        caller = Caller(partial(_settle, reply), seconds=seconds, until=until, accepted=accepted)
        headers: Headers = [(MODEL, model.encode()), (RESULT, b"1")]
        if wait_seconds:
            headers.append((REPLY, self._address))
        self._publish(key, value, headers, version, caller)
        try:
            await self._acknowledged(accepted)
            accept()
            if not wait_seconds:
                return None
            caller.until = None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_seconds):
                    return await reply
            return None
        finally:
            reply.cancel()
            if self._callers.find(key) is caller:  # and not one who repeats the request meanwhile
                self._callers.remove(key)

    def _publish(
        self, key: bytes, value: bytes, headers: Headers, version: str | None, caller: Caller
    ) -> None:
        if version is not None:
            headers.append((VERSION, version.encode()))
        self._callers.add(key, caller)  # before Kafka can have it, and say so
        try:
            self._producer.send(
                self._requests,
                key=key,
                value=value,
                partition=self._sticky.take(len(value), time.monotonic()),
                headers=headers,
            )
        except BufferError as error:
            self._callers.remove(key)
            raise TooManyRequests("the queue to Kafka is full; send the request again") from error
        except KafkaException as error:
            self._callers.remove(key)
            raise _not_accepted(error.args[0]) from error
        self._unserved += 1
        if self._unserved >= _SERVED_TOGETHER:
            self._serve()

    def _serve(self) -> None:
        """Hear what became of what was published."""
        self._unserved = 0
        self._producer.poll(0)

    async def _acknowledged(self, accepted: asyncio.Future[None]) -> None:
        """Wait for Kafka's word, and look for it meanwhile: the pulse comes too seldom for who waits."""
        self._unacknowledged += 1
        if self._chase is None:
            self._chase = self._loop.call_later(CHASE_SECONDS, self._look)
        try:
            await accepted
        finally:
            self._unacknowledged -= 1

    def _look(self) -> None:
        self._serve()
        self._chase = self._loop.call_later(CHASE_SECONDS, self._look) if self._unacknowledged else None

    def _expire(self, key: bytes) -> None:
        """Tell a caller, unless the reply was quicker, that there is none."""
        self._serve()
        caller = self._callers.remove(key)
        if caller is None:
            return
        waited = f"within {caller.seconds:g} s"
        if caller.acknowledged:
            caller.refuse(DeadlineExceeded(f"the request was accepted, but no reply came {waited}"))
        elif caller.seconds < self._deadline_seconds:
            caller.refuse(
                DeadlineExceeded(f"Kafka did not acknowledge the request {waited}; it may still be accepted")
            )
        else:
            caller.refuse(Unavailable(f"Kafka did not acknowledge the request {waited}; it was not accepted"))

    # -- from Kafka --------------------------------------------------------------------------------------

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        key = message.key()
        assert isinstance(key, bytes)  # noqa: S101 - nothing is published without one
        if error is not None:
            caller = self._callers.remove(key)
            if caller is not None:
                caller.refuse(_not_accepted(error))
        else:
            caller = self._callers.find(key)
            if caller is not None:
                caller.acknowledge()

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._broken = str(error)

    def _on_replies(self, replies: Sequence[Reply]) -> None:
        self._tell(self._deliver, replies)

    def _on_address(self, partition: int) -> None:
        self._tell(self._take_address, partition)

    def _tell(self, what: Callable[[Told], None], told: Told) -> None:
        try:
            self._loop.call_soon_threadsafe(what, told)
        except RuntimeError:
            _log.debug("the event loop is closed; a reply came too late to be delivered")

    def _take_address(self, partition: int) -> None:
        _log.info("listening for replies", partition=partition)
        self._address = str(partition).encode()
        self._send_ping()

    def _deliver(self, replies: Sequence[Reply]) -> None:
        heard = False
        for reply in replies:
            caller = self._callers.remove(reply.key)
            if caller is not None:
                heard = True
                caller.answer(reply)
            elif reply.key == self._ping:
                heard = True
            elif not reply.key.startswith(_PING):
                metrics.GATEWAY_UNCLAIMED_REPLIES.inc()
        if heard:
            self._heard_at = time.monotonic()

    # -- the pulse ---------------------------------------------------------------------------------------

    def _beat(self) -> None:
        self._pulse = self._loop.call_later(PULSE_SECONDS, self._beat)
        self._serve()
        for key in self._callers.overdue(time.monotonic()):
            self._expire(key)
        if self._broken is not None:
            _log.error("producer is broken, taking another", reason=self._broken)
            self._broken = None
            self._producer = self._new_producer()
        if self._address is not None and time.monotonic() - self._pinged_at >= PING_SECONDS:
            self._send_ping()
        if self.up != self._was_up:
            self._was_up = not self._was_up
            if self._was_up:
                _log.info("Kafka answers")
            else:
                _log.warning("Kafka does not answer; requests are refused until it does")
        metrics.GATEWAY_KAFKA_UP.set(self._was_up)
        metrics.GATEWAY_IN_FLIGHT.set(len(self._callers))
        metrics.GATEWAY_QUEUE.set(len(self._producer))

    def _send_ping(self) -> None:
        self._pinged_at = time.monotonic()
        assert self._address is not None  # noqa: S101 - a ping has somewhere to go
        try:
            self._producer.send(
                self._replies, key=self._ping, value=None, partition=int(self._address), headers=[]
            )
        except (BufferError, KafkaException) as error:
            _log.debug("ping not sent", reason=str(error))

    def _new_producer(self) -> Dispatcher:
        return Dispatcher(
            self._kafka,
            **{
                # What comes while a batch is under way makes up the next: alone, a request waits for nobody;
                # many leave together.
                "max.in.flight.requests.per.connection": 1,
                "delivery.timeout.ms": max(round(self._deadline_seconds * 1000), 1000),
                "queue.buffering.max.messages": self._max_in_flight + 100,
                "on_delivery": self._on_delivery,
                "error_cb": self._on_error,
                "logger": KAFKA_LOGGER,
            },
        )


def _settle(reply: asyncio.Future[Reply], outcome: Outcome) -> None:
    if reply.done():
        return
    if isinstance(outcome, Refusal):
        reply.set_exception(outcome)
    else:
        reply.set_result(outcome)


def _not_accepted(error: KafkaError) -> Unavailable | TooLarge:
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return TooLarge("the request is larger than Kafka takes: send fewer rows a request")
    return Unavailable(f"Kafka did not take the request ({error.str()}); it was not accepted")
