import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import orjson
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from atalaia.cli import demo as command
from atalaia.cli.demo import demo_settings
from atalaia.demo.checks import Checks
from atalaia.demo.refusals import Shown
from atalaia.demo.script import Script
from atalaia.demo.story import Told
from atalaia.demo.telling import Teller
from atalaia.errors import AtalaiaError, RuntimeMissing
from atalaia.settings import GatewaySettings, KafkaSettings, RedisSettings, Settings


def teller() -> tuple[Teller, io.StringIO]:
    screen = io.StringIO()
    return Teller(Console(file=screen, width=100)), screen


def test_without_settings_ports_are_free_ones_and_callers_may_wait() -> None:
    settings = demo_settings(Settings(), keep=False)
    ports = [settings.kafka.port, settings.kafka.controller_port, settings.redis.port, settings.gateway.port]
    assert [*ports, settings.scorer.metrics_port] == [0] * 5
    assert settings.gateway.deadline == 20
    assert settings.kafka.topic_prefix == "atalaia."


def test_what_is_given_stays() -> None:
    given = Settings(
        kafka=KafkaSettings(bootstrap_servers="kafka:9092"),
        redis=RedisSettings(port=7001),
        gateway=GatewaySettings(port=7002, deadline=3),
    )
    settings = demo_settings(given, keep=False)
    assert (settings.redis.port, settings.gateway.port, settings.gateway.deadline) == (7001, 7002, 3)
    prefixes = {settings.kafka.topic_prefix, demo_settings(given, keep=False).kafka.topic_prefix}
    assert len(prefixes) == 2
    assert all(prefix.startswith("demo-") for prefix in prefixes)
    named = Settings(kafka=KafkaSettings(bootstrap_servers="kafka:9092", topic_prefix="mine."))
    assert demo_settings(named, keep=False).kafka.topic_prefix == "mine."


@pytest.mark.parametrize(("free", "port"), [(True, 8080), (False, 0)])
def test_a_gateway_that_stays_is_on_its_usual_port_where_that_is_free(
    monkeypatch: pytest.MonkeyPatch, *, free: bool, port: int
) -> None:
    monkeypatch.setattr(command, "is_free", lambda *_: free)
    assert demo_settings(Settings(), keep=True).gateway.port == port


def test_the_verdict_names_what_differed() -> None:
    tell, screen = teller()
    checks = Checks()
    checks.expect("nothing is lost", True, "0")
    tell.verdict(checks)
    assert "All 1 checks held." in screen.getvalue()
    checks.expect("nothing is answered twice", False, "[3] were")
    tell.verdict(checks)
    assert "1 of 2 checks did not hold" in screen.getvalue()
    assert "nothing is answered twice: found [3] were" in screen.getvalue()


def test_refusals_stay_within_the_screen_a_line_each() -> None:
    tell, screen = teller()
    tell.refusals(
        [Shown("a row far out", "422 out_of_distribution", "most of it\ncomes from " * 9)],
        [Shown("[not] JSON, to Kafka", "dead letter not_readable", "not JSON")],
    )
    lines = [line.rstrip() for line in screen.getvalue().splitlines() if line.strip()]
    assert len(lines) == 4
    assert max(map(len, lines)) <= 100
    assert lines[1].endswith("...")
    assert " ".join(lines[3].split()) == "[not] JSON, to Kafka dead letter not_readable not JSON"


class Ended:
    """A story that was told already, in the place of the real one."""

    def __init__(self, *, held: bool, logs: bool, error: AtalaiaError | None = None) -> None:
        self.held, self.logs, self.error = held, logs, error
        self.folder = Path()

    def __call__(self, _settings: Settings, folder: Path, _script: Script, **_: object) -> Self:
        self.folder = folder
        return self

    @contextmanager
    def machine(self) -> Iterator[None]:
        if self.logs:
            (self.folder / "logs").mkdir()
            (self.folder / "logs" / "kafka.log").touch()
        if self.error is not None:
            raise self.error
        yield

    def tell(self, _machine: None) -> Told:
        return Told({"held": self.held, "gateway": "http://127.0.0.1:1"}, self.held, [])


@pytest.mark.parametrize(
    ("story", "status", "kept"),
    [
        (Ended(held=True, logs=True), 0, False),
        (Ended(held=False, logs=True), 1, True),
        (Ended(held=True, logs=True, error=AtalaiaError("no broker")), 1, True),
        (Ended(held=True, logs=False, error=RuntimeMissing("no Maven")), 1, False),
    ],
)
def test_the_exit_code_says_whether_all_held_and_failures_leave_their_logs(
    story: Ended, status: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, kept: bool
) -> None:
    monkeypatch.setattr("atalaia.demo.story.Story", story)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    shell = typer.Typer()
    shell.command()(command.demo)
    answer = CliRunner().invoke(shell, ["--json"])
    assert answer.exit_code == status
    assert (story.folder.exists(), "Logs of all services" in answer.stderr) == (kept, kept)
    if story.error is None:
        assert orjson.loads(answer.stdout)["held"] is story.held
