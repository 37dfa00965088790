"""One sink's own reader of the topic of alerts."""

import random
import threading
import time

import msgspec
import structlog
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from atalaia.alerts import AlertEvent
from atalaia.errors import Refusal, StreamUnavailable
from atalaia.settings import AlertsServiceSettings, KafkaSettings
from atalaia.stream.clients import consumer
from atalaia.stream.positions import bounds_of
from atalaia.topics import ALERTS
from services.alerts import metrics
from services.alerts.backoff import Backoff
from services.alerts.breaker import Breaker
from services.alerts.delivery import Delivery
from services.alerts.errors import Interrupted, NotAnEvent, NotDelivered, Undeliverable
from services.alerts.letters import DeadLetters
from services.alerts.recorded import Recorded
from services.alerts.seen import Seen
from services.alerts.sinks.base import Sink

REMEMBERED = 1_000
"""Events before its position by which a sink knows repeats."""

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0
_POLL_SECONDS = 0.1
_KAFKA_SECONDS = 10.0
_RESTART_SECONDS = 2.0

_log = structlog.get_logger()


class Feed:
    """Hands every event to one sink, in a thread and a consumer group of its own: none waits for another.

    The position moves when the sink has taken an event, or its dead letter is written. A group without a
    position begins at the end: nobody is called for what was over before. Events just before the position
    are read again at every start, to know repeats of them; a sink may ask for all that is retained.

    Parameters
    ----------
    recorded : what people said of alerts
    """

    def __init__(
        self, kafka: KafkaSettings, settings: AlertsServiceSettings, sink: Sink, recorded: Recorded
    ) -> None:
        self.sink = sink
        self._kafka = kafka
        self._member = f"{kafka.topic_prefix}alerts-{sink.name}-{settings.worker}"
        self._topic = kafka.topic_prefix + ALERTS.name
        self._recorded = recorded
        self._letters = DeadLetters(kafka, sink.name)
        self._seen = Seen(REMEMBERED)
        self._breaker = Breaker(
            failures=settings.breaker_failures, pause_seconds=settings.breaker_pause, now=time.monotonic
        )
        self._delivery = Delivery(
            attempts=settings.sink_attempts,
            backoff=Backoff(
                first_seconds=FIRST_WAIT_SECONDS, most_seconds=LONGEST_WAIT_SECONDS, random=random.random
            ),
            breaker=self._breaker,
            wait=self._wait,
            on_failure=self._failed,
        )
        self._consumer: Consumer | None = None
        self._owned = False
        self._deliver_from = 0
        self._read_to = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"sink-{sink.name}", daemon=True)

    def start(self) -> None:
        """Begin; Kafka may be away."""
        self._thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """End after the attempt under way, or when the time is up."""
        self._stopping.set()
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow()
            except Exception:  # noqa: BLE001 - whatever ails one sink must not end the others, nor itself
                _log.exception("sink begins again", sink=self.sink.name)
                self._stopping.wait(_RESTART_SECONDS)

    def _follow(self) -> None:
        while not self._recorded.wait(_POLL_SECONDS):
            if self._stopping.is_set():
                return
        client = self._consumer = consumer(
            self._kafka,
            **{
                "group.id": self._member.rpartition("-")[0],
                # A process that is started again takes its partition back at once, whatever ended it.
                "group.instance.id": self._member,
                "group.protocol": "classic",
                "session.timeout.ms": 6_000,
                "heartbeat.interval.ms": 1_000,
                "max.poll.interval.ms": 60_000,
                "fetch.wait.max.ms": 20,
            },
        )
        try:
            client.subscribe(
                [self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
            )
            while not self._stopping.is_set():
                message = client.poll(_POLL_SECONDS)
                if message is not None:
                    self._take(client, message)
                self._between(client)
        finally:
            self._owned = False
            client.close()

    def _take(self, client: Consumer, message: Message) -> None:
        error = message.error()
        if error is not None:
            if error.fatal() or not error.retriable():
                raise StreamUnavailable(f"cannot read {self._topic}: {error}")
            return
        try:
            event = msgspec.json.decode(message.value() or b"", type=AlertEvent)
        except msgspec.DecodeError as why:
            event = None
            reason = str(why)
        else:
            reason = ""
        offset = self._read_to = message.offset() or 0
        if offset < self._deliver_from:
            if event is not None:
                self._seen.add(event.id)
                self.sink.recall(event)
            return
        if event is None:
            self._bury(message, NotAnEvent(f"not an alert event: {reason}"))
        elif event.id in self._seen:
            self._count("duplicate")
        else:
            try:
                self._hand_on(message, event)
            except Interrupted:
                return
            self._seen.add(event.id)
        self._commit(client, offset + 1)

    def _hand_on(self, message: Message, event: AlertEvent) -> None:
        metrics.EVENTS.labels(self.sink.name, event.monitor, event.status).inc()
        try:
            # Silences are looked up for every attempt: one may begin while a sink does not answer.
            taken = self._delivery.run(lambda: self.sink.take(self._recorded.show(event)))
        except NotDelivered as error:
            self._bury(message, Undeliverable(f"{self.sink.name}: {error.reason}"))
            return
        finally:
            self._show_breaker()
        self._count(taken)
        if taken == "delivered":
            published_ms = message.timestamp()[1]
            metrics.DELIVERY.labels(self.sink.name).observe(max(0.0, time.time() - published_ms / 1000))

    def _bury(self, message: Message, refusal: Refusal) -> None:
        self._letters.put(message, refusal)
        self._count("dead")
        _log.error("alert not handed on", sink=self.sink.name, offset=message.offset(), reason=refusal.detail)

    def _between(self, client: Consumer) -> None:
        """What is done now and then: say again what has to be, once all earlier events are known."""
        if not self._owned:
            return
        end = client.get_watermark_offsets(TopicPartition(self._topic, 0), cached=True)[1]
        metrics.LAG.labels(self.sink.name).set(max(0, end - self._deliver_from))
        self._show_breaker()
        if self._read_to + 1 < self._deliver_from or self._breaker.wait_seconds > 0:
            return
        try:
            self.sink.repeat(self._recorded.show)
        except NotDelivered as error:
            self._failed(error)
            self._breaker.fail()

    def _commit(self, client: Consumer, position: int) -> None:
        self._deliver_from = position
        try:
            client.commit(offsets=[TopicPartition(self._topic, 0, position)], asynchronous=False)
        except KafkaException as error:
            # A later commit says the same; where none follows the event is offered once more.
            _log.warning("position not stored", sink=self.sink.name, reason=str(error.args[0]))

    def _assigned(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        if partitions:
            self._begin(client)
        metrics.UP.labels(self.sink.name).set(1)

    def _begin(self, client: Consumer) -> None:
        """Where the sink stands; read again from before it."""
        place = TopicPartition(self._topic, 0)
        [stored] = client.committed([place], timeout=_KAFKA_SECONDS)
        first, end = bounds_of(client, place, timeout_seconds=_KAFKA_SECONDS)
        known = stored.offset >= 0
        position = min(max(stored.offset, first), end) if known else end
        if not known:
            client.commit(offsets=[TopicPartition(self._topic, 0, position)], asynchronous=False)
        start = first if self.sink.recalls_all else max(first, position - REMEMBERED)
        client.assign([TopicPartition(self._topic, 0, start)])
        self._deliver_from, self._read_to = position, start - 1
        self._owned = True
        _log.info("sink reads", sink=self.sink.name, position=position, since=start)

    def _revoked(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        del client, partitions
        self._owned = False
        metrics.UP.labels(self.sink.name).set(0)

    def _wait(self, seconds: float) -> bool:
        """Wait as a member of the group: asked for nothing, but heard; False where this must end."""
        client = self._consumer
        assert client is not None  # noqa: S101 - only a message of its leads here
        place = [TopicPartition(self._topic, 0)]
        client.pause(place)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._show_breaker()
            client.poll(min(_POLL_SECONDS, left))
            if self._stopping.is_set() or not self._owned:
                return False
        metrics.RETRIES.labels(self.sink.name).inc()
        client.resume(place)
        return True

    def _failed(self, error: NotDelivered) -> None:
        metrics.FAILURES.labels(self.sink.name).inc()
        _log.warning("sink failed", sink=self.sink.name, reason=error.reason)

    def _show_breaker(self) -> None:
        metrics.BREAKER.labels(self.sink.name).set(metrics.BREAKER_STATES[self._breaker.state])

    def _count(self, outcome: str) -> None:
        metrics.OUTCOMES.labels(self.sink.name, outcome).inc()
