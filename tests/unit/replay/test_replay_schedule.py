import numpy as np
import pytest

from atalaia.replay.schedule import Pace, Schedule


def test_rows_lie_an_interval_apart_wherever_they_are_asked_from() -> None:
    schedule = Schedule(1_000, 333.4, 10)
    whole = schedule.times(0, 10)
    assert whole[0] == 1_000
    assert (np.abs(np.diff(whole) - 333.4) <= 1).all()
    assert schedule.times(4, 3).tolist() == whole[4:7].tolist()
    assert (schedule.time(9), schedule.last_ms) == (int(whole[9]), int(whole[9]))


@pytest.mark.parametrize("interval_ms", [0.25, 1.0, 1_000.0, 3_600_000.0])
def test_by_default_the_rows_end_now_and_none_is_beyond(interval_ms: float) -> None:
    schedule = Schedule.ending(1_700_000_000_000, interval_ms=interval_ms, rows=7)
    assert schedule.last_ms <= 1_700_000_000_000
    assert 1_700_000_000_000 - schedule.last_ms <= interval_ms + 1


def test_a_pace_lets_the_first_row_go_at_once_and_the_others_when_they_are_due() -> None:
    pace = Pace(interval_ms=1_000, speed=4)
    assert [pace.rows_due(seconds) for seconds in (0.0, 0.24, 0.25, 1.0)] == [1, 1, 2, 5]
    assert [pace.seconds_until(row) for row in (0, 1, 4)] == [0.0, 0.25, 1.0]
    assert pace.rows_due(pace.seconds_until(3)) == 4


def test_without_a_speed_all_rows_are_due() -> None:
    pace = Pace(interval_ms=1_000, speed=None)
    assert pace.rows_due(0.0) is None
    assert pace.seconds_until(10**9) == 0.0
