"""The service of alerts, supervised as in production, on topics of its own, with a webhook of the test's."""

import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
import pytest
from confluent_kafka import Message

from atalaia.alerts import AlertEvent, SilenceRecord
from atalaia.runtime.ports import free_port
from atalaia.runtime.probes import answers_http
from atalaia.runtime.processes import ProcessSpec
from atalaia.runtime.services import environment_of
from atalaia.runtime.supervisor import Supervisor
from atalaia.settings import AlertsServiceSettings, KafkaSettings, RedisSettings, Settings
from atalaia.stream.admin import create_topics
from atalaia.stream.clients import producer
from atalaia.stream.ledger import read_topic
from atalaia.topics import ALERTS, DEAD_LETTERS, SILENCES
from tests.unit.alerts_service.receiver import Receiver, receiving


@dataclass
class Service:
    """One worker with its sinks; ``receiver`` is where its webhook leads."""

    settings: Settings
    supervisor: Supervisor
    receiver: Receiver
    name: str = "alerts"
    port: int = field(default_factory=free_port)

    def start(self, **own: Any) -> None:
        """Start it and wait until its webhook reads."""
        given: dict[str, Any] = {"log": False, "webhook_url": self.receiver.url, "sink_timeout": 1.0} | own
        alerts = AlertsServiceSettings(metrics_port=self.port, **given)
        spec = ProcessSpec(
            name=self.name,
            command=[sys.executable, "-m", "services.alerts"],
            environment=environment_of(self.settings.model_copy(update={"alerts": alerts})),
            probe=lambda: answers_http(f"http://127.0.0.1:{self.port}/readyz"),
        )
        self.supervisor.start(spec)
        sinks = [name for name in ("webhook", "alertmanager") if given.get(f"{name}_url")]
        up = [f'atalaia_alerts_sink_up{{sink="{sink}"}} 1.0' for sink in sinks]
        self.wait_for(lambda: all(line in self.metrics() for line in up), what="the sinks read")

    def metrics(self) -> str:
        """The page of its metrics."""
        with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as page:
            return str(page.read().decode())

    def write(self, *events: AlertEvent) -> None:
        """Events as monitors publish them."""
        client = producer(self.settings.kafka)
        for event in events:
            client.produce(
                self.settings.kafka.topic_prefix + ALERTS.name,
                key=event.fingerprint,
                value=msgspec.json.encode(event),
            )
        assert client.flush(20) == 0

    def write_record(self, key: str, record: SilenceRecord | None) -> None:
        """A silence, or its end."""
        client = producer(self.settings.kafka)
        value = None if record is None else msgspec.json.encode(record)
        client.produce(self.settings.kafka.topic_prefix + SILENCES.name, key=key, value=value)
        assert client.flush(20) == 0

    def taken(self) -> list[str]:
        """Ids of the events the webhook took, in order."""
        return [body["id"] for body in self.receiver.taken]

    def letters(self) -> Sequence[Message]:
        """All dead letters."""
        return list(read_topic(self.settings.kafka, DEAD_LETTERS))

    def wait_for(self, reached: Callable[[], bool], *, what: str, timeout_seconds: float = 40.0) -> None:
        """Wait until something holds."""
        until = time.monotonic() + timeout_seconds
        while not reached():
            assert time.monotonic() < until, f"{what}: not so within {timeout_seconds} s"
            time.sleep(0.05)


@pytest.fixture
def service(kafka: str, redis_url: str, tmp_path: Path) -> Iterator[Service]:
    prefix = f"{uuid.uuid4().hex[:8]}."
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers=kafka, topic_prefix=prefix),
        redis=RedisSettings(url=redis_url),
    )
    create_topics(settings.kafka)
    with receiving() as receiver, Supervisor(tmp_path / "logs") as supervisor:
        yield Service(settings, supervisor, receiver)
