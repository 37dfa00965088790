import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from atalaia.settings import KafkaSettings, Settings
from atalaia.stream.admin import create_topics
from atalaia.stream.deploy import deploy
from tests.broker.gateway import processes
from tests.broker.gateway.models import mixed_bundle, numeric_bundle

MAX_BODY_BYTES = 200_000
MAX_ROWS = 100


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    made = [numeric_bundle(folder / "panel"), mixed_bundle(folder / "loan")]
    return {bundle.name: bundle.folder for bundle in made}


@pytest.fixture
def topics(kafka: str) -> Settings:
    """Settings with topics that no other test knows."""
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers=kafka, topic_prefix=f"t{uuid.uuid4().hex[:8]}.")
    )
    create_topics(settings.kafka)
    return settings


@pytest.fixture(scope="session")
def served(
    kafka: str, redis_url: str, bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """URL of a gateway with a scorer behind it; `panel` is the default model."""
    settings = Settings(kafka=KafkaSettings(bootstrap_servers=kafka, topic_prefix="served."))
    create_topics(settings.kafka)
    for name in ("panel", "loan"):
        deploy(bundles[name], settings=settings)
    environment = environment_of(settings) | {
        "ATALAIA_GATEWAY__MAX_BODY_BYTES": str(MAX_BODY_BYTES),
        "ATALAIA_GATEWAY__MAX_ROWS": str(MAX_ROWS),
        "ATALAIA_GATEWAY__DEADLINE": "10s",
        "ATALAIA_REDIS__URL": redis_url,
    }
    folder = tmp_path_factory.mktemp("served")
    with (
        processes.scorer(folder, environment),
        processes.gateway(folder, environment) as gateway,
        httpx.Client(base_url=gateway.url, timeout=15) as client,
    ):
        example = client.get("/schema").json()["example"]
        assert client.post("/predict", json=example).status_code == 200
        yield gateway.url


@pytest.fixture
def client(served: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served, timeout=15) as client:
        yield client


def environment_of(settings: Settings) -> dict[str, str]:
    return {
        "ATALAIA_KAFKA__BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers or "",
        "ATALAIA_KAFKA__TOPIC_PREFIX": settings.kafka.topic_prefix,
    }
