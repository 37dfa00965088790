"""One answer a request, whatever its form, and one observed row for each of its rows."""

import itertools
import json
import shutil
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from confluent_kafka import Message

from atalaia.deployments import add_deployment
from atalaia.records import BundleRecord, Deployment
from atalaia.runtime.machine import Machine
from atalaia.stream.clients import producer
from atalaia.stream.deploy import deploy
from atalaia.stream.deployed import read_models
from atalaia.topics import BUNDLES, MODELS, OBSERVATIONS

from .conftest import LINE, TABLE
from .log import Log, output, row, tensor
from .models import line_bundle

pytestmark = pytest.mark.broker

MANY = 256


def column(name: str, datatype: str, data: list[Any]) -> dict[str, Any]:
    return {"name": name, "shape": [len(data), 1], "datatype": datatype, "data": data}


def test_a_row_gets_one_prediction_and_is_observed_where_it_lay(log: Log, key: bytes) -> None:
    before_ms = time.time_ns() // 1_000_000
    [position] = log.write(row(0.5, 0.25, name="mine"), key=key)
    prediction = log.prediction(key)
    assert (prediction["id"], prediction["model_name"], prediction["model_version"]) == ("mine", LINE, "1")
    assert output(prediction, "value") == [0.75]
    assert output(prediction, "abstained") == [False]
    observation, model, place = log.observed(position)
    assert [entry.partition for entry in observation.ranges] == [0, 1, 2, 3]
    covered = observation.ranges[position[0]]
    assert covered.start <= position[1] < covered.end
    assert (model.model, model.version, model.role, model.id[place]) == (LINE, "1", "primary", "mine")
    assert not model.expired.numpy()[place]
    at = int(model.rows.numpy()[:place].sum())
    assert model.rows.numpy()[place] == 1
    assert (model.features["a"].numpy()[at], model.features["b"].numpy()[at]) == (0.5, 0.25)
    assert model.score.numpy()[at] == np.float32(0.75)
    assert before_ms - 1_000 <= model.event_time_ms.numpy()[at] <= time.time_ns() // 1_000_000


def test_columns_with_context_and_their_own_times_are_observed_as_given(log: Log, key: bytes) -> None:
    times = ["2026-01-31T12:00:00Z", "2026-01-31T13:00:00.5+01:00"]
    body = {
        "id": "two",
        "inputs": [
            column("b", "FP32", [1.0, -1.0]),
            column("age", "FP64", [41.5, 7.0]),
            column("a", "FP32", [0.5, 0.25]),
            column("sex", "BYTES", ["F", "M"]),
            column("event_time", "BYTES", times),
        ],
    }
    [position] = log.write(json.dumps(body).encode(), key=key)
    assert output(log.prediction(key), "value") == [1.5, -0.75]
    _, model, place = log.observed(position)
    at = slice(int(model.rows.numpy()[:place].sum()), None)
    at = slice(at.start, at.start + 2)
    assert model.rows.numpy()[place] == 2
    sex = model.context["sex"]
    assert sex.categories is not None
    assert [sex.categories[code] for code in sex.numpy()[at].tolist()] == ["F", "M"]
    assert model.context["age"].numpy()[at].tolist() == [41.5, 7.0]
    assert model.features["a"].numpy()[at].tolist() == [0.5, 0.25]
    assert model.event_time_ms.numpy()[at].tolist() == [1_769_860_800_000, 1_769_860_800_500]


def test_a_request_of_many_rows_is_one_prediction(log: Log, key: bytes) -> None:
    rows = np.random.default_rng(3).normal(size=(MANY, 2)).astype(np.float32)
    [position] = log.write(tensor(rows.astype(float).tolist(), "many"), key=key)
    prediction = log.prediction(key)
    answered = np.array(output(prediction, "value"), np.float32)
    np.testing.assert_array_equal(answered, rows.sum(axis=1))
    _, model, place = log.observed(position)
    assert model.rows.numpy()[place] == MANY
    at = int(model.rows.numpy()[:place].sum())
    np.testing.assert_array_equal(model.score.numpy()[at : at + MANY], answered)


def test_a_model_is_asked_by_header_before_parameters_before_default(log: Log) -> None:
    keys = [uuid.uuid4().hex.encode() for _ in range(4)]
    log.write(tensor([[3.0]]), key=keys[0], headers={"model": TABLE.encode()})
    log.write(tensor([[3.0]], model=TABLE), key=keys[1])
    log.write(tensor([[3.0]], model=LINE), key=keys[2], headers={"model": TABLE.encode()})
    log.write(row(1.0, 1.0, version="1"), key=keys[3])
    for asked in keys[:3]:
        prediction = log.prediction(asked)
        assert (prediction["model_name"], output(prediction, "value")) == (TABLE, [6.0])
    assert log.prediction(keys[3])["model_name"] == LINE


def test_a_request_without_key_is_found_by_its_id_or_its_position(log: Log) -> None:
    name = uuid.uuid4().hex
    log.write(row(1.0, 2.0, name=name))
    assert output(log.prediction(name.encode()), "value") == [3.0]
    [(partition, offset)] = log.write(row(2.0, -0.5))
    where = f"{log.kafka.topic_prefix}requests-{partition}-{offset}"
    prediction = log.prediction(where.encode())
    assert (prediction["id"], output(prediction, "value")) == (where, [1.5])


def test_two_requests_with_one_id_are_two_requests(log: Log) -> None:
    keys = [uuid.uuid4().hex.encode() for _ in range(2)]
    for number, key in enumerate(keys):
        log.write(row(float(number), 0.0, name="again"), key=key)
    assert [output(log.prediction(key), "value") for key in keys] == [[0.0], [1.0]]
    log.write(row(0.5, 0.0, name="again"), row(0.25, 0.0, name="again"), key=keys[0])
    log.prediction(keys[0], count=3)


def test_a_row_out_of_distribution_abstains_and_its_caller_is_told(log: Log, key: bytes) -> None:
    [position] = log.write(row(500.0, -500.0), key=key, headers={"reply": b"5"})
    assert output(log.prediction(key), "abstained") == [True]
    [reply] = log.replies_to(key)
    assert (reply.partition(), dict(reply.headers() or ())) == (5, {"outcome": b"abstained"})
    _, model, place = log.observed(position)
    assert model.abstained.numpy()[int(model.rows.numpy()[:place].sum())]


def test_a_reply_is_the_prediction_and_an_expired_request_gets_none(log: Log, key: bytes) -> None:
    late, past = uuid.uuid4().hex.encode(), str(time.time_ns() // 1_000_000 - 1).encode()
    future = str(time.time_ns() // 1_000_000 + 60_000).encode()
    [position] = log.write(row(1.0, 0.5), key=late, headers={"reply": b"2", "deadline": past}, partition=1)
    log.write(row(1.0, 0.5), key=key, headers={"reply": b"2", "deadline": future}, partition=1)
    expired = log.prediction(late)
    assert expired["parameters"] == {"expired": True}
    assert output(expired, "value") == [1.5]
    [reply] = log.replies_to(key)
    assert json.loads(_value(reply)) == log.prediction(key)
    assert late not in log.replies
    _, model, place = log.observed(position)
    assert model.expired.numpy()[place]


def test_the_model_failing_for_one_row_fails_that_request_alone(log: Log) -> None:
    keys = [uuid.uuid4().hex.encode() for _ in range(5)]
    positions = [
        log.write(tensor([[place]]), key=key, headers={"model": TABLE.encode()}, partition=2)[0]
        for key, place in zip(keys, (1.0, 2.0, 77.0, 3.0, 4.0), strict=True)
    ]
    failed = log.prediction(keys[2])
    assert failed["parameters"] == {"code": "scoring_failed", "status": 500}
    assert log.dead_letter(positions[2])["reason"] == "scoring_failed"
    for key, place in zip(keys, (1.0, 2.0, 0.0, 3.0, 4.0), strict=True):
        if key != keys[2]:
            assert output(log.prediction(key), "value") == [place * 2]


def test_every_observation_partition_is_marked_at_least_once_a_second(log: Log) -> None:
    log.wait(lambda: all(log.observations[p] for p in range(OBSERVATIONS.partitions)) or None, what="marks")
    seen = {p: len(log.observations[p]) for p in range(OBSERVATIONS.partitions)}
    log.wait(lambda: all(len(log.observations[p]) >= n + 4 for p, n in seen.items()) or None, what="4 marks")
    for partition, before in seen.items():
        marks = log.observations[partition][before:]
        for (_, earlier), (_, later) in itertools.pairwise(marks):
            for one, next_one in zip(earlier.ranges, later.ranges, strict=True):
                assert next_one.start == one.end
                assert 0 < next_one.time_ms - one.time_ms < 1_500
        assert all(entry.at_end for entry in marks[-1][1].ranges)


def test_a_version_deployed_at_run_time_answers_from_its_positions_on(
    machine: Machine, log: Log, bundles: Path
) -> None:
    name = f"shift-{uuid.uuid4().hex[:8]}"
    for version, shift in (("1", 10.0), ("2", 20.0)):
        line_bundle(bundles / name / version, name, version=version, shift=shift)
    deploy(bundles / name / "1", settings=machine.settings)
    headers: dict[str, bytes | None] = {"model": name.encode()}
    _wait_until_served(log, headers, "1")
    record = deploy(bundles / name / "2", settings=machine.settings)
    _wait_until_served(log, headers, "2")
    first = uuid.uuid4().hex.encode()
    [position] = log.write(row(0.5, 0.0), key=first, headers=headers)
    assert output(log.prediction(first), "value") == [20.5]
    _, model, _ = log.observed(position)
    assert model.version == "2"
    assert record.deployments[-1].positions.keys() == {0, 1, 2, 3}
    pinned = uuid.uuid4().hex.encode()
    log.write(row(0.5, 0.0), key=pinned, headers=headers | {"version": b"1"})
    assert output(log.prediction(pinned), "value") == [10.5]


@pytest.mark.parametrize("broken", ["changed", "missing", "another digest"])
def test_a_broken_bundle_is_refused_by_name_and_what_served_keeps_serving(
    machine: Machine, log: Log, bundles: Path, key: bytes, broken: str
) -> None:
    name = f"broken-{uuid.uuid4().hex[:8]}"
    line_bundle(bundles / name / "1", name, version="1")
    deploy(bundles / name / "1", settings=machine.settings)
    headers: dict[str, bytes | None] = {"model": name.encode()}
    _wait_until_served(log, headers, "1")
    bundle = line_bundle(bundles / name / "2", name, version="2")
    digest, told = bundle.digest, "card.md"
    if broken == "changed":
        (bundle.folder / "card.md").write_text("changed")
    elif broken == "missing":
        shutil.rmtree(bundle.folder)
        told = str(bundle.folder)
    else:
        digest = told = "sha256:" + "0" * 64
    _record(machine, name, str(bundle.folder), digest)
    _wait_until_refused(machine, name)
    log.write(row(1.0, 1.0), key=key, headers=headers)
    assert log.prediction(key)["model_version"] == "1"
    pinned = uuid.uuid4().hex.encode()
    log.write(row(1.0, 1.0), key=pinned, headers=headers | {"version": b"2"})
    refused = log.prediction(pinned)
    assert refused["parameters"]["code"] == "unknown_model"
    assert told in refused["error"]


def _record(machine: Machine, name: str, location: str, digest: str) -> None:
    """What `deploy` writes, which itself would refuse such a bundle."""
    kafka, now = machine.settings.kafka, datetime.now(UTC).isoformat()
    deployment = Deployment("2", digest, "primary", {}, now)
    changed = add_deployment(read_models(kafka)[name], name, deployment)
    client = producer(kafka)
    for topic, key, record in (
        (BUNDLES, f"{name}@2", BundleRecord(name, "2", digest, location, now)),
        (MODELS, name, changed),
    ):
        client.produce(kafka.topic_prefix + topic.name, key=key, value=msgspec.json.encode(record))
        assert client.flush(10) == 0


def _wait_until_served(log: Log, headers: dict[str, bytes | None], version: str) -> None:
    """Ask until the version answers; what was asked before stays answered by the one before."""

    def served() -> bool | None:
        asked = uuid.uuid4().hex.encode()
        log.write(row(0.0, 0.0), key=asked, headers=headers)
        return log.prediction(asked).get("model_version") == version or None

    log.wait(served, what=f"version {version}")


def _wait_until_refused(machine: Machine, name: str) -> None:
    path = machine.state_dir / "logs" / "scorer-0.log"
    until = time.monotonic() + 10
    while not any("bundle refused" in line and name in line for line in path.read_text().splitlines()):
        assert time.monotonic() < until, "the refusal is not in the log"
        time.sleep(0.05)


def _value(message: Message) -> bytes:
    return message.value() or b""
