"""What monitors find of versions and references, and when the topics are read once more for it."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atalaia.bundles.folder import Bundle
from atalaia.monitors.units import Watched
from atalaia.records import ModelRecord, MonitorChange, ReferenceFile
from atalaia.settings import KafkaSettings
from atalaia.stream.catalog import View
from atalaia.worker.models import DeployedModels

FOUND = Watched(None, None, "sha256:a")  # type: ignore[arg-type]


class FakeCatalog:
    """Knows what was deployed once it has caught up."""

    def __init__(self, kafka: KafkaSettings, load: Callable[[Bundle], Watched]) -> None:
        del kafka, load
        self.view: View[Watched] = View()
        self.deployed: View[Watched] = View()
        self.times_caught_up = 0

    def catch_up(self) -> View[Watched]:
        self.times_caught_up += 1
        self.view = self.deployed
        return self.view


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> tuple[DeployedModels, FakeCatalog, list[float]]:
    monkeypatch.setattr("atalaia.worker.models.Catalog", FakeCatalog)
    now = [0.0]
    deployed = DeployedModels(KafkaSettings(), clock=lambda: now[0])
    catalog: Any = deployed._catalog
    return deployed, catalog, now


def test_a_version_deployed_a_moment_ago_is_found(
    models: tuple[DeployedModels, FakeCatalog, list[float]],
) -> None:
    deployed, catalog, _ = models
    catalog.deployed = View(loaded={("m", "1"): FOUND})
    assert deployed.watched("m", "1", "sha256:a") is FOUND
    assert deployed.watched("m", "1", "sha256:a") is FOUND
    assert catalog.times_caught_up == 1


def test_what_is_missing_is_not_looked_for_with_every_message(
    models: tuple[DeployedModels, FakeCatalog, list[float]],
) -> None:
    deployed, catalog, now = models
    catalog.deployed = View(loaded={("m", "1"): FOUND})
    for _ in range(10):
        assert deployed.watched("m", "1", "sha256:other") is None
        assert deployed.watched("m", "2", "sha256:a") is None
    assert catalog.times_caught_up == 2
    now[0] = 1.5
    catalog.deployed = View(loaded={("m", "2"): FOUND})
    assert deployed.watched("m", "2", "sha256:a") is FOUND


def test_changes_are_those_of_the_latest_record(
    models: tuple[DeployedModels, FakeCatalog, list[float]],
) -> None:
    deployed, catalog, _ = models
    assert deployed.changes("m") == []
    change = MonitorChange("m", {"drift": {"q": 0.1}}, "2026-01-01T00:00:00Z", offset=5)
    catalog.deployed = View(records={"m": ModelRecord("m", "2026-01-01T00:00:00Z", [], [change])})
    assert deployed.changes("m") == [change]


@pytest.mark.parametrize("prefix", ["", "sha256:"])
def test_a_reference_is_what_its_digest_says_or_nothing(
    models: tuple[DeployedModels, FakeCatalog, list[float]], tmp_path: Path, prefix: str
) -> None:
    deployed, _, _ = models
    file = tmp_path / "reference.npz"
    file.write_bytes(b"content")
    digest = prefix + hashlib.sha256(b"content").hexdigest()

    def change(location: Path) -> MonitorChange:
        return MonitorChange("m", {}, "2026-01-01T00:00:00Z", ReferenceFile(str(location), digest))

    assert deployed.reference(change(file)) == b"content"
    assert deployed.reference(change(tmp_path / "missing.npz")) is None
    assert deployed.reference(MonitorChange("m", {}, "2026-01-01T00:00:00Z")) is None
    file.write_bytes(b"changed")
    assert deployed.reference(change(file)) is None
