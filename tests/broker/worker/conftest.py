"""Workers of the counting monitor, supervised as in production, on topics of their own."""

import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from atalaia.runtime.ports import free_port
from atalaia.runtime.probes import answers_http
from atalaia.runtime.processes import ProcessSpec
from atalaia.runtime.services import environment_of
from atalaia.runtime.supervisor import Supervisor
from atalaia.settings import DriftServiceSettings, KafkaSettings, RedisSettings, Settings
from atalaia.state.fence import Loaded, Unit, configuration_digest
from atalaia.state.redis import connect
from atalaia.stream.admin import create_topics
from atalaia.worker.unit import Metadata
from tests.broker.worker.counting import SERVICE, Counted, Counting
from tests.broker.worker.feeding import PARTITIONS, Feed


@dataclass
class Workers:
    """Workers by number, and the state they share."""

    settings: Settings
    supervisor: Supervisor
    ports: dict[int, int]

    def add(
        self, number: int, *, environment: dict[str, str] | None = None, stuck_after: float = 30.0
    ) -> str:
        """Start one; its name."""
        port = self.ports[number] = free_port()
        own = DriftServiceSettings(
            worker=number, metrics_port=port, step_interval=0.05, stuck_after=stuck_after
        )
        spec = ProcessSpec(
            name=f"counting-{number}",
            command=[sys.executable, "-m", "tests.broker.worker.counting"],
            environment=environment_of(self.settings.model_copy(update={"drift": own})) | (environment or {}),
            probe=lambda: answers_http(f"http://127.0.0.1:{port}/readyz"),
        )
        self.supervisor.add(spec)
        return spec.name

    def load(self, partition: int) -> Loaded:
        """What is stored of a partition."""
        store = connect(self.settings.redis.url or "")
        try:
            return store.load(Unit(SERVICE, partition, configuration_digest(Counting.state_format)))
        finally:
            store.close()

    def counted(self, partition: int) -> Counted:
        """What was counted of a partition."""
        metadata = self.load(partition).metadata
        if not metadata:
            return Counted()
        return msgspec.json.decode(msgspec.msgpack.decode(metadata, type=Metadata).monitor, type=Counted)

    def counts(self) -> list[Counted]:
        """What was counted of every partition."""
        return [self.counted(partition) for partition in range(PARTITIONS)]

    def wait_for(self, reached: Callable[[], bool], *, timeout_seconds: float = 60.0) -> float:
        """Wait until something holds; how long it took."""
        began = time.monotonic()
        while not reached():
            assert time.monotonic() - began < timeout_seconds, f"not reached; counted: {self.counts()}"
            time.sleep(0.05)
        return time.monotonic() - began


def expected(feed: Feed) -> list[Counted]:
    """What is to be counted of what was written."""
    return [Counted(dict(feed.rows[at]), feed.labels[at]) for at in range(PARTITIONS)]


@pytest.fixture
def workers(kafka: str, empty_redis_url: str, tmp_path: Path) -> Iterator[Workers]:
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers=kafka, topic_prefix=f"{uuid.uuid4().hex[:8]}."),
        redis=RedisSettings(url=empty_redis_url),
    )
    create_topics(settings.kafka)
    with Supervisor(tmp_path / "logs") as supervisor:
        yield Workers(settings, supervisor, {})
