"""The regressor's counts: the undefined, the exact, and when a rise of the error is a hit."""

import numpy as np
import pytest

from atalaia.statistics import regression


def _metrics(labels: list[float], predicted: list[float]) -> regression.Metrics:
    return regression.metrics(regression.count(labels=np.array(labels), predicted=np.array(predicted)))


def test_without_labels_everything_is_undefined() -> None:
    assert set(_metrics([np.nan], [1.0]).values()) == {None}
    assert set(_metrics([], []).values()) == {None}


def test_a_target_of_zero_leaves_the_percentage_undefined() -> None:
    figures = _metrics([0.0, 2.0], [1.0, 1.0])
    assert figures["mean_absolute_percentage_error"] is None
    assert figures["mean_absolute_error"] == 1.0
    assert _metrics([-0.0, 2.0], [1.0, 1.0])["mean_absolute_percentage_error"] is None


@pytest.mark.parametrize("labels", [[0.1], [0.1, 0.1, 0.1], [1e30, 1e30]])
def test_labels_of_one_value_have_no_r2(labels: list[float]) -> None:
    assert _metrics(labels, [0.0] * len(labels))["r2_score"] is None


def test_r2_keeps_its_digits_beside_a_large_mean() -> None:
    labels, predicted = [1e15, 1e15 + 1, 1e15 + 2], [1e15, 1e15 + 1, 1e15 + 3]
    assert _metrics(labels, predicted)["r2_score"] == 0.5


def test_abstained_rows_stand_apart() -> None:
    state = regression.count(
        labels=np.array([1.0, 9.0, np.nan, np.nan]),
        predicted=np.array([1.5, 0.0, 0.0, 0.0]),
        abstained=np.array([False, True, True, False]),
    )
    counted = regression.counts(state)
    assert counted == {"rows": 2, "labelled": 1, "abstained": 2, "abstained_labelled": 1}
    assert regression.metrics(state)["mean_absolute_error"] == 0.5


def test_an_absurd_label_is_held_and_harms_nothing_else() -> None:
    state = regression.count(labels=np.array([1e300, 1.0]), predicted=np.array([0.0, 2.0]))
    without = regression.count(labels=np.array([1e300]), predicted=np.array([0.0]))
    alone = regression.count(labels=np.array([1.0]), predicted=np.array([2.0]))
    assert np.array_equal(state - without, alone)
    assert regression.metrics(state)["mean_absolute_error"] == pytest.approx(regression.LARGEST / 2)


class TestJudge:
    def test_a_larger_error_is_a_hit_and_the_same_is_none(self) -> None:
        generator = np.random.default_rng(0)
        labels = generator.normal(size=2000)
        reference = regression.count(labels=labels, predicted=labels + generator.normal(size=2000))
        for factor, hit in ((1.0, False), (1.05, False), (1.6, True)):
            errors = generator.normal(size=500) * factor
            window = regression.count(labels=labels[:500], predicted=labels[:500] + errors)
            found = regression.judge(window, reference)
            assert found.judged
            assert found.hit is hit

    def test_too_few_labels_do_not_judge(self) -> None:
        reference = regression.count(labels=np.arange(1.0, 200), predicted=np.arange(1.0, 200))
        few = regression.count(labels=np.zeros(99), predicted=np.full(99, 1e6))
        assert regression.judge(few, reference).reason == "99 labelled rows, fewer than 100"
        empty = regression.count(labels=np.array([np.nan]), predicted=np.array([1.0]))
        assert regression.judge(reference, empty).reason == "no labelled reference rows"
