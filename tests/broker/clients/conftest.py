"""A machine with the names and addresses that documents give: nobody here is told of a prefix."""

from collections.abc import Iterator

import httpx
import pytest

from atalaia.runtime.machine import Machine
from atalaia.settings import GatewaySettings, KafkaSettings, RedisSettings, ScorerSettings, Settings
from atalaia.stream.admin import create_topics
from atalaia.stream.deploy import deploy
from tests.broker.gateway.models import mixed_bundle, numeric_bundle


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Gateway and scorer; `panel` (two numbers) is the default model, `loan` has strings."""
    folder = tmp_path_factory.mktemp("clients")
    bundles = [numeric_bundle(folder / "panel"), mixed_bundle(folder / "loan")]

    def prepare(settings: Settings) -> None:
        create_topics(settings.kafka)
        for bundle in bundles:
            deploy(bundle.folder, settings=settings)

    settings = Settings(
        kafka=KafkaSettings(port=0, controller_port=0),
        redis=RedisSettings(port=0),
        gateway=GatewaySettings(port=0),
        scorer=ScorerSettings(metrics_port=0),
    )
    with Machine(settings, folder / "state", prepare=prepare) as running:
        yield running


@pytest.fixture(scope="session")
def url(machine: Machine) -> str:
    """Of a gateway whose default model has answered."""
    address = machine.addresses.gateway or ""
    example = httpx.get(f"{address}/schema").json()["example"]
    assert httpx.post(f"{address}/predict", json=example, timeout=20).status_code == 200
    return address
