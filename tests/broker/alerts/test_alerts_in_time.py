"""From the message that closes a deciding window to the alert on the topic."""

import time
import uuid

import msgspec
import pytest
from confluent_kafka import Producer

from atalaia.alerts import AlertEvent
from atalaia.records import Observation
from atalaia.stream.clients import producer
from atalaia.stream.ledger import read_topic
from atalaia.topics import ALERTS, OBSERVATIONS
from tests.broker.alerts.conftest import Service
from tests.unit.monitors.traffic_log import MINUTE, rows, seen

pytestmark = pytest.mark.broker

WINDOWS = 60
T = 1_000 * 60 * MINUTE
WINDOW = 5 * MINUTE


def put(client: Producer, topic: str, message: Observation) -> None:
    client.produce(topic, msgspec.json.encode(message), partition=1)
    client.flush(10)


def test_alerts_are_on_the_topic_within_a_second(service: Service) -> None:
    """Windows in turn all refused and all answered: every one fires or resolves when it closes."""
    service.start(webhook_url=None)
    topic = service.settings.kafka.topic_prefix + OBSERVATIONS.name
    client = producer(service.settings.kafka, **{"linger.ms": 0, "client.id": uuid.uuid4().hex})
    closed_at_ms = []
    for place in range(WINDOWS):
        start = T + place * WINDOW
        put(client, topic, seen(start + MINUTE, rows([start + MINUTE] * 20, abstained=20 * (place % 2 == 0))))
        closed_at_ms.append(time.time_ns() // 1_000_000)
        put(client, topic, seen(start + WINDOW + 10_000))
        time.sleep(0.03)
    service.wait_for(
        lambda: len(list(read_topic(service.settings.kafka, ALERTS))) >= WINDOWS, what="all alerts"
    )
    messages = list(read_topic(service.settings.kafka, ALERTS))
    events = [msgspec.json.decode(message.value() or b"", type=AlertEvent) for message in messages]
    assert [event.status for event in events] == ["firing", "resolved"] * (WINDOWS // 2)
    took_ms = sorted(
        message.timestamp()[1] - closed for message, closed in zip(messages, closed_at_ms, strict=True)
    )
    assert took_ms[round(0.99 * WINDOWS) - 1] <= 1_000, took_ms
