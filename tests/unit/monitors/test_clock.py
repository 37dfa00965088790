"""Event time of a model, as the log tells it.

Drawings have time from left to right, ``r`` a row, ``e`` a mark "at the end", ``b a z`` begin, at and
end of a replay.
"""

import numpy as np

from atalaia.monitors.clock import LabelClock, ObservationClock
from atalaia.records import Observation, ObservedMark, SourceRange, TimeMark


def heard(*ranges: SourceRange, marks: list[ObservedMark] | None = None) -> Observation:
    return Observation("scorer-0", list(ranges), [], marks or [])


def mark(partition: int, kind: str, time_ms: int, replay: str = "r", model: str = "m") -> ObservedMark:
    return ObservedMark(partition, 0, TimeMark(kind, time_ms, model, replay, 2))  # type: ignore[arg-type]


def tell(clock: ObservationClock, observation: Observation, rows: dict[int, int] | None = None) -> bool:
    clock.begin(observation)
    return clock.finish(observation, rows or {})


def now_of(clock: ObservationClock) -> int | None:
    return clock.time_ms


def test_rows_and_ends_move_time_and_no_partition_is_left_out() -> None:
    #  partition 0   r....50........
    #  partition 1   ..............e 90     -> 50
    clock = ObservationClock("m", partitions=2)
    tell(clock, heard(SourceRange(0, 0, 1, 60)), {0: 50})
    assert now_of(clock) is None
    tell(clock, heard(SourceRange(1, 0, 0, 90, at_end=True)))
    assert now_of(clock) == 50
    tell(clock, heard(SourceRange(0, 1, 1, 95, at_end=True)))
    assert now_of(clock) == 90


def test_a_replay_takes_the_place_of_the_clock_from_its_first_begin_to_its_last_end() -> None:
    #  wall    e 1000                                  e 2000
    #  replay          b 10      a 30    z 40
    clock = ObservationClock("m", partitions=2)
    ends = [SourceRange(p, 0, 0, 1000, at_end=True) for p in (0, 1)]
    tell(clock, heard(*ends))
    assert now_of(clock) == 1000
    assert not tell(clock, heard(*ends, marks=[mark(0, "begin", 10)]))
    assert clock.replaying
    assert now_of(clock) is None  # partition 1 has not begun
    tell(clock, heard(*ends, marks=[mark(1, "begin", 10)]), {0: 25})
    assert now_of(clock) == 10
    tell(clock, heard(*ends, marks=[mark(0, "at", 30), mark(1, "at", 35)]))
    assert now_of(clock) == 30
    assert not tell(clock, heard(*ends, marks=[mark(0, "end", 40)]))
    assert tell(clock, heard(*ends, marks=[mark(1, "end", 40)]))
    assert now_of(clock) == 40
    clock.resume()
    assert now_of(clock) is None
    tell(clock, heard(*[SourceRange(p, 0, 0, 2000, at_end=True) for p in (0, 1)]))
    assert now_of(clock) == 2000


def test_another_models_replay_is_nobody_elses_time() -> None:
    clock = ObservationClock("m", partitions=1)
    tell(clock, heard(SourceRange(0, 0, 0, 1000, at_end=True), marks=[mark(0, "begin", 5, model="other")]))
    assert not clock.replaying
    assert now_of(clock) == 1000


def test_a_second_replay_begins_where_a_first_was_cut_short() -> None:
    clock = ObservationClock("m", partitions=2)
    tell(clock, heard(marks=[mark(0, "begin", 10), mark(1, "begin", 10)]), {0: 70, 1: 70})
    assert now_of(clock) == 70
    tell(clock, heard(marks=[mark(0, "begin", 20, "s"), mark(1, "begin", 20, "s")]))
    assert now_of(clock) == 20


def test_rows_beyond_record_time_are_not_believed_unless_a_replay_declares_them() -> None:
    clock = ObservationClock("m", partitions=1)
    now = heard(SourceRange(0, 0, 2, 1000))
    times = np.array([1000, 10_000_000])
    assert clock.plausible(now, times, np.zeros(2, np.int64)).tolist() == [True, False]
    assert clock.ahead_rows == 1
    clock.begin(heard(marks=[mark(0, "begin", 10)]))
    assert clock.plausible(now, times, np.zeros(2, np.int64)).all()
    assert clock.ahead_rows == 1


def test_a_clock_goes_on_from_its_snapshot() -> None:
    clock = ObservationClock("m", partitions=2)
    tell(clock, heard(marks=[mark(0, "begin", 10), mark(1, "begin", 12)]))
    tell(clock, heard(marks=[mark(0, "end", 40)]))
    other = ObservationClock("m", partitions=4)
    other.restore(clock.snapshot())
    assert other.snapshot() == clock.snapshot()
    assert tell(other, heard(marks=[mark(1, "end", 41)]))
    assert other.time_ms == 40


def test_label_time_is_the_walls_but_for_models_under_replay() -> None:
    clock = LabelClock()
    assert clock.time_ms("m") is None
    clock.take(TimeMark("clock", 1000))
    clock.take(TimeMark("clock", 900))
    assert clock.time_ms("m") == 1000
    clock.take(TimeMark("begin", 10, "m", "r", 1))
    clock.take(TimeMark("at", 30, "m", "r", 1))
    clock.take(TimeMark("at", 20, "m", "r", 1))
    again = LabelClock()
    again.restore(clock.snapshot())
    assert (again.time_ms("m"), again.time_ms("other")) == (30, 1000)
    again.take(TimeMark("end", 40, "m", "r", 1))
    assert again.time_ms("m") == 1000


def test_where_no_gateway_marks_the_clock_labels_stay_where_a_replay_ended() -> None:
    clock = LabelClock()
    for kind, time_ms in (("begin", 10), ("at", 50), ("end", 40)):
        clock.take(TimeMark(kind, time_ms, "m", "r", 1))  # type: ignore[arg-type]
    again = LabelClock()
    again.restore(clock.snapshot())
    assert (again.time_ms("m"), again.time_ms("other")) == (50, None)
    again.take(TimeMark("clock", 1000))
    assert again.time_ms("m") == 1000
