from pathlib import Path

import pytest

from services.scorer.served import Served
from tests.broker.gateway.models import mixed_bundle
from tests.broker.scorer.models import line_bundle, table_bundle


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def line(folder: Path) -> Served:
    return Served(line_bundle(folder / "line-1", "line"))


@pytest.fixture(scope="session")
def line_2(folder: Path) -> Served:
    """Answers 100 more."""
    return Served(line_bundle(folder / "line-2", "line", version="2", shift=100.0))


@pytest.fixture(scope="session")
def table(folder: Path) -> Served:
    """Fails beyond its tenth place."""
    return Served(table_bundle(folder / "table", "table"))


@pytest.fixture(scope="session")
def loan(folder: Path) -> Served:
    """Strings, whole numbers, and a number that may be missing."""
    return Served(mixed_bundle(folder / "loan"))
