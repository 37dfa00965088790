"""Writing one record durably, for commands: acknowledged, or an error that says why not."""

import msgspec
from confluent_kafka import Message, Producer

from atalaia.errors import StreamUnavailable
from atalaia.settings import KafkaSettings
from atalaia.stream.clients import producer
from atalaia.topics import Topic

_TIMEOUT_SECONDS = 15.0
_BY_KEY = -1


def publish(
    kafka: KafkaSettings,
    topic: Topic,
    record: msgspec.Struct,
    *,
    key: str | None = None,
    partition: int | None = None,
    client: Producer | None = None,
) -> int:
    """Write a record and return its offset, once Kafka has acknowledged it.

    Parameters
    ----------
    partition : where it goes; by its key where None
    client : a producer that is connected already, where there is one

    Raises
    ------
    StreamUnavailable
        where Kafka does not acknowledge.
    """
    client = client or producer(kafka, **{"linger.ms": 0})
    failures: list[str] = []
    offsets: list[int] = []

    def on_delivery(error: object, message: Message) -> None:
        if error is not None:
            failures.append(str(error))
        else:
            offsets.append(message.offset() or 0)

    client.produce(
        kafka.topic_prefix + topic.name,
        key=key,
        value=msgspec.json.encode(record),
        partition=_BY_KEY if partition is None else partition,
        on_delivery=on_delivery,
    )
    if client.flush(_TIMEOUT_SECONDS) or failures:
        why = "; ".join(failures) or "not acknowledged in time"
        raise StreamUnavailable(f"{topic.name} could not be written: {why}")
    return offsets[0]
