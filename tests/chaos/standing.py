"""How far the monitors have come, as Redis and Kafka tell it from outside."""

import time
from types import TracebackType
from typing import Self

from confluent_kafka import TopicPartition

from atalaia.replay.monitors import RedisFences, Standing, caught_up
from atalaia.runtime.services import MONITORS
from atalaia.settings import Settings
from atalaia.stream.clients import consumer
from atalaia.stream.partitioner import partition_of
from atalaia.stream.positions import bounds_of
from atalaia.topics import LABELS, OBSERVATIONS, Topic

from .watched import NAME

_LOOK_SECONDS = 0.1
_TRUTH = "fairness"


class Monitors:
    """Looks at fences and ends of topics."""

    def __init__(self, settings: Settings) -> None:
        self._prefix = settings.kafka.topic_prefix
        self._fences = RedisFences(settings.redis.url or "")
        self._client = consumer(settings.kafka)
        self._partition = partition_of(NAME, OBSERVATIONS.partitions)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._fences.close()
        self._client.close()

    def end(self, topic: Topic, *, timeout_seconds: float = 60.0) -> int:
        """Where the model's partition of a topic ends."""
        place = TopicPartition(self._prefix + topic.name, self._partition)
        return bounds_of(self._client, place, timeout_seconds=timeout_seconds)[1]

    def behind(self, observations: int, labels: int | None = None) -> list[str]:
        """The monitors that have not taken, and told, all before some positions."""
        found = []
        for service in MONITORS:
            wanted = {OBSERVATIONS.name: observations}
            if service == _TRUTH and labels is not None:
                wanted[LABELS.name] = labels
            if not caught_up(self._standings(service), wanted):
                found.append(service)
        return found

    def passed(self, observations: int) -> bool:
        """Whether every monitor has taken a message beyond a position, whatever it has yet to publish."""
        return all(
            any(one.positions.get(OBSERVATIONS.name, 0) > observations for one in self._standings(service))
            for service in MONITORS
        )

    def wait(self, *, timeout_seconds: float) -> list[str]:
        """Wait until all have taken what lies there now; those that have not when the time is up."""
        observations, labels = self.end(OBSERVATIONS), self.end(LABELS)
        until = time.monotonic() + timeout_seconds
        while (behind := self.behind(observations, labels)) and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
        return behind

    def _standings(self, service: str) -> list[Standing]:
        return self._fences.standings(service, self._partition)
