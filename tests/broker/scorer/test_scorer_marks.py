"""Marks of time on a real log: observed once, answered by nobody, and audit finds nothing amiss."""

import uuid

import msgspec
import pytest
from confluent_kafka import Message

from atalaia.conservation import examine
from atalaia.records import ObservedMark, TimeMark
from atalaia.runtime.machine import Machine
from atalaia.stream.ledger import read_facts
from atalaia.stream.partitioner import partition_of
from atalaia.topics import OBSERVATIONS, REQUESTS

from .conftest import LINE, TABLE
from .log import Log, output, row

pytestmark = pytest.mark.broker


def mark(log: Log, mark: TimeMark, partition: int) -> tuple[int, int]:
    [position] = log.write(msgspec.json.encode(mark), partition=partition, headers={"mark": b""})
    return position


def observed_marks(log: Log, replay: str) -> list[tuple[int, ObservedMark]]:
    """Marks of a replay, with the partition of `observations` they were found on."""
    return [
        (partition, entry)
        for partition, entries in log.observations.items()
        for _, observation in entries
        for entry in observation.marks
        if entry.mark.replay == replay
    ]


@pytest.mark.parametrize("model", [LINE, TABLE])
def test_marks_are_observed_once_on_their_models_partition_and_audit_finds_no_difference(
    machine: Machine, log: Log, model: str
) -> None:
    replay, key = uuid.uuid4().hex, uuid.uuid4().hex.encode()
    partitions = range(REQUESTS.partitions)
    written = {}
    for kind in ("begin", "at", "end"):
        for partition in partitions:
            written[mark(log, TimeMark(kind, 1_000, model, replay, len(partitions)), partition)] = kind
        if kind == "begin":
            log.write(row(0.5, 0.25), key=key)
    log.wait(lambda: len(observed_marks(log, replay)) >= len(written) or None, what="the marks")
    found = observed_marks(log, replay)
    assert {(entry.partition, entry.offset): entry.mark.kind for _, entry in found} == written
    assert {partition for partition, _ in found} == {partition_of(model, OBSERVATIONS.partitions)}
    assert output(log.prediction(key), "value") == [0.75]
    report = examine(read_facts(machine.settings.kafka))
    assert report.ok, report.differences
    assert report.outcomes["mark"] >= len(written)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"not a mark", "not_readable"),
        (msgspec.json.encode(TimeMark("begin", 1_000, "nobody", "r", 4)), "unknown_model"),
        (msgspec.json.encode(TimeMark("begin", 1_000, LINE, "r", 400)), "not_readable"),
    ],
)
def test_a_foreign_mark_is_a_dead_letter_and_stops_nothing(
    machine: Machine, log: Log, key: bytes, value: bytes, code: str
) -> None:
    [position] = log.write(value, partition=2, headers={"mark": b"yes"})
    log.write(row(0.5, 0.25), key=key, partition=2)
    assert output(log.prediction(key), "value") == [0.75]
    assert log.dead_letter(position)["reason"] == code
    assert isinstance(log.dead_letters[position], Message)
    assert log.dead_letters[position].value() == value
    report = examine(read_facts(machine.settings.kafka))
    assert report.ok, report.differences
