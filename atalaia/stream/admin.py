"""Creation of the topics: idempotent, and clear about what differs."""

from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from atalaia.errors import StreamUnavailable, TopicMismatch
from atalaia.settings import KafkaSettings
from atalaia.stream.clients import connection
from atalaia.topics import TOPICS, Topic

_TIMEOUT_SECONDS = 30.0


def create_topics(kafka: KafkaSettings, topics: Iterable[Topic] = TOPICS) -> list[str]:
    """Create the topics that are missing and return their names.

    Raises
    ------
    TopicMismatch
        listing every topic that exists with other partitions or settings than declared.
    StreamUnavailable
        where Kafka does not answer.
    """
    declared = {kafka.topic_prefix + topic.name: topic for topic in topics}
    client = AdminClient(connection(kafka))
    try:
        existing = client.list_topics(timeout=_TIMEOUT_SECONDS).topics
        missing = [name for name in declared if name not in existing]
        _create(client, [_new_topic(name, declared[name], kafka) for name in missing])
        kept = {name: topic for name, topic in declared.items() if name not in missing}
        partitions = {name: len(existing[name].partitions) for name in kept}
        _report_mismatches(kept, partitions, _describe(client, list(kept)), kafka)
    except KafkaException as error:
        raise StreamUnavailable(
            f"Kafka at {kafka.bootstrap_servers} does not answer ({error}); "
            "is it running, and is the address right?"
        ) from error
    return missing


def _new_topic(name: str, topic: Topic, kafka: KafkaSettings) -> NewTopic:
    settings = topic.settings(replication_factor=kafka.replication_factor)
    return NewTopic(name, topic.partitions, kafka.replication_factor, config=settings)


def _create(client: AdminClient, topics: list[NewTopic]) -> None:
    if not topics:
        return
    futures: dict[str, Future[None]] = client.create_topics(topics, operation_timeout=_TIMEOUT_SECONDS)
    for future in futures.values():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def _describe(client: AdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    described: dict[ConfigResource, Future[dict[str, Any]]] = client.describe_configs(resources)
    return {
        resource.name: {key: entry.value for key, entry in future.result().items()}
        for resource, future in described.items()
    }


def _report_mismatches(
    topics: dict[str, Topic],
    partitions: dict[str, int],
    settings: dict[str, dict[str, str]],
    kafka: KafkaSettings,
) -> None:
    wrong: list[str] = []
    for name, topic in topics.items():
        if partitions[name] != topic.partitions:
            wrong.append(f"{name}: {partitions[name]} partitions, declared {topic.partitions}")
        for key, value in topic.settings(replication_factor=kafka.replication_factor).items():
            found = settings[name].get(key)
            if found != value:
                wrong.append(f"{name}: {key}={found}, declared {value}")
    if wrong:
        raise TopicMismatch(
            "topics exist with other settings than declared; change them on the broker, or choose another "
            f"ATALAIA_KAFKA__TOPIC_PREFIX: {'; '.join(wrong)}"
        )
