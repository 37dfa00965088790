"""The thread that takes `results` into Redis, where every gateway finds them."""

import contextlib
import threading
import time
from functools import partial

import redis
import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry

from atalaia.settings import KafkaSettings
from atalaia.stream.clients import consumer
from atalaia.telemetry.logs import KAFKA_LOGGER
from atalaia.topics import RESULTS
from services.gateway.kept.memory import KEPT_MS, Names
from services.gateway.kept.scripts import read_script
from services.gateway.kept.shown import Shown

_log = structlog.get_logger()

_AT_ONCE = 500
_WRITTEN_AT_ONCE = 50
"""More would keep the event loop and Redis from those who wait for them, for a millisecond at a time."""
_RETRY_SECONDS = 0.5
_LOOK_SECONDS = 1.0
"""How often Redis is asked whether it still knows what it was given."""


class _Forgotten(Exception):
    """Redis does not hold the positions this process was given: it was wiped, or is another."""


class ResultKeeper:
    """One of the group of gateways that share the partitions of `results`.

    Answers and the position behind them are written together, so a Redis that was lost or set back is filled
    again from where it stands. Taking an answer in twice changes nothing, so no gateway can do harm.

    Parameters
    ----------
    shown : the answers this process has put there itself, which are passed over
    """

    def __init__(self, kafka: KafkaSettings, redis_url: str, shown: Shown) -> None:
        self._kafka = kafka
        self._shown = shown
        self._topic = kafka.topic_prefix + RESULTS.name
        self._names = Names(kafka.topic_prefix)
        self._url = redis_url
        self._positions: dict[int, int] = {}
        self._looked_at = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="results", daemon=True)

    def start(self) -> None:
        """Begin; Kafka and Redis may be away."""
        self._thread.start()

    def stop(self) -> None:
        """End, within a few seconds."""
        self._stop.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        said = ""
        while not self._stop.is_set():
            try:
                with contextlib.closing(connect(self._url)) as store:
                    self._keep_all(store)
                said = ""
            except (KafkaException, redis.RedisError, _Forgotten) as error:
                if str(error) != said:
                    said = str(error)
                    _log.warning("results cannot be kept, trying again", reason=said)
                self._stop.wait(_RETRY_SECONDS)

    def _keep_all(self, store: redis.Redis) -> None:
        """Read the partitions that are ours, until the end or until something is wrong."""
        client = consumer(
            self._kafka,
            **{
                "group.id": f"{self._kafka.topic_prefix}gateway-results",
                "partition.assignment.strategy": "range",
                "session.timeout.ms": 6_000,
                # Also how long the group waits for one that began to join and is gone, as of a killed Kafka.
                "max.poll.interval.ms": 15_000,
                "heartbeat.interval.ms": 500,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 20,
                "logger": KAFKA_LOGGER,
            },
        )
        try:
            client.subscribe([self._topic], on_assign=partial(self._assign, store))
            self._keep(client, store)
        finally:
            # Partitions given in its last moment are looked up in a Redis that may be away.
            with contextlib.suppress(KafkaException, redis.RedisError):
                client.close()

    def _assign(self, store: redis.Redis, client: Consumer, assigned: list[TopicPartition]) -> None:
        """Go on where Redis stands; each partition has a position from now on, which tells of a wipe."""
        for entry in assigned:
            store.set(self._names.position(entry.partition), 0, nx=True)
        self._positions = {entry.partition: self._stored(store, entry.partition) for entry in assigned}
        self._shown.forget()  # what was shown before the positions were read may be gone
        client.assign(
            [
                TopicPartition(self._topic, partition, position if position > 0 else OFFSET_BEGINNING)
                for partition, position in self._positions.items()
            ]
        )

    def _stored(self, store: redis.Redis, partition: int) -> int:
        found = store.get(self._names.position(partition))
        return int(found) if isinstance(found, bytes) else -1

    def _keep(self, client: Consumer, store: redis.Redis) -> None:
        write = store.register_script(read_script("keep"))
        while not self._stop.is_set():
            first = client.poll(0.1)
            if first is not None:
                messages = [first, *client.consume(_AT_ONCE, 0)]
                self._store([entry for entry in messages if entry.error() is None], write)
            if time.monotonic() - self._looked_at > _LOOK_SECONDS:
                self._look(store)

    def _store(self, messages: list[Message], write: Script) -> None:
        """Write answers and the positions behind them, unless Redis has lost what came before.

        Positions go with the last of the answers: behind what is written they would hide what is not.
        """
        now_ms = time.time_ns() // 1_000_000
        ends: dict[int, int] = {}
        answers: list[str] = []
        values: list[bytes | int] = []
        for message in messages:
            key, value, partition = message.key(), message.value(), message.partition() or 0
            ends[partition] = (message.offset() or 0) + 1
            if key and value and not self._shown.take(key):
                left_ms = message.timestamp()[1] + KEPT_MS - now_ms
                if left_ms > 0:
                    answers.append(self._names.answer(key.decode("utf-8", "replace")))
                    values += value, left_ms
        if not ends:
            return
        while len(answers) > _WRITTEN_AT_ONCE:
            write(answers[:_WRITTEN_AT_ONCE], [0, *values[: 2 * _WRITTEN_AT_ONCE]])
            del answers[:_WRITTEN_AT_ONCE], values[: 2 * _WRITTEN_AT_ONCE]
        moves = [step for entry, end in ends.items() for step in (self._positions.get(entry, 0), end)]
        lost = write([*map(self._names.position, ends), *answers], [len(ends), *moves, *values])
        if lost:
            raise _forgotten(list(ends)[lost - 1])
        self._positions.update(ends)

    def _look(self, store: redis.Redis) -> None:
        """What was given must still be there: else it is given again."""
        self._looked_at = time.monotonic()
        for partition, position in self._positions.items():
            if self._stored(store, partition) < position:
                raise _forgotten(partition)


def connect(redis_url: str) -> redis.Redis:
    """One connection that says so when it breaks, and is not made anew behind our back.

    A Redis that comes back has lost its last second: what was shown in it has to be read again.
    """
    never = Retry(NoBackoff(), 0)
    return redis.Redis.from_url(redis_url, socket_timeout=5.0, single_connection_client=True, retry=never)


def _forgotten(partition: int) -> _Forgotten:
    return _Forgotten(f"Redis has lost what was kept of results {partition}; it is filled again")
