"""A whole machine troubled at random under load: nothing is lost, doubled, or told to another."""

import os
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from atalaia.auditing.reading import audit
from atalaia.auditing.report import Windows
from atalaia.bundles.folder import Bundle
from atalaia.bundles.predictor import Predictor
from atalaia.conservation import Facts, examine
from atalaia.inference.protocol import decode_request
from atalaia.results import DriftResult
from atalaia.runtime.machine import Machine
from atalaia.settings import KafkaSettings
from atalaia.stream.headers import MARK
from atalaia.stream.ledger import read_facts, read_topic
from atalaia.stream.publishing import publish
from atalaia.topics import DRIFT, PREDICTIONS, REQUESTS
from tests.conftest import Say

from .checks import Oracle, Predicted, Verdict, judge
from .counting import read_counts
from .killer import Killer
from .load import Load
from .standing import Monitors
from .troubles import Troubles
from .truth import Truth
from .watched import LATENESS_SECONDS, LONGEST_SECONDS, NAME, make_bundle, make_machine

SECONDS = float(os.environ.get("ATALAIA_CHAOS_SECONDS", "600"))
SEED = int(os.environ.get("ATALAIA_CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
SETTLE_SECONDS = 60.0
FETCH_SECONDS = 60.0
FETCHED = (200, 422)
"""Statuses of what was fetched: answered, or abstained from."""
SHORT = (
    ("kill gateway", "kill scorer", "kill drift", "kill fairness"),
    ("kill kafka", "kill alerts"),
    ("wipe Redis",),
    ("cut Redis back",),
)


@pytest.fixture
def versions(tmp_path: Path) -> list[Bundle]:
    return [make_bundle(tmp_path / "bundles", version=version) for version in ("1", "2")]


@pytest.fixture
def machine(tmp_path: Path, versions: list[Bundle]) -> Iterator[Machine]:
    with make_machine(tmp_path / "state", versions[0].folder) as running:
        yield running


@pytest.mark.broker
@pytest.mark.timeout(280)
def test_trouble_of_each_kind_loses_nothing(machine: Machine, versions: list[Bundle], say: Say) -> None:
    first = [*SHORT]
    random.Random(SEED).shuffle(first)
    verdict = run(machine, versions, seconds=0.0, first=[("come and go", "pause a worker"), *first], say=say)
    assert not verdict.wrong, "\n".join(verdict.wrong)
    assert verdict.answered > 100
    tamper(machine.settings.kafka)
    assert any("'path': 'n'" in line for line in differences(audit(machine.settings.kafka).windows))


@pytest.mark.chaos
@pytest.mark.timeout(SECONDS * 3 + 600)
def test_chaos_loses_nothing(machine: Machine, versions: list[Bundle], say: Say) -> None:
    kinds = list(Troubles(machine, random.Random(SEED), versions[1].folder).kinds)
    random.Random(SEED).shuffle(kinds)
    verdict = run(machine, versions, seconds=SECONDS, first=[(kind,) for kind in kinds], say=say)
    assert not verdict.wrong, "\n".join(verdict.wrong)
    assert verdict.answered > 100


@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_an_old_redis_beside_a_new_empty_kafka(tmp_path: Path, versions: list[Bundle], say: Say) -> None:
    state, bundle = tmp_path / "state", versions[0].folder
    for _ in range(2):
        with make_machine(state, bundle) as machine:
            verdict = run(machine, versions, seconds=0.0, first=[("kill scorer", "kill fairness")], say=say)
        assert not verdict.wrong, "\n".join(verdict.wrong)
        shutil.rmtree(state / "kafka")
        shutil.rmtree(state / "redis-copied")


def run(
    machine: Machine,
    versions: list[Bundle],
    *,
    seconds: float,
    say: Say,
    first: Sequence[Sequence[str]] = (),
) -> Verdict:
    """Load, trouble, and the verdict once everything written is answered and counted."""
    say(f"\nseed {SEED} (ATALAIA_CHAOS_SEED)")
    kafka, gateway = machine.settings.kafka, machine.addresses.gateway or ""
    troubles = Troubles(machine, random.Random(SEED), versions[1].folder)
    with Monitors(machine.settings) as monitors:
        with Load(gateway, kafka, seed=SEED) as load, Truth(gateway, kafka, load, seed=SEED) as truth:
            killer = Killer(troubles, load, monitors, SEED)
            troubles.keep_redis()
            killer.rampage(seconds, first=first)
            truth.stop()
        began = time.monotonic()
        fetched = load.fetch(timeout_seconds=FETCH_SECONDS)
        facts = settled(machine)
        # Only once its window has closed is a row counted.
        time.sleep(max(0.0, began + LONGEST_SECONDS + LATENESS_SECONDS + 2.0 - time.monotonic()))
        behind = monitors.wait(timeout_seconds=SETTLE_SECONDS)
    keys, predictions = read_keys(kafka), read_predictions(kafka)
    verdict = judge(
        Oracle(*map(Predictor, versions)),
        asked=[*load.asked, *fetched],
        acknowledged=load.acknowledged,
        facts=facts,
        keys=keys,
        predictions=predictions,
    )
    windows, counts = audit(kafka).windows, read_counts(kafka)
    wrong = [
        *verdict.wrong,
        *(f"behind: {service} did not catch up" for service in behind),
        *(
            f"never fetched: {entry.id} ended with {entry.status}"
            for entry in fetched
            if entry.status not in FETCHED
        ),
        *differences(windows),
        *counts.wrong,
    ]
    for line in [*killer.table(), *troubles.told]:
        say(line)
    refused = sum(entry.status not in (0, 200) for entry in load.asked)
    say(
        f"{len(load.asked)} posted, {refused} of them refused; {len(fetched)} fetched later; "
        f"{len(load.acknowledged)} written to Kafka; labels {dict(truth.kinds)}; "
        f"{verdict.positions} positions, {len(predictions)} predictions; {counts.observed} rows observed, "
        f"{counts.in_windows.total()} in windows, {counts.late.total()} late, {counts.ahead} ahead; "
        f"{windows.verified} windows recounted, {len(windows.unverifiable)} not verifiable; "
        f"{len(wrong)} differences"
    )
    return Verdict(wrong, verdict.answered, verdict.positions)


def tamper(kafka: KafkaSettings) -> None:
    """Say of a window that it had one row more than it has, as if a row had been counted twice."""
    results = [
        msgspec.json.decode(message.value() or b"", type=DriftResult) for message in read_topic(kafka, DRIFT)
    ]
    window = results[0].window
    last = max(
        (one for one in results if one.window == window),
        key=lambda one: (one.cut.generation, one.cut.observations),
    )
    publish(kafka, DRIFT, msgspec.structs.replace(last, n=last.n + 1), key=NAME)


def differences(windows: Windows) -> list[str]:
    """What the audit of windows found, a line each."""
    told = windows.answer()
    lines = [f"window differs: {entry}" for entry in told["window_differences"]]
    # Nothing expires within minutes: whatever cannot be verified, something is wrong with it.
    return lines + [f"window not verifiable: {entry}" for entry in told["unverifiable"]]


def settled(machine: Machine) -> Facts:
    """The log once nothing is pending any more."""
    until = time.monotonic() + SETTLE_SECONDS
    while True:
        facts = read_facts(machine.settings.kafka)
        if examine(facts).pending == 0 or time.monotonic() > until:
            return facts


def read_keys(kafka: KafkaSettings) -> dict[str, bytes]:
    """The key of each request on the log, by the id in its body."""
    keys: dict[str, bytes] = {}
    for message in read_topic(kafka, REQUESTS):
        if MARK in dict(message.headers() or ()):
            continue
        request = decode_request(message.value() or b"")
        assert request.id is not None
        assert request.id not in keys, f"{request.id} is on requests twice"
        keys[request.id] = message.key() or b""
    return keys


def read_predictions(kafka: KafkaSettings) -> list[Predicted]:
    return [
        Predicted(message.key() or b"", message.value() or b"") for message in read_topic(kafka, PREDICTIONS)
    ]
