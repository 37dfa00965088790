"""One machine for all tests of replays: scorer, monitors, and a broker of their own, since it is killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from atalaia.conservation import Report, examine
from atalaia.runtime.machine import Machine
from atalaia.runtime.services import environment_of
from atalaia.settings import (
    DriftServiceSettings,
    FairnessServiceSettings,
    KafkaSettings,
    RedisSettings,
    ScorerSettings,
    Settings,
)
from atalaia.stream.admin import create_topics
from atalaia.stream.deploy import deploy
from atalaia.stream.ledger import read_facts
from tests.broker.gateway.models import mixed_bundle
from tests.broker.scorer.models import line_bundle

from .decisions import decision_bundle

LINE, LOAN = "line", "loan"


@dataclass
class Replays:
    """Runs ``atalaia replay`` against a machine, as a process of its own."""

    machine: Machine
    folder: Path

    def start(self, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Begin one."""
        command = [
            sys.executable,
            "-c",
            "from atalaia.cli import main; main()",
            "replay",
            *arguments,
            "--json",
        ]
        own = environment_of(self.machine.settings) | {"COLUMNS": "160", **(environment or {})}
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=own)

    def finish(self, running: subprocess.Popen[str], *, status: int = 0, seconds: float = 120) -> Any:
        """Its answer, once it has ended as expected."""
        try:
            out, err = running.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            running.kill()
            raise
        assert running.returncode == status, f"{running.returncode}\n{out}\n{err}"
        return orjson.loads(out.splitlines()[-1])

    def run(self, *arguments: str, status: int = 0) -> Any:
        """The answer of one."""
        return self.finish(self.start(*arguments), status=status)

    def interrupt(self, running: subprocess.Popen[str]) -> tuple[int, str]:
        """What Ctrl-C comes to: exit code and stderr."""
        os.kill(running.pid, signal.SIGINT)
        try:
            _, err = running.communicate(timeout=60)
        finally:
            running.kill()
        return running.returncode, err

    def conserved(self) -> Report:
        """The log, which has to be as promised."""
        report = examine(read_facts(self.machine.settings.kafka))
        assert report.ok, report.differences
        return report


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("replay")
    bundles = [
        line_bundle(folder / LINE, LINE),
        mixed_bundle(folder / LOAN),
        decision_bundle(folder / "loans"),
    ]

    def prepare(settings: Settings) -> None:
        create_topics(settings.kafka)
        for bundle in bundles:
            deploy(bundle.folder, settings=settings)

    settings = Settings(
        kafka=KafkaSettings(port=0, controller_port=0),
        redis=RedisSettings(port=0),
        scorer=ScorerSettings(metrics_port=0),
        drift=DriftServiceSettings(metrics_port=0),
        fairness=FairnessServiceSettings(metrics_port=0),
    )
    with Machine(
        settings, folder / "state", services=("scorer", "drift", "fairness"), prepare=prepare
    ) as running:
        yield running


@pytest.fixture
def replays(machine: Machine, tmp_path: Path) -> Replays:
    return Replays(machine, tmp_path)
