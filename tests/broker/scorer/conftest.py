"""One machine for all tests of the scorer: a broker of their own, since it is killed too."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from atalaia.runtime.machine import Machine
from atalaia.settings import KafkaSettings, RedisSettings, ScorerSettings, Settings
from atalaia.stream.admin import create_topics
from atalaia.stream.deploy import deploy

from .log import Log
from .models import line_bundle, table_bundle

LINE, TABLE = "line", "table"


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A broker and one scorer; ``line`` is the default model, ``table`` fails beyond its tenth place."""
    folder = tmp_path_factory.mktemp("scorer")
    bundles = [line_bundle(folder / LINE, LINE), table_bundle(folder / TABLE, TABLE)]

    def prepare(settings: Settings) -> None:
        create_topics(settings.kafka)
        for bundle in bundles:
            deploy(bundle.folder, settings=settings)

    settings = Settings(
        kafka=KafkaSettings(port=0, controller_port=0),
        redis=RedisSettings(port=0),
        scorer=ScorerSettings(metrics_port=0),
    )
    with Machine(settings, folder / "state", services=("scorer",), prepare=prepare) as running:
        yield running


@pytest.fixture(scope="session")
def log(machine: Machine) -> Iterator[Log]:
    with Log(machine.settings.kafka) as log:
        yield log


@pytest.fixture
def key() -> bytes:
    """A request key nobody else has."""
    return uuid.uuid4().hex.encode()


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where tests put bundles of their own."""
    return tmp_path_factory.mktemp("bundles")
