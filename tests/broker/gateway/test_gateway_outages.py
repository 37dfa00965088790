"""Kafka away, slow, killed and back."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from atalaia.labels import read_labels
from atalaia.runtime import kafka as kafka_runtime
from atalaia.runtime.jars import fetch_jars
from atalaia.runtime.java import find_java
from atalaia.runtime.ports import free_port
from atalaia.settings import KafkaSettings, Settings
from atalaia.stream.admin import create_topics
from atalaia.stream.deploy import deploy
from atalaia.stream.logs import LogReader
from atalaia.topics import LABELS
from tests.broker.gateway import processes
from tests.broker.gateway.conftest import environment_of

pytestmark = pytest.mark.broker

ROW = {"sodium": 0.25, "potassium": -0.5}


class Broker:
    """A broker that can be killed, halted and started again on the same data."""

    def __init__(self, folder: Path) -> None:
        java, port = find_java(), free_port()
        self.servers = f"{kafka_runtime.HOST}:{port}"
        self._spec = kafka_runtime.broker(
            java=java, jars=fetch_jars(java), folder=folder, port=port, controller_port=free_port()
        )
        self._output = (folder / "output").open("ab")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            self._spec.command,
            env=dict(self._spec.environment),
            stdout=self._output,
            stderr=self._output,
        )
        processes.wait_until(self._spec.probe, what="the broker's start", seconds=60)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def close(self) -> None:
        self.kill()
        self._output.close()

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with contextlib.closing(Broker(tmp_path / "broker")) as own:
        own.start()
        yield own


def refused_at_once(url: str) -> bool:
    started = time.monotonic()
    response = httpx.post(f"{url}/predict", json=ROW, timeout=15)
    assert response.status_code != 200
    if time.monotonic() - started > 0.5:
        return False
    document = response.json()
    assert (response.status_code, document["code"]) == (503, "unavailable")
    assert int(response.headers["retry-after"]) > 0
    return True


def test_without_kafka_the_gateway_lives_and_refuses_at_once(tmp_path: Path) -> None:
    environment = {"ATALAIA_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}"}
    with processes.gateway(tmp_path, environment, ready=False) as gateway:
        assert httpx.get(f"{gateway.url}/healthz").json() == {"live": True}
        assert httpx.get(f"{gateway.url}/v2/health/live").json() == {"live": True}
        for path in ("/readyz", "/v2/health/ready"):
            probe = httpx.get(f"{gateway.url}{path}")
            assert probe.status_code == 503
            assert probe.headers["content-type"] == "application/problem+json"
        assert refused_at_once(gateway.url)
        assert httpx.get(f"{gateway.url}/schema").status_code == 503
        assert httpx.get(f"{gateway.url}/openapi.json").status_code == 200
        assert "atalaia_gateway_kafka_up 0.0" in httpx.get(f"{gateway.url}/metrics").text
        assert gateway.terminate() == 0


@pytest.mark.timeout(240)
def test_a_gateway_finds_kafka_loses_it_and_finds_it_again(
    broker: Broker, bundles: dict[str, Path], tmp_path: Path
) -> None:
    settings = Settings(kafka=KafkaSettings(bootstrap_servers=broker.servers))
    create_topics(settings.kafka)
    deploy(bundles["panel"], settings=settings)
    broker.kill()
    environment = environment_of(settings) | {"ATALAIA_GATEWAY__DEADLINE": "2s"}
    with (
        processes.gateway(tmp_path, environment, ready=False) as gateway,
        httpx.Client(base_url=gateway.url, timeout=15) as client,
    ):

        def ready() -> bool:
            return client.get("/readyz").status_code == 200

        assert not ready()
        broker.start()
        processes.wait_until(ready, what="readiness after Kafka came")
        with processes.supervised_scorer(tmp_path, environment):
            processes.wait_until(
                lambda: client.post("/predict", json=ROW).status_code == 200, what="the first answer"
            )

            # Halted, not gone: connections stay open and nothing is acknowledged.
            broker.send(signal.SIGSTOP)
            started = time.monotonic()
            slow = client.post("/predict", json=ROW)
            assert time.monotonic() - started < 5
            assert (slow.status_code, slow.json()["code"]) == (503, "unavailable")
            assert "retry-after" in slow.headers
            processes.wait_until(lambda: not ready(), what="unreadiness", seconds=10)
            assert refused_at_once(gateway.url)
            broker.send(signal.SIGCONT)
            processes.wait_until(ready, what="readiness after a pause")
            processes.wait_until(
                lambda: client.post("/predict", json=ROW).status_code == 200, what="an answer after a pause"
            )

            broker.kill()
            processes.wait_until(lambda: refused_at_once(gateway.url), what="refusing at once", seconds=10)
            assert not ready()
            broker.start()
            processes.wait_until(ready, what="readiness after a restart")
            processes.wait_until(
                lambda: client.post("/predict", json=ROW).status_code == 200,
                what="an answer after a restart",
                seconds=60,
            )


@pytest.mark.timeout(240)
def test_labels_are_refused_without_kafka_and_none_that_was_accepted_is_lost(
    broker: Broker, bundles: dict[str, Path], tmp_path: Path
) -> None:
    settings = Settings(kafka=KafkaSettings(bootstrap_servers=broker.servers))
    create_topics(settings.kafka)
    deploy(bundles["panel"], settings=settings)
    environment = environment_of(settings) | {"ATALAIA_GATEWAY__DEADLINE": "2s"}
    accepted: set[str] = set()
    statuses: list[int] = []

    with (
        processes.gateway(tmp_path, environment) as gateway,
        httpx.Client(base_url=gateway.url, timeout=15) as client,
    ):

        def post() -> bool:
            name = f"label-{len(statuses)}"
            answer = client.post("/labels", json={"id": name, "label": 3})
            statuses.append(answer.status_code)
            if answer.status_code == 202:
                accepted.add(name)
            else:
                assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
                assert int(answer.headers["retry-after"]) > 0
            return answer.status_code == 202

        for _ in range(50):
            assert post()
        broker.kill()
        assert not post()
        processes.wait_until(lambda: not post(), what="refusing", seconds=10)
        broker.start()
        processes.wait_until(post, what="a label accepted after a restart", seconds=60)
        for _ in range(50):
            post()
    with LogReader(settings.kafka, (LABELS,)) as reader:
        kept = [
            name
            for message in reader.read_to_end()
            if not message.headers()
            for name in read_labels(message.value() or b"", written_ms=0).ids
        ]
    assert accepted <= set(kept)
    assert len(accepted) > 50
