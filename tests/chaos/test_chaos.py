"""Gateway, scorers and broker killed at random under load: nothing is lost, doubled, or told to another."""

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from atalaia.bundles.folder import Bundle
from atalaia.bundles.predictor import Predictor
from atalaia.conservation import Facts, examine
from atalaia.inference.protocol import decode_tensor
from atalaia.runtime.machine import Machine
from atalaia.settings import GatewaySettings, KafkaSettings, RedisSettings, ScorerSettings, Settings
from atalaia.stream.admin import create_topics
from atalaia.stream.deploy import deploy
from atalaia.stream.ledger import read_facts, read_topic
from atalaia.topics import PREDICTIONS, REQUESTS
from bench import bundles

from .checks import Oracle, Predicted, Verdict, judge
from .killer import Killer
from .load import Load

SECONDS = float(os.environ.get("ATALAIA_CHAOS_SECONDS", "120"))
SEED = int(os.environ.get("ATALAIA_CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
SETTLE_SECONDS = 60.0

Say = Callable[[str], None]


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Say:
    """Writes a line to the terminal, past the capture."""
    plugins = request.config.pluginmanager
    reporter, capture = plugins.get_plugin("terminalreporter"), plugins.get_plugin("capturemanager")

    def write(line: str) -> None:
        assert reporter is not None
        assert capture is not None
        with capture.global_and_fixture_disabled():
            reporter.write_line(line)

    return write


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return bundles.make_bundle(tmp_path / "bench").folder


@pytest.fixture
def machine(tmp_path: Path, bundle: Path) -> Iterator[Machine]:
    def prepare(settings: Settings) -> None:
        create_topics(settings.kafka)
        deploy(bundle, settings=settings)

    settings = Settings(
        kafka=KafkaSettings(port=0, controller_port=0),
        redis=RedisSettings(port=0),
        gateway=GatewaySettings(port=0, deadline=2.0),
        scorer=ScorerSettings(metrics_port=0),
    )
    with Machine(settings, tmp_path / "state", scorers=2, prepare=prepare) as running:
        yield running


@pytest.mark.broker
@pytest.mark.timeout(180)
def test_one_kill_of_each_loses_nothing(machine: Machine, bundle: Path, say: Say) -> None:
    verdict = run(machine, bundle, seconds=0.0, say=say)
    assert not verdict.wrong, "\n".join(verdict.wrong)
    assert verdict.answered > 100


@pytest.mark.chaos
@pytest.mark.timeout(SECONDS * 2 + 300)
def test_chaos_loses_nothing(machine: Machine, bundle: Path, say: Say) -> None:
    verdict = run(machine, bundle, seconds=SECONDS, say=say)
    assert not verdict.wrong, "\n".join(verdict.wrong)
    assert verdict.answered > 100


def run(machine: Machine, bundle: Path, *, seconds: float, say: Say) -> Verdict:
    """Load, kills, and the verdict once everything written is answered."""
    say(f"\nseed {SEED} (ATALAIA_CHAOS_SEED)")
    kafka, url = machine.settings.kafka, f"{machine.addresses.gateway}/v2/models/{bundles.NAME}/infer"
    with Load(url, kafka, seed=SEED) as load:
        killer = Killer(machine, load, SEED)
        each = ["gateway", "scorer-0", "kafka"]
        random.Random(SEED).shuffle(each)
        killer.rampage(seconds, first=each)
    facts = settled(machine)
    keys, predictions = read_keys(kafka), read_predictions(kafka)
    oracle = Oracle(Predictor(Bundle.read(bundle)))
    verdict = judge(
        oracle,
        asked=load.asked,
        acknowledged=load.acknowledged,
        facts=facts,
        keys=keys,
        predictions=predictions,
    )
    for line in killer.table():
        say(line)
    refused = sum(entry.status not in (0, 200) for entry in load.asked)
    say(
        f"{len(load.asked)} posted: {verdict.answered} answered, {refused} refused, "
        f"{len(load.asked) - verdict.answered - refused} cut off; {len(load.acknowledged)} written to Kafka; "
        f"{verdict.positions} positions, {len(predictions)} predictions, {len(verdict.wrong)} differences"
    )
    return verdict


def settled(machine: Machine) -> Facts:
    """The log once nothing is pending any more."""
    until = time.monotonic() + SETTLE_SECONDS
    while True:
        facts = read_facts(machine.settings.kafka)
        if examine(facts).pending == 0 or time.monotonic() > until:
            return facts


def read_keys(kafka: KafkaSettings) -> dict[str, bytes]:
    """The key of each request on the log, by the id in its body."""
    keys = {}
    for message in read_topic(kafka, REQUESTS):
        request = decode_tensor(message.value() or b"")
        assert request is not None
        assert request.id is not None
        assert request.id not in keys, f"{request.id} is on requests twice"
        keys[request.id] = message.key() or b""
    return keys


def read_predictions(kafka: KafkaSettings) -> list[Predicted]:
    return [
        Predicted(message.key() or b"", message.value() or b"") for message in read_topic(kafka, PREDICTIONS)
    ]
