"""Versions change while requests flow: each request is answered by the version its position says."""

import threading
import uuid
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from atalaia.conservation import examine
from atalaia.deployments import add_change, plan_at
from atalaia.records import ModelRecord, MonitorChange
from atalaia.runtime.machine import Machine
from atalaia.stream.deploy import deploy, promote, retire, rollback
from atalaia.stream.deployed import read_models, write_model
from atalaia.stream.ledger import read_facts, read_topic
from atalaia.stream.logs import LogReader
from atalaia.topics import MODELS

from .log import Headers, Log, Position, row
from .models import line_bundle

pytestmark = pytest.mark.broker


class Flow:
    """Requests written one after the other until told to stop; where each lay."""

    def __init__(self, machine: Machine, name: str) -> None:
        self.positions: dict[bytes, Position] = {}
        self._log = Log(machine.settings.kafka)
        self._headers: Headers = {"model": name.encode()}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.is_set():
            key = uuid.uuid4().hex.encode()
            [self.positions[key]] = self._log.write(row(1.0, 1.0), key=key, headers=self._headers)

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        self._log.close()


def shifted(folder: Path, name: str, version: str) -> Path:
    """A version that answers 2 + 100 x its number to (1, 1)."""
    return line_bundle(folder / name / version, name, version=version, shift=100.0 * int(version)).folder


def answered_by(record: ModelRecord, position: Position, key: bytes) -> str:
    answering = plan_at(record.deployments, *position).answering(key)
    assert answering is not None
    return answering.version


@pytest.mark.parametrize("killed", [False, True], ids=["undisturbed", "killed"])
def test_every_request_is_answered_by_the_version_its_position_says(
    machine: Machine, log: Log, bundles: Path, *, killed: bool
) -> None:
    name, settings = f"swapped-{uuid.uuid4().hex[:8]}", machine.settings
    deploy(shifted(bundles, name, "1"), settings=settings)
    flow = Flow(machine, name)
    try:
        deploy(shifted(bundles, name, "2"), settings=settings, role="canary", weight=30.0)
        if killed:
            machine.kill("scorer-0")
        promote(name, "2", kafka=settings.kafka)
        deploy(shifted(bundles, name, "3"), settings=settings, role="shadow")
        rollback(name, kafka=settings.kafka)
        if killed:
            machine.kill("scorer-0")
        promote(name, "3", kafka=settings.kafka)
    finally:
        flow.stop()
    record = read_models(settings.kafka)[name]
    expected = {key: answered_by(record, at, key) for key, at in flow.positions.items()}
    answers = {key: log.prediction(key, seconds=30) for key in flow.positions}
    assert {key: answer.get("model_version") for key, answer in answers.items()} == expected
    assert Counter(expected.values()).keys() == {"1", "2", "3"}
    assert examine(read_facts(settings.kafka)).ok


def test_shadows_are_observed_and_answer_nobody(
    machine: Machine, log: Log, bundles: Path, key: bytes
) -> None:
    name, settings = f"shadowed-{uuid.uuid4().hex[:8]}", machine.settings
    deploy(shifted(bundles, name, "1"), settings=settings)
    deploy(shifted(bundles, name, "2"), settings=settings, role="shadow")
    [position] = log.write(row(1.0, 1.0), key=key, headers={"model": name.encode()})
    assert log.prediction(key)["model_version"] == "1"
    log.observed(position)
    heard = {
        (entry.version, entry.role): entry.score.numpy().tolist()
        for observations in log.observations.values()
        for _, observation in observations
        for entry in observation.models
        if entry.model == name
    }
    assert heard == {("1", "primary"): [102.0], ("2", "shadow"): [202.0]}


def test_a_model_without_its_primary_answers_nobody_until_one_is_back(
    machine: Machine, log: Log, bundles: Path
) -> None:
    name, settings = f"withdrawn-{uuid.uuid4().hex[:8]}", machine.settings
    bundle = shifted(bundles, name, "1")
    asked = [uuid.uuid4().hex.encode() for _ in range(3)]
    headers: Headers = {"model": name.encode()}
    deploy(bundle, settings=settings)
    log.write(row(1.0, 1.0), key=asked[0], headers=headers)
    retire(name, "1", kafka=settings.kafka)
    log.write(row(1.0, 1.0), key=asked[1], headers=headers)
    deploy(bundle, settings=settings)
    log.write(row(1.0, 1.0), key=asked[2], headers=headers)
    answers = [log.prediction(key) for key in asked]
    assert [answer.get("model_version") for answer in answers] == ["1", None, "1"]
    assert "no version" in answers[1]["error"]


def test_a_reader_knows_how_far_it_has_read_before_it_is_told_of_an_end(
    machine: Machine, bundles: Path
) -> None:
    # Who waits for a record would else wait out a fetch that finds nothing more.
    name, kafka = f"read-{uuid.uuid4().hex[:8]}", machine.settings.kafka
    with LogReader(kafka, (MODELS,)) as reader:
        assert list(reader.read_to_end())
        deploy(shifted(bundles, name, "1"), settings=machine.settings)
        found = reader.read(timeout_seconds=10.0)
        while not found:
            found = reader.read(timeout_seconds=10.0)
        place = found[-1].topic() or "", found[-1].partition() or 0
        assert reader.positions[place] == (found[-1].offset() or 0) + 1


def test_of_two_who_change_a_model_at_once_both_have_done_so(machine: Machine, bundles: Path) -> None:
    name, kafka = f"both-{uuid.uuid4().hex[:8]}", machine.settings.kafka
    for version in "12":
        deploy(shifted(bundles, name, version), settings=machine.settings)
    known = read_models(kafka)[name]
    promote(name, "1", kafka=kafka)
    change = MonitorChange(name, {"drift": {"effect": 0.2}}, "2026-01-01T00:00:00Z", offset=7)
    both = write_model(kafka, add_change(known, change))
    assert [entry.version for entry in both.deployments] == ["1", "2", "1"]
    assert [entry.monitors for entry in both.monitors] == [change.monitors]
    *_, last = (message for message in read_topic(kafka, MODELS) if message.key() == name.encode())
    assert msgspec.json.decode(last.value() or b"", type=ModelRecord) == both
