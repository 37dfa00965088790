"""Sending what somebody waits for: each message at once, or, where there are many, together."""

import time

from confluent_kafka import Producer

from atalaia.settings import KafkaSettings
from atalaia.stream.clients import Config, producer
from atalaia.stream.deadletters import Headers

GATHERED_MS = 1.0
"""How long the first of a batch waits for others."""

WORTHWHILE = 4
"""So many messages have to come in that time; with fewer, waiting costs more than it saves."""

FULL = 32
"""A batch of so many waits for no more."""

STICKY_BYTES = 16_384
"""After so many the next partition's turn comes."""

_WINDOW_SECONDS = 0.01


class Pace:
    """Whether messages come as fast as makes gathering worthwhile. Pure.

    Counted over ten milliseconds: answers come in bursts, and what follows them comes so too.

    >>> pace = Pace()
    >>> [pace.fast(place * 0.001) for place in range(100)][-1]  # one in a millisecond
    False
    >>> [pace.fast(1.0 + place * 0.0001) for place in range(100)][-1]  # ten
    True
    """

    def __init__(self) -> None:
        self._since = self._count = self._before = 0.0

    def fast(self, now: float) -> bool:
        """Count a message that comes ``now``, in seconds of any clock that goes on."""
        passed = now - self._since
        if passed >= _WINDOW_SECONDS:
            self._before = self._count if passed < 2 * _WINDOW_SECONDS else 0
            self._since, self._count = now, 0
        self._count += 1
        return max(self._before, self._count) > WORTHWHILE * _WINDOW_SECONDS * 1000 / GATHERED_MS


class StickyPartition:
    """The partition of messages that may lie on any: the same for many in a row, so that they leave together.

    Spread by their keys, messages that come at the same time would leave in as many batches as there are
    partitions. The partition changes with a batch and never within one: it would become two, and neither of
    them full. Pure. Source: KIP-794, Strictly Uniform Sticky Partitioner.

    Parameters
    ----------
    partitions : how many there are
    first : where to begin

    >>> sticky = StickyPartition(3)
    >>> [sticky.take(6_000, now) for now in (0.0, 0.0004, 0.0008, 0.0009, 0.002, 0.1, 0.2, 0.3)]
    [0, 0, 0, 0, 1, 1, 1, 2]
    """

    def __init__(self, partitions: int, *, first: int = 0) -> None:
        self._partitions = partitions
        self._partition = first
        self._sticky_bytes = 0
        self._batch_messages = 0
        self._batch_began = 0.0

    def take(self, size: int, now: float) -> int:
        """The partition of a message of ``size`` bytes, at a time of any clock that goes on, in seconds."""
        if self._batch_messages >= FULL or now - self._batch_began > GATHERED_MS / 1000:
            self._batch_messages, self._batch_began = 0, now
            if self._sticky_bytes >= STICKY_BYTES:
                self._sticky_bytes = 0
                self._partition = (self._partition + 1) % self._partitions
        self._batch_messages += 1
        self._sticky_bytes += size
        return self._partition


class Dispatcher:
    """A producer of messages that somebody waits for.

    A batch takes broker and reader about as long as one message does. So where many are sent, messages that
    each leave at once have all of them wait longer than the millisecond in which they are gathered. Where few
    are, that millisecond is all that would be felt. librdkafka's producers do one or the other, so there are
    two; messages of one and the other are in no order.

    Parameters
    ----------
    overrides : settings of both, but for how they gather
    """

    def __init__(self, kafka: KafkaSettings, **overrides: object) -> None:
        config: Config = overrides
        self._prompt: Producer = producer(kafka, **{**config, "linger.ms": 0})
        self._gathering: Producer = producer(
            kafka,
            **{
                **config,
                "linger.ms": GATHERED_MS,
                "batch.num.messages": FULL,
                "max.in.flight.requests.per.connection": 5,
            },
        )
        self._pace = Pace()

    def __len__(self) -> int:
        """Messages that are not acknowledged yet."""
        return len(self._prompt) + len(self._gathering)

    def send(
        self, topic: str, *, key: bytes | None, value: bytes | None, partition: int, headers: Headers
    ) -> None:
        """Hand over a message.

        Raises
        ------
        BufferError, KafkaException
            as producers do.
        """
        chosen = self._gathering if self._pace.fast(time.monotonic()) else self._prompt
        chosen.produce(topic, key=key, value=value, partition=partition, headers=headers)

    def poll(self, seconds: float) -> None:
        """Serve delivery reports, for at most so long where there are none."""
        self._gathering.poll(0)
        self._prompt.poll(seconds)

    def flush(self, seconds: float) -> None:
        """Wait until all is acknowledged, for at most so long with each of the two."""
        self._prompt.flush(seconds)
        self._gathering.flush(seconds)
