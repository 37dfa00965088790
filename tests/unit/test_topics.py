"""The one declaration of the topics."""

import pytest

from atalaia.inference.protocol import InferRequest, InferResponse
from atalaia.topics import (
    DEAD_LETTERS,
    HEADROOM_BYTES,
    MODELS,
    OBSERVATIONS,
    PREDICTIONS,
    REPLIES,
    REQUESTS,
    TOPICS,
    Topic,
)
from services.scorer.transaction import BATCH_BYTES

each_topic = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)


def test_names_are_those_of_the_contract() -> None:
    assert [topic.name for topic in TOPICS] == [
        "requests",
        "predictions",
        "replies",
        "results",
        "labels",
        "observations",
        "drift",
        "performance",
        "fairness",
        "alerts",
        "silences",
        "models",
        "bundles",
        "dead-letters",
    ]


@each_topic
def test_every_topic_is_written_and_read_by_somebody(topic: Topic) -> None:
    assert topic.producers
    assert topic.consumers
    assert topic.summary
    assert topic.partitions >= 1


@each_topic
@pytest.mark.parametrize(("replicas", "in_sync"), [(1, "1"), (2, "1"), (3, "2"), (5, "2")])
def test_settings_are_kafkas_and_durable(topic: Topic, replicas: int, in_sync: str) -> None:
    settings = topic.settings(replication_factor=replicas)
    assert settings["min.insync.replicas"] == in_sync
    assert settings["retention.ms"] == str(topic.retention_ms)
    assert int(settings["max.message.bytes"]) == topic.max_value_bytes + HEADROOM_BYTES
    assert settings["message.timestamp.type"] == "CreateTime"
    assert all(isinstance(value, str) for value in settings.values())


def test_tables_are_kept_for_ever_and_logs_are_not() -> None:
    for topic in TOPICS:
        assert (topic.cleanup == "compact") == (topic.retention_ms == -1)
    assert MODELS.cleanup == "compact"
    assert MODELS.partitions == 1


def test_a_dead_letter_has_room_for_any_request() -> None:
    assert DEAD_LETTERS.max_value_bytes >= REQUESTS.max_value_bytes + HEADROOM_BYTES


def test_values_are_of_the_protocol() -> None:
    assert REQUESTS.value is InferRequest
    assert PREDICTIONS.value is REPLIES.value is InferResponse
    assert PREDICTIONS.max_value_bytes == REPLIES.max_value_bytes


def test_observations_outlive_requests_and_are_read_by_the_monitors() -> None:
    assert OBSERVATIONS.retention_ms > REQUESTS.retention_ms
    assert {"drift", "fairness"} <= set(OBSERVATIONS.consumers)


@pytest.mark.parametrize("topic", [PREDICTIONS, OBSERVATIONS, DEAD_LETTERS], ids=lambda topic: topic.name)
def test_a_batch_of_a_transaction_fits_every_topic_it_goes_to(topic: Topic) -> None:
    assert int(topic.settings(replication_factor=1)["max.message.bytes"]) > BATCH_BYTES
