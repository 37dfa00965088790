"""Event time by hand: a pane is 10, a window usually 30, and the drawings say the rest."""

import numpy as np
import pytest

from atalaia.windows import (
    Closing,
    LastRows,
    TimeWindows,
    Watermark,
    Window,
    WindowBook,
    WindowDefinition,
    coalesce,
    pane_of,
    panes_of,
)

TUMBLING = TimeWindows(size_ms=30, step_ms=30, pane_ms=10)
SLIDING = TimeWindows(size_ms=30, step_ms=10, pane_ms=10)


def times(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)


class Stream:
    """One source partition whose rows come in order of the calls; each call is a message."""

    def __init__(
        self,
        definition: WindowDefinition = TUMBLING,
        *,
        lateness: int = 0,
        horizon: int = 0,
        history: int = 0,
    ) -> None:
        self.mark = Watermark(tolerance_ms=1_000_000)
        self.book = WindowBook(definition, lateness_ms=lateness, horizon_ms=horizon, history_ms=history)
        self.position = -1

    def rows(self, *values: int) -> list[Closing]:
        self.book.add(times(*values), self.mark.time_ms)
        return self.reach(max(values))

    def reach(self, time: int) -> list[Closing]:
        self.mark.advance(0, time)
        self.position += 1
        return self.book.close(self.mark.time_ms, cut=self.position)

    def label(self, *values: int) -> list[Closing]:
        self.book.touch(times(*values), self.mark.time_ms)
        self.position += 1
        return self.book.close(self.mark.time_ms, cut=self.position)


def windows(closings: list[Closing]) -> list[tuple[int, int]]:
    return [(closing.window.start_ms, closing.window.end_ms) for closing in closings]


class TestPanes:
    def test_a_pane_takes_its_start_and_not_its_end(self) -> None:
        assert [pane_of(time, 10) for time in (-1, 0, 9, 10)] == [-10, 0, 0, 10]

    def test_a_window_is_a_run_of_panes(self) -> None:
        assert list(panes_of(Window(30, 60), 10)) == [30, 40, 50]

    @pytest.mark.parametrize(("size", "step", "pane"), [(30, 0, 10), (10, 30, 10), (30, 30, 20), (0, 0, 0)])
    def test_a_definition_that_panes_cannot_make_is_refused(self, size: int, step: int, pane: int) -> None:
        with pytest.raises(ValueError, match=r"expected|multiples"):
            TimeWindows(size_ms=size, step_ms=step, pane_ms=pane)

    def test_runs_of_no_rows_are_refused(self) -> None:
        with pytest.raises(ValueError, match="expected 1 or more"):
            LastRows(count=0, pane_ms=10)

    def test_windows_over_a_pane(self) -> None:
        #      0   10   20   30   40
        #     -20-------)
        #      0 ----------)
        #          10 ---------)
        assert SLIDING.open_for(10) == [(-10, 20), (0, 30), (10, 40)]
        assert TUMBLING.open_for(50) == [(30, 60)]
        assert TimeWindows(size_ms=50, step_ms=20, pane_ms=10).open_for(40) == [(0, 50), (20, 70), (40, 90)]


class TestWatermark:
    def test_the_least_of_all_partitions_seen(self) -> None:
        #  partition 0    10 ........ 50
        #  partition 1        20
        #  watermark      10  10      20
        mark = Watermark(tolerance_ms=0)
        seen = []
        for partition, time in ((0, 10), (1, 20), (0, 50)):
            mark.advance(partition, time)
            seen.append(mark.time_ms)
        assert seen == [10, 10, 20]

    def test_a_silent_partition_holds_it_until_a_mark_at_the_end(self) -> None:
        mark = Watermark(tolerance_ms=0)
        mark.advance(0, 10)
        mark.advance(1, 90)
        assert mark.time_ms == 10
        mark.advance(0, 80)  # "at the end" at 80: as good as a row of that time
        assert mark.time_ms == 80

    def test_it_never_falls_back(self) -> None:
        mark = Watermark(tolerance_ms=0)
        mark.advance(0, 50)
        mark.advance(0, 20)
        mark.advance(1, 30)
        assert mark.time_ms == 50
        mark.advance(1, 60)
        assert mark.time_ms == 50

    def test_there_is_none_before_every_expected_partition_was_seen(self) -> None:
        mark = Watermark(tolerance_ms=0, expected=range(2))
        mark.advance(0, 50)
        assert mark.time_ms is None
        mark.advance(1, 30)
        assert mark.time_ms == 30

    def test_rows_ahead_of_their_record_time_are_counted_and_not_believed(self) -> None:
        mark = Watermark(tolerance_ms=5)
        assert mark.plausible(times(90, 105, 106), 100).tolist() == [True, True, False]
        assert mark.plausible(times(7, 7), times(2, 1)).tolist() == [True, False]
        assert mark.ahead_rows == 2
        assert mark.time_ms is None

    def test_it_goes_on_from_a_snapshot(self) -> None:
        mark = Watermark(tolerance_ms=5)
        mark.advance(0, 50)
        mark.advance(1, 20)
        mark.plausible(times(9), 0)
        again = Watermark(tolerance_ms=5)
        again.restore(mark.snapshot())
        again.advance(1, 40)
        assert (again.time_ms, again.ahead_rows) == (50, 1)


class TestClosing:
    def test_a_window_closes_once_when_the_watermark_reaches_its_end(self) -> None:
        #  [0 ... 30) closes at 30
        stream = Stream()
        assert stream.rows(5, 12) == []
        assert stream.rows(29) == []
        assert stream.rows(30) == [Closing(Window(0, 30), revision=0, cut=2, first=True, mature=True)]
        assert stream.rows(31) == []

    def test_it_waits_for_the_lateness_beyond(self) -> None:
        stream = Stream(lateness=10)
        stream.rows(5)
        assert stream.rows(39) == []
        assert windows(stream.rows(40)) == [(0, 30)]

    def test_windows_close_in_time_order_and_empty_ones_do_not_exist(self) -> None:
        #  rows   5            65   95              [30, 60) has none
        stream = Stream()
        assert windows(stream.rows(95, 5, 65, 120)) == [(0, 30), (60, 90), (90, 120)]

    def test_sliding_windows_close_one_after_the_other(self) -> None:
        stream = Stream(SLIDING)
        assert windows(stream.rows(15)) == []
        assert windows(stream.reach(20)) == [(-10, 20)]
        assert windows(stream.reach(40)) == [(0, 30), (10, 40)]

    def test_nothing_closes_before_there_is_a_watermark(self) -> None:
        book = WindowBook(TUMBLING, lateness_ms=0)
        assert book.add(times(5), None).tolist() == [True]
        assert book.close(None, cut=0) == []
        assert book.forget(None) == []


class TestLateness:
    def test_a_row_behind_every_window_is_late(self) -> None:
        stream = Stream(lateness=10)
        stream.rows(41)
        kept = stream.book.add(times(29, 30, 5), stream.mark.time_ms)
        assert kept.tolist() == [False, True, False]
        assert stream.book.late_rows == 2
        assert stream.book.rows == {30: 1, 40: 1}

    def test_the_message_itself_makes_none_of_its_rows_late(self) -> None:
        stream = Stream()
        assert windows(stream.rows(5, 95)) == [(0, 30)]
        assert stream.book.late_rows == 0

    def test_a_row_a_younger_window_takes_revises_the_closed_ones(self) -> None:
        #  pane         0    10   20   30   40
        #  closed at 35 [-----------)
        #  open              [-----------)
        #  row at 12         ^ in both
        stream = Stream(SLIDING)
        stream.rows(12)
        stream.reach(35)
        assert stream.rows(13) == [
            Closing(Window(-10, 20), 1, 2, first=False, mature=True),
            Closing(Window(0, 30), 1, 2, first=False, mature=True),
        ]
        assert stream.book.late_rows == 0

    def test_a_window_that_had_no_row_in_time_closes_when_it_gets_one(self) -> None:
        stream = Stream(SLIDING)
        stream.reach(35)
        assert [(*c.window, c.revision) for c in stream.rows(22)] == [(0, 30, 0)]


class TestLabels:
    def test_a_label_revises_the_closed_window_over_its_row(self) -> None:
        stream = Stream(horizon=100)
        stream.rows(5, 35)
        assert stream.label(5) == [Closing(Window(0, 30), 1, 1, first=False, mature=False)]
        assert stream.label(6, 7, 36) == [Closing(Window(0, 30), 2, 2, first=False, mature=False)]

    def test_before_the_window_closes_it_says_nothing(self) -> None:
        stream = Stream(horizon=100)
        stream.rows(5)
        assert stream.label(5) == []
        assert [c.revision for c in stream.reach(30)] == [0]

    def test_a_window_becomes_mature_at_its_horizon_once(self) -> None:
        #  [0 .. 30) closed .............. mature at 130
        stream = Stream(horizon=100)
        stream.rows(5)
        stream.reach(30)
        assert stream.reach(129) == []
        assert stream.reach(130) == [Closing(Window(0, 30), 1, 3, first=False, mature=True)]
        assert stream.reach(150) == []

    def test_a_label_behind_the_horizon_of_its_pane_is_counted(self) -> None:
        stream = Stream(horizon=100)
        stream.rows(5, 15, 110)
        assert stream.book.touch(times(5, 15), 110).tolist() == [False, True]
        assert stream.book.label_too_late == 1

    def test_the_labels_own_time_may_lag_behind_the_watermark(self) -> None:
        stream = Stream(horizon=100)
        stream.rows(5, 35)
        assert not any(c.mature for c in stream.book.close(500, cut=1, join_time_ms=120))
        assert stream.book.touch(times(25), 120).tolist() == [True]
        assert stream.book.forget(500, join_time_ms=120) == []


class TestForgetting:
    def test_a_pane_is_dropped_when_its_window_is_beyond_change(self) -> None:
        stream = Stream(lateness=5)
        stream.rows(5, 15, 31)
        assert stream.book.forget(stream.mark.time_ms) == []
        stream.reach(35)
        assert stream.book.forget(stream.mark.time_ms) == [0, 10]
        assert stream.book.snapshot().closed == []

    def test_labels_keep_it_to_the_horizon(self) -> None:
        stream = Stream(horizon=100)
        stream.rows(5)
        stream.reach(129)
        assert stream.book.forget(stream.mark.time_ms) == []
        stream.reach(130)
        assert stream.book.forget(stream.mark.time_ms) == [0]

    def test_sliding_windows_share_it_until_the_last_is_beyond_change(self) -> None:
        #  pane 10 is in (-10,20) (0,30) (10,40); a row in pane 30 may still come until 60 and change (10,40)
        stream = Stream(SLIDING)
        stream.rows(12)
        stream.reach(59)
        assert stream.book.forget(stream.mark.time_ms) == []
        stream.reach(60)
        assert stream.book.forget(stream.mark.time_ms) == [10]

    def test_history_keeps_it_to_be_compared_with(self) -> None:
        stream = Stream(history=100)
        stream.rows(5)
        stream.reach(129)
        assert stream.book.forget(stream.mark.time_ms) == []
        stream.reach(130)
        assert stream.book.forget(stream.mark.time_ms) == [0]


class TestLastRows:
    def test_runs_of_whole_panes_with_enough_rows(self) -> None:
        #  rows   1   1   2   3
        #        [-------)[--) and pane 30 begins the next
        stream = Stream(LastRows(count=2, pane_ms=10))
        assert windows(stream.rows(1, 11, 21, 22, 31)) == [(0, 20), (20, 30)]
        assert windows(stream.rows(32)) == []
        assert windows(stream.reach(40)) == [(30, 40)]

    def test_the_open_run_keeps_its_panes(self) -> None:
        stream = Stream(LastRows(count=3, pane_ms=10))
        stream.rows(1)
        stream.rows(500)
        assert stream.book.forget(stream.mark.time_ms) == []
        assert windows(stream.rows(501, 520)) == [(0, 510)]
        assert stream.book.forget(stream.mark.time_ms) == [0, 500]

    def test_a_row_behind_its_pane_is_late(self) -> None:
        stream = Stream(LastRows(count=3, pane_ms=10), lateness=5)
        stream.rows(1, 15)
        assert stream.book.add(times(2), 15).tolist() == [False]

    def test_a_label_revises_the_run_over_its_row(self) -> None:
        stream = Stream(LastRows(count=1, pane_ms=10), horizon=100)
        stream.rows(1, 11)
        assert windows(stream.label(1)) == [(0, 10)]
        assert windows(stream.label(11)) == []


class TestSteps:
    def test_the_last_word_on_a_window_is_told_once(self) -> None:
        one, other = Window(0, 30), Window(30, 60)
        step = [
            Closing(one, 0, 7, first=True, mature=False),
            Closing(other, 4, 7, first=False, mature=False),
            Closing(one, 1, 9, first=False, mature=True),
        ]
        assert coalesce(step) == [
            Closing(one, 1, 9, first=True, mature=True),
            Closing(other, 4, 7, first=False, mature=False),
        ]

    def test_a_snapshot_lies_between_messages(self) -> None:
        stream = Stream(horizon=100)
        stream.rows(5, 35)
        stream.book.touch(times(5), 35)
        with pytest.raises(ValueError, match="between messages"):
            stream.book.snapshot()

    def test_a_book_goes_on_from_a_snapshot(self) -> None:
        stream = Stream(horizon=100)
        stream.rows(5, 35)
        stream.book.add(times(2), stream.mark.time_ms)
        again = WindowBook(TUMBLING, lateness_ms=0, horizon_ms=100)
        again.restore(stream.book.snapshot())
        assert again.late_rows == 1
        again.touch(times(5), 35)
        assert again.close(60, cut=9) == [
            Closing(Window(0, 30), 1, 9, first=False, mature=False),
            Closing(Window(30, 60), 0, 9, first=True, mature=False),
        ]


def test_the_end_of_a_replay_closes_what_is_open_and_event_time_confirms_it() -> None:
    # lateness 5      0    10   20   30   40   50   60
    #                 [----- first ----)[-- second --)
    #                                  35: first closes      66: second is final
    #                                     42, flush: second is provisional; 44 revises it
    stream = Stream(lateness=5)
    stream.rows(3, 35)
    stream.rows(42)
    (early,) = stream.book.flush(stream.mark.time_ms, cut=9)
    assert (early.window, early.first, early.provisional) == (Window(30, 60), True, True)
    (revised,) = stream.rows(44)
    assert (revised.revision, revised.provisional) == (1, True)
    assert stream.reach(64) == []
    (final,) = stream.reach(65)
    assert (final.window, final.revision, final.first, final.provisional) == (Window(30, 60), 2, False, False)


def test_what_was_flushed_survives_a_snapshot_and_is_final_once() -> None:
    stream = Stream()
    stream.rows(3)
    stream.book.flush(stream.mark.time_ms, cut=1)
    state = stream.book.snapshot()
    stream.book = WindowBook(TUMBLING, lateness_ms=0)
    stream.book.restore(state)
    assert [closing.provisional for closing in stream.reach(30)] == [False]
    assert stream.reach(60) == []


def test_a_revision_before_there_is_a_watermark_again_is_told() -> None:
    # After a replay the watermark begins anew; rows for closed windows may come before it does.
    stream = Stream()
    stream.rows(3, 31)
    stream.book.add(times(4), None)
    assert windows(stream.book.close(None, cut=2)) == [(0, 30)]
    stream.book.snapshot()


def test_a_flush_ends_a_run_that_is_not_full_and_later_rows_begin_another() -> None:
    # count 4     0   10   20   30
    #             2    1 |      3, 1
    #             [-----)flush  [---)
    stream = Stream(LastRows(count=4, pane_ms=10))
    stream.rows(1, 2, 13)
    assert windows(stream.book.flush(stream.mark.time_ms, cut=1)) == [(0, 20)]
    stream.rows(31, 32, 33, 34)
    assert windows(stream.reach(40)) == [(0, 20), (30, 40)][1:]


def test_runs_are_made_of_times_before_one_that_is_closed_and_do_not_reach_across_it() -> None:
    #             0   10   20   30   40
    #             2    2    [---)    3
    #             [-----)            [---  not full
    rows = {0: 2, 10: 2, 20: 9, 30: 3}
    runs = LastRows(count=5, pane_ms=10)
    closed = [Window(20, 30)]
    assert runs.due(rows, closed, 40) == []
    assert runs.due(rows, closed, 40, whole=False) == [Window(0, 20), Window(30, 40)]
    assert LastRows(count=4, pane_ms=10).due(rows, closed, 40) == [Window(0, 20)]


def test_panes_from_a_time_on_are_kept_when_asked_for() -> None:
    stream = Stream()
    stream.rows(3, 13, 31)
    assert stream.book.forget(60, since_ms=10) == [0]
    assert sorted(stream.book.rows) == [10, 30]
