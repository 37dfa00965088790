"""Marks of time of a replay: observed where they lie, and refused where a monitor could not trust them."""

import msgspec
import pytest
from confluent_kafka import Message

from atalaia.errors import NotReadable
from atalaia.records import ObservedMark, TimeMark
from services.scorer.intake import BATCH_BYTES, Batch, Intake
from services.scorer.marks import LATEST_MS, read_mark
from services.scorer.served import Served
from tests.unit.scorer.polls import TOPIC, Position, message, take, tensor, view

ROW = [[0.5, 0.25]]
BEGIN = TimeMark("begin", 1_000, "line", "r", 4)
MARKED: dict[str, bytes | None] = {"mark": b""}


def marked(mark: TimeMark | bytes, *, at: Position = (0, 0)) -> Message:
    value = mark if isinstance(mark, bytes) else msgspec.json.encode(mark)
    return message(value, at=at, key=None, headers=MARKED)


def only(seen: Served, *messages: Message) -> Batch:
    batch = Intake(view(seen), topic=TOPIC).take(messages)
    assert batch.taken == len(messages)
    return batch


def test_marks_are_observed_where_they_lie_and_rows_between_them_are_answered(line: Served) -> None:
    at = TimeMark("at", 2_000, "line", "r")
    end = TimeMark("end", 3_000, "line", "r")
    batch = only(
        line,
        marked(BEGIN, at=(2, 7)),
        message(tensor(ROW, "mine"), at=(2, 8)),
        marked(at, at=(2, 9)),
        marked(end, at=(2, 10)),
    )
    assert batch.marks == [ObservedMark(2, 7, BEGIN), ObservedMark(2, 9, at), ObservedMark(2, 10, end)]
    assert not batch.failures
    assert [group.ids for group in batch.groups] == [["mine"]]


def test_a_mark_without_its_header_is_no_mark(line: Served) -> None:
    batch = only(line, message(msgspec.json.encode(BEGIN)))
    assert (batch.marks, [failure.refusal.code for failure in batch.failures]) == ([], ["invalid_input"])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"", "this is not"),
        (b"\xff", "this is not"),
        (b"[" * 100_000, "this is not"),
        (tensor(ROW), "this is not"),
        (b'{"kind": "later", "time_ms": 1}', "Invalid enum value"),
        (TimeMark("clock", 1_000), "is a replay's"),
        (TimeMark("clock", 1_000, "line", "r", 4), "is a replay's"),
        (TimeMark("begin", 1_000, None, "r", 4), "is a replay's"),
        (TimeMark("begin", 1_000, "line", None, 4), "is a replay's"),
        (TimeMark("begin", 1_000, "line", "", 4), "is a replay's"),
        (TimeMark("begin", 1_000, "line", "r"), "0 partitions"),
        (TimeMark("begin", 1_000, "line", "r", 5), "5 partitions"),
        (TimeMark("begin", 1_000, "line", "r", -1), "-1 partitions"),
        (TimeMark("at", LATEST_MS + 1, "line", "r"), "years 1 to 9999"),
        (TimeMark("at", 10**15, "line", "r"), "years 1 to 9999"),
        (b'{"kind": "at", "time_ms": 1%s, "model": "line", "replay": "r"}' % (b"0" * 30), "years 1 to 9999"),
        (TimeMark("at", 1_000, "line", "r" * 101), "101 characters"),
        (b'{"kind": "at", "time_ms": 1, "model": "a b", "replay": "r"}', "regex"),
    ],
)
def test_a_mark_no_monitor_could_trust_is_a_dead_letter(
    line: Served, value: TimeMark | bytes, said: str
) -> None:
    batch = only(line, marked(value), message(tensor(ROW, "mine"), at=(0, 1)))
    assert not batch.marks
    [failure] = batch.failures
    assert isinstance(failure.refusal, NotReadable)
    assert said in failure.refusal.detail
    assert [group.ids for group in batch.groups] == [["mine"]]


def test_a_mark_of_a_model_that_is_not_deployed_makes_no_monitor_keep_state_for_it(line: Served) -> None:
    [failure] = only(line, marked(TimeMark("begin", 1_000, "nobody", "r", 4))).failures
    assert failure.refusal.code == "unknown_model"


def test_marks_count_towards_what_an_observation_holds(line: Served) -> None:
    large = msgspec.json.encode(BEGIN) + b" " * (BATCH_BYTES // 4)
    batches = list(take(view(line), [marked(large, at=(0, offset)) for offset in range(9)]))
    assert [batch.taken for batch in batches] == [4, 4, 1]
    assert sum(len(batch.marks) for batch in batches) == 9


def test_the_headers_of_a_mark_need_no_more_than_the_one(line: Served) -> None:
    crowded = message(msgspec.json.encode(BEGIN), headers={"x": None, "version": b"9", "mark": None})
    assert [entry.mark for entry in only(line, crowded).marks] == [BEGIN]
    assert read_mark(msgspec.json.encode(BEGIN)) == BEGIN
