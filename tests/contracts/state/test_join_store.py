"""The join on Redis and on its twin: cases told one by one; horizon 100, grace 40."""

import os
from dataclasses import replace

import numpy as np
import pytest

from atalaia.join.matching import JoinCounts, JoinRules, Labels, Predictions, Resolved, plan, resolve
from atalaia.join.rows import ExpiredRows, RowValues, row_ids
from atalaia.join.sweep import JoinSpace, Sweep
from atalaia.state.fence import Fence, Outcome, Step, Unit
from tests.contracts.state.conftest import Backend

RULES = JoinRules(horizon_ms=100, grace_ms=40, payload_bytes=2)
SPACE = JoinSpace(most_rows=100)
NOTHING = ExpiredRows(RowValues(b"", b"", b""), None)


def rows(*entries: tuple[str, int], watermark: int = 0) -> Predictions:
    return Predictions(
        row_ids("m", [name for name, _ in entries]),
        np.array([time for _, time in entries], np.int64),
        np.full(len(entries), watermark, np.int64),
        np.array([[ord(name[0]), time % 256] for name, time in entries], np.uint8).reshape(-1, 2),
    )


def labels(*entries: tuple[str, int, float], mark: int = 0, position: int = 0) -> Labels:
    count = len(entries)
    return Labels(
        row_ids("m", [name for name, _, _ in entries]),
        np.array([time for _, time, _ in entries], np.int64),
        np.full(count, mark, np.int64),
        np.arange(position, position + count),
        np.array([value for _, _, value in entries], np.float64).view(np.uint8).reshape(-1, 8),
    )


class Joining:
    """One worker; each call is a step."""

    def __init__(self, backend: Backend) -> None:
        self.store, self.unit = backend.open(), backend.unit
        loaded = self.store.load(self.unit)
        self.token, self.incarnation = loaded.token, loaded.incarnation
        self.counts = JoinCounts()
        self.position = 0

    def take(self, given: Predictions | None = None, told: Labels | None = None, **more: int) -> Resolved:
        given = rows() if given is None else given
        told = labels() if told is None else replace(told, position=told.position + self.position)
        self.position += len(told.ids)
        planned = plan(given, told, buckets=SPACE.buckets)
        found = self.store.read_rows(self.unit, self.incarnation, planned.keys)
        resolved = resolve(RULES, planned, found, given, told, room=more.get("room", 100))
        self.counts.add(resolved.counts)
        writes = resolved.writes
        if "sweep" in more:
            ids = np.concatenate([given.ids, told.ids])
            looked = range(SPACE.buckets)
            swept = self.store.read_expired(self.unit, self.incarnation, looked, more["sweep"])
            dropped, counts = Sweep(SPACE, RULES.horizon_ms).drop(looked, swept, more["sweep"], ids)
            self.counts.add(counts)
            writes = writes.merge(dropped)
        step = Step(self.token, Fence({}, {}), os.urandom(16), self.incarnation, rows=writes)
        assert self.store.step(self.unit, step) is Outcome.APPLIED
        self.token = step.token
        return resolved

    def says(self, **expected: int) -> bool:
        told = {name: getattr(self.counts, name) for name in JoinCounts.__struct_fields__}
        return {name: count for name, count in told.items() if count} == expected


@pytest.fixture
def joining(backend: Backend) -> Joining:
    return Joining(backend)


def matched(resolved: Resolved) -> list[tuple[str, int, float, float | None]]:
    """Id, time, label, previous label of each change."""
    changes = resolved.changes
    return sorted(
        (
            chr(payload[0]),
            int(time),
            float(label.view(np.float64)[0]),
            float(previous.view(np.float64)[0]) if had else None,
        )
        for payload, time, label, had, previous in zip(
            changes.payload,
            changes.time_ms,
            changes.label.copy(),
            changes.had,
            changes.previous.copy(),
            strict=True,
        )
    )


class TestMatching:
    def test_a_label_after_its_prediction(self, joining: Joining) -> None:
        assert matched(joining.take(rows(("a", 10), ("b", 20)))) == []
        assert matched(joining.take(None, labels(("b", 50, 1.0)))) == [("b", 20, 1.0, None)]
        assert joining.says(stored=2, matched=1, held_rows=2)

    def test_a_label_before_its_prediction(self, joining: Joining) -> None:
        assert matched(joining.take(None, labels(("a", 50, 1.0)))) == []
        assert joining.says(waiting_labels=1, held_rows=1)
        assert matched(joining.take(rows(("a", 10)))) == [("a", 10, 1.0, None)]
        assert joining.says(stored=1, matched=1, held_rows=1)

    def test_both_in_one_batch(self, joining: Joining) -> None:
        assert matched(joining.take(rows(("a", 10)), labels(("a", 50, 1.0)))) == [("a", 10, 1.0, None)]

    def test_rows_of_one_request_have_labels_of_their_own(self) -> None:
        ids = row_ids("m", ["a"] * 3, np.arange(3))
        assert len({row.tobytes() for row in ids}) == 3
        assert (row_ids("m", ["a"]) != row_ids("n", ["a"])).any()


class TestCorrections:
    def test_a_later_label_takes_the_place_of_an_earlier_one(self, joining: Joining) -> None:
        joining.take(rows(("a", 10)), labels(("a", 50, 1.0)))
        assert matched(joining.take(None, labels(("a", 60, 0.0)))) == [("a", 10, 0.0, 1.0)]
        assert joining.says(stored=1, matched=1, corrected=1, held_rows=1)

    def test_at_equal_times_the_later_position_wins(self, joining: Joining) -> None:
        joining.take(rows(("a", 10)), labels(("a", 50, 1.0)))
        assert matched(joining.take(None, labels(("a", 50, 0.0)))) == [("a", 10, 0.0, 1.0)]

    def test_an_earlier_truth_that_comes_later_changes_nothing(self, joining: Joining) -> None:
        joining.take(rows(("a", 10)), labels(("a", 50, 1.0)))
        assert matched(joining.take(None, labels(("a", 40, 0.0)))) == []
        assert joining.says(stored=1, matched=1, superseded=1, held_rows=1)

    def test_the_same_value_again_changes_when_it_was_known_alone(self, joining: Joining) -> None:
        joining.take(rows(("a", 10)), labels(("a", 50, 1.0)))
        assert matched(joining.take(None, labels(("a", 60, 1.0)))) == [("a", 10, 1.0, 1.0)]
        assert joining.says(stored=1, matched=1, repeated=1, held_rows=1)

    def test_there_and_back_within_a_batch_changes_when_it_was_known_alone(self, joining: Joining) -> None:
        joining.take(rows(("a", 10)), labels(("a", 50, 1.0)))
        assert matched(joining.take(None, labels(("a", 60, 0.0), ("a", 70, 1.0)))) == [("a", 10, 1.0, 1.0)]
        assert joining.says(stored=1, matched=1, corrected=2, held_rows=1)

    def test_of_labels_that_waited_the_latest_that_is_in_time_wins(self, joining: Joining) -> None:
        joining.take(None, labels(("a", 50, 1.0), ("a", 60, 0.0), ("a", 110, 1.0)))
        assert matched(joining.take(rows(("a", 10)))) == [("a", 10, 0.0, None)]
        assert joining.says(stored=1, matched=1, corrected=1, too_late=1, held_rows=1)


class TestHorizon:
    @pytest.mark.parametrize(("time", "mark"), [(110, 0), (50, 110)])
    def test_a_label_at_the_horizon_is_too_late(self, joining: Joining, time: int, mark: int) -> None:
        joining.take(rows(("a", 10)))
        assert matched(joining.take(None, labels(("a", time, 1.0), mark=mark))) == []
        assert joining.says(stored=1, too_late=1, held_rows=1)

    def test_a_prediction_a_horizon_after_its_label_is_not_its_own(self, joining: Joining) -> None:
        joining.take(None, labels(("a", 50, 1.0)))
        assert matched(joining.take(rows(("a", 150)))) == []
        assert joining.says(stored=1, unknown=1, held_rows=1)

    def test_a_prediction_is_dropped_at_its_horizon(self, joining: Joining) -> None:
        joining.take(rows(("a", 10), ("b", 11)), labels(("b", 20, 1.0)))
        joining.take(sweep=109)
        assert joining.says(stored=2, matched=1, held_rows=2)
        joining.take(sweep=110)
        assert joining.says(stored=2, matched=1, unlabelled=1, held_rows=1)
        joining.take(sweep=111)
        assert joining.says(stored=2, matched=1, unlabelled=1)

    def test_a_label_waits_through_the_grace(self, joining: Joining) -> None:
        #  known at 50, kept until 50 + 100 + 40, as a row of 149 may come until then
        joining.take(None, labels(("a", 50, 1.0), ("b", 50, 1.0)))
        joining.take(sweep=189)
        assert matched(joining.take(rows(("a", 149), watermark=188))) == [("a", 149, 1.0, None)]
        joining.take(sweep=190)
        assert joining.says(stored=1, matched=1, unknown=1, held_rows=1)

    def test_a_row_this_step_touches_is_left_to_the_next_sweep(self, joining: Joining) -> None:
        joining.take(rows(("a", 10)))
        joining.take(rows(("a", 200), watermark=190), sweep=190)
        assert joining.says(stored=2, unlabelled=1, held_rows=1)
        assert matched(joining.take(None, labels(("a", 210, 1.0)))) == [("a", 200, 1.0, None)]

    def test_an_id_again_within_its_horizon_is_a_duplicate(self, joining: Joining) -> None:
        joining.take(rows(("a", 10)))
        assert joining.take(rows(("a", 30), watermark=109)).stored.tolist() == [False]
        assert matched(joining.take(None, labels(("a", 50, 1.0)))) == [("a", 10, 1.0, None)]
        assert joining.says(stored=1, duplicate=1, matched=1, held_rows=1)

    def test_an_id_again_after_its_horizon_keeps_the_old_label_where_it_was(self, joining: Joining) -> None:
        joining.take(rows(("a", 10)), labels(("a", 50, 1.0)))
        joining.take(rows(("a", 130), watermark=110))
        assert matched(joining.take(None, labels(("a", 150, 0.0)))) == [("a", 130, 0.0, None)]
        assert joining.says(stored=2, matched=2, held_rows=1)


class TestBounds:
    def test_beyond_its_room_it_sheds_the_last_to_come(self, joining: Joining) -> None:
        resolved = joining.take(rows(("a", 10), ("b", 10), ("c", 10)), labels(("d", 20, 1.0)), room=2)
        assert resolved.stored.tolist() == [True, True, False]
        assert resolved.shed.tolist() == [False, False, True]
        assert joining.says(stored=2, shed_predictions=1, shed_labels=1, held_rows=2)

    def test_what_is_held_needs_no_room(self, joining: Joining) -> None:
        joining.take(rows(("a", 10)))
        assert matched(joining.take(None, labels(("a", 20, 1.0)), room=0)) == [("a", 10, 1.0, None)]

    def test_only_the_latest_labels_of_an_unknown_id_wait(self, joining: Joining) -> None:
        joining.take(None, labels(*[("a", time, float(time)) for time in range(20, 32)]))
        assert joining.says(waiting_labels=8, superseded=4, held_rows=1)
        assert matched(joining.take(rows(("a", 10)))) == [("a", 10, 31.0, None)]

    def test_rows_of_another_configuration_are_not_misread(self, joining: Joining) -> None:
        joining.take(rows(("a", 10)))
        given, told = rows(("a", 10)), labels()
        planned = plan(given, told, buckets=SPACE.buckets)
        found = joining.store.read_rows(joining.unit, joining.incarnation, planned.keys)
        with pytest.raises(ValueError, match="another configuration"):
            resolve(JoinRules(100, 40, payload_bytes=3), planned, found, given, told, room=9)


class TestSweeping:
    def test_a_pass_goes_through_all_buckets_and_the_next_waits_for_what_may_expire(self) -> None:
        sweep = Sweep(JoinSpace(most_rows=48 * 40), horizon_ms=160, starts_ms=50)
        nothing = np.zeros((0, 2), np.uint64)
        looked = [sweep.due(50, rows=0, held_rows=5)]
        sweep.drop(looked[0], NOTHING, 50, nothing)
        looked.append(sweep.due(50, rows=1000, held_rows=48 * 40))
        sweep.drop(looked[1], NOTHING, 50, nothing)
        assert looked == [range(16), range(16, 40)]
        assert sweep.due(59, rows=9, held_rows=5) == range(0)
        assert sweep.due(60, rows=9, held_rows=5).start == 0

    def test_the_first_pass_waits_a_horizon(self) -> None:
        sweep = Sweep(SPACE, 100)
        assert not sweep.due(50, rows=5, held_rows=5)
        assert not sweep.due(149, rows=5, held_rows=5)
        assert sweep.due(150, rows=5, held_rows=5)

    def test_there_is_nothing_to_sweep_without_a_time_or_rows(self) -> None:
        sweep = Sweep(SPACE, 100)
        assert not sweep.due(None, rows=5, held_rows=5)
        assert not sweep.due(500, rows=5, held_rows=0)


def test_a_unit_names_its_configuration() -> None:
    assert Unit("drift", 1, "a").prefix != Unit("drift", 1, "b").prefix
