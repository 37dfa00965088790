"""A worker of monitors that takes a log written beforehand, measured by the fences it stores."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import psutil
from confluent_kafka import TopicPartition

from atalaia.runtime.machine import Machine
from atalaia.stream.clients import consumer
from atalaia.topics import OBSERVATIONS, Topic
from bench import rig
from bench.observed import PARTITION, Fences

_POLL_SECONDS = 0.02
_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Caught:
    """What a worker took from its first stored fence to its last: of its process, and of Redis.

    ``observations`` are the messages of `observations` between the two, ``size_mb`` its resident set at the
    end. What came before the first (imports, the join of the group, the first batch) is in neither.
    """

    observations: int
    seconds: float
    cpu_seconds: float
    redis_cpu_seconds: float
    size_mb: float


def ends(running: Machine, *topics: Topic) -> dict[Topic, int]:
    """Where the model's partition of each topic ends."""
    client = consumer(running.settings.kafka, **{"group.id": "bench"})
    prefix = running.settings.kafka.topic_prefix
    found = {
        topic: client.get_watermark_offsets(TopicPartition(prefix + topic.name, PARTITION), 10)[1]
        for topic in topics
    }
    client.close()
    return found


def catch_up(
    running: Machine,
    service: str,
    to: Mapping[Topic, int],
    *,
    timeout_seconds: float = 200.0,
    counted: Mapping[str, float] | None = None,
) -> Caught:
    """Run a worker until its fence stands at ``to``, and stop it.

    Parameters
    ----------
    counted : metrics that then have to come to so much, or the figures would be of something else

    Raises
    ------
    TimeoutError
        saying how far it came.
    """
    name = running.add_worker(service, 0)
    fences = Fences(running)
    try:
        worker = started(running, name)
        while not (first := fences.position(service, OBSERVATIONS)):
            if time.time() > worker.create_time() + _START_SECONDS:
                raise TimeoutError(f"{name} has stored nothing after {_START_SECONDS:g} s")
            time.sleep(_POLL_SECONDS)
        began, cpu, redis_cpu = time.perf_counter(), rig.cpu_seconds(worker), fences.cpu_seconds()
        wait(fences, service, to, timeout_seconds=timeout_seconds)
        caught = Caught(
            observations=to[OBSERVATIONS] - first,
            seconds=time.perf_counter() - began,
            cpu_seconds=rig.cpu_seconds(worker) - cpu,
            redis_cpu_seconds=fences.cpu_seconds() - redis_cpu,
            size_mb=worker.memory_info().rss / 1e6,
        )
        for metric, least in (counted or {}).items():
            rig.wait_for_metric(running.addresses.metrics[service], metric, least, timeout_seconds=10)
        return caught
    finally:
        fences.close()
        running.stop(name)


def wait(fences: Fences, service: str, to: Mapping[Topic, int], *, timeout_seconds: float) -> None:
    """Wait until the stored fence of a service has come so far.

    Raises
    ------
    TimeoutError
        saying how far it came.
    """
    until = time.monotonic() + timeout_seconds
    while True:
        at = {topic: fences.position(service, topic) for topic in to}
        if all(at[topic] >= end for topic, end in to.items()):
            return
        if time.monotonic() > until:
            places = ", ".join(f"{topic.name} at {at[topic]} of {end}" for topic, end in to.items())
            raise TimeoutError(f"{service} has not caught up after {timeout_seconds:g} s: {places}")
        time.sleep(_POLL_SECONDS)


def started(running: Machine, name: str) -> psutil.Process:
    """The process of a service that is to be there.

    Raises
    ------
    TimeoutError
        where it does not come up.
    """
    until = time.monotonic() + _START_SECONDS
    while (pid := running.pid(name)) is None:
        if time.monotonic() > until:
            raise TimeoutError(f"{name} does not start; its log says why")
        time.sleep(_POLL_SECONDS)
    return psutil.Process(pid)
