"""Kafka clients, configured in one place so that all agree on partitioner, durability and patience."""

import logging
from typing import Any

from confluent_kafka import Consumer, KafkaError, Producer

from atalaia.errors import SettingsError
from atalaia.settings import KafkaSettings
from atalaia.telemetry.logs import KAFKA_LOGGER
from atalaia.topics import HEADROOM_BYTES, MAX_OBSERVATION_BYTES

Config = dict[str, Any]

# librdkafka itself would write to stderr, and so would Python for a logger without any handler: what it has
# to say is a JSON line where a service configured its logs, and silence on the screen of a command.
KAFKA_LOGGER.addHandler(logging.NullHandler())

PARTITION_END: int = KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka names its own codes so
"""Error code of the event that says the end of a partition was reached."""


def connection(kafka: KafkaSettings) -> Config:
    """What every client needs to reach the brokers.

    Raises
    ------
    SettingsError
        where no bootstrap servers are set.
    """
    if kafka.bootstrap_servers is None:
        raise SettingsError(
            "no Kafka to talk to; set ATALAIA_KAFKA__BOOTSTRAP_SERVERS=host:port, "
            "or run `atalaia up`, which starts one"
        )
    return {
        "bootstrap.servers": kafka.bootstrap_servers,
        "socket.nagle.disable": True,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1_000,
        "logger": KAFKA_LOGGER,
        **kafka.client,
    }


def producer(kafka: KafkaSettings, **overrides: Any) -> Producer:
    """An idempotent producer that waits for all in-sync replicas.

    ``murmur2_random`` is the partitioner of Java clients; librdkafka's own default disagrees with it, and
    a key must lead to one partition whoever writes.
    """
    config: Config = {
        **connection(kafka),
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "message.max.bytes": MAX_OBSERVATION_BYTES + HEADROOM_BYTES,
        "queue.buffering.max.messages": 200_000,
        "queue.buffering.max.kbytes": 131_072,
        **overrides,
    }
    return Producer(config)


def consumer(kafka: KafkaSettings, **overrides: Any) -> Consumer:
    """A consumer that never commits by itself and never jumps where its position is lost."""
    config: Config = {
        **connection(kafka),
        "group.id": "unused",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "fetch.wait.max.ms": 100,
        "fetch.message.max.bytes": 524_288,
        "queued.max.messages.kbytes": 2_048,
        "fetch.queue.backoff.ms": 5,  # its default of 1 s would leave a reader with nothing to read
        **overrides,
    }
    return Consumer(config)
