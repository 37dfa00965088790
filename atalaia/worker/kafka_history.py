"""A service's history, read from its topics."""

from collections.abc import Iterable

from confluent_kafka import Message

from atalaia.settings import KafkaSettings
from atalaia.stream.logs import LogReader
from atalaia.topics import TOPICS, Topic
from atalaia.worker.history import History


def topics_of(service: str) -> tuple[Topic, ...]:
    """The topics a service writes.

    >>> [topic.name for topic in topics_of("fairness")]
    ['performance', 'fairness', 'alerts', 'dead-letters']
    """
    return tuple(topic for topic in TOPICS if service in topic.producers)


def read_history(kafka: KafkaSettings, service: str, topics: Iterable[Topic]) -> History:
    """What a service has said, by these topics from their beginning to their ends as they are found.

    Raises
    ------
    StreamUnavailable
        where Kafka does not answer, or a topic is missing.
    """
    history = History()
    for topic in topics:
        with LogReader(kafka, (topic,)) as reader:
            history.read(service, topic.name, (_headers(message) for message in reader.read_to_end()))
    return history


def _headers(message: Message) -> dict[str, bytes]:
    headers = dict(message.headers() or ())
    return {name: value for name, value in headers.items() if isinstance(value, bytes)}
