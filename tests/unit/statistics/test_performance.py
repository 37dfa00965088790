"""The classifier's counts: what is counted where, what is undefined, and when a drop is a hit."""

import numpy as np
import pytest

from atalaia.statistics import confusion, drop
from atalaia.statistics.performance import Classification


def _count(
    model: Classification, labels: list[int], predicted: list[int], abstained: list[bool] | None = None
) -> np.ndarray:
    return model.count(
        labels=np.array(labels, np.int64),
        predicted=np.array(predicted, np.int64),
        scores=np.full(len(labels), 0.5),
        abstained=None if abstained is None else np.array(abstained),
    )


def test_without_labels_everything_is_undefined_and_rows_are_counted() -> None:
    model = Classification(classes=2)
    state = _count(model, [-1, -1], [0, 1])
    assert set(model.metrics(state).values()) == {None}
    assert model.counts(state) == {"rows": 2, "labelled": 0, "abstained": 0, "abstained_labelled": 0}
    assert len(model.metrics(state)) == 20


def test_abstained_rows_stand_apart() -> None:
    model = Classification(classes=2)
    state = _count(model, [1, 0, 1, -1], [1, 1, 0, 0], [False, True, True, True])
    assert model.counts(state) == {"rows": 1, "labelled": 1, "abstained": 3, "abstained_labelled": 2}
    assert model.metrics(state)["accuracy"] == 1.0
    assert model.abstained_metrics(state)["accuracy"] == 0.0


def test_a_rate_without_a_denominator_is_undefined_not_zero() -> None:
    model = Classification(classes=2)
    nothing_flagged = model.metrics(_count(model, [0, 1], [0, 0]))
    assert nothing_flagged["precision"] is None
    assert nothing_flagged["recall"] == 0.0
    assert nothing_flagged["matthews_corrcoef"] is None
    no_positives = model.metrics(_count(model, [0, 0], [0, 1]))
    assert no_positives["recall"] is None
    assert no_positives["roc_auc"] is None
    assert no_positives["roc_auc_bound"] is None


def test_the_positive_class_may_be_the_first() -> None:
    first, last = Classification(classes=2, positive=0), Classification(classes=2, positive=1)
    labels, predicted = [0, 0, 0, 1], [0, 1, 0, 1]
    assert first.metrics(_count(first, labels, predicted))["recall"] == pytest.approx(2 / 3)
    assert last.metrics(_count(last, labels, predicted))["recall"] == 1.0


def test_many_classes_without_probabilities_have_no_log_loss_but_calibration() -> None:
    model = Classification(classes=3, probabilities=False)
    figures = model.metrics(_count(model, [0, 1, 2, 1], [0, 1, 1, 1]))
    assert figures["log_loss"] is figures["brier_score_loss"] is figures["roc_auc"] is None
    assert figures["calibration_z"] == pytest.approx(1.0)  # three of four right, each said at .5
    assert figures["accuracy"] == 0.75


def test_missing_probabilities_are_named() -> None:
    with pytest.raises(ValueError, match="expected those of 3 classes"):
        _count(Classification(classes=3), [0], [0])


@pytest.mark.parametrize(("labels", "predicted"), [([2], [0]), ([0], [2]), ([0], [-1]), ([-2], [0])])
def test_an_index_of_no_class_is_refused(labels: list[int], predicted: list[int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        _count(Classification(classes=2), labels, predicted)


def test_a_state_of_another_configuration_is_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        Classification(classes=2).metrics(np.zeros(5, np.int64))


def test_a_classifier_needs_two_classes() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        Classification(classes=1)


def test_uneven_labels_are_seen_and_weighted_back() -> None:
    """All flagged rows have labels, one unflagged row in ten: the recall seen is far too high."""
    generator = np.random.default_rng(0)
    model = Classification(classes=2)
    truth = generator.random(20_000) < 0.5
    predicted = np.where(generator.random(20_000) < 0.7, truth, ~truth).astype(np.int64)
    labelled = (predicted == 1) | (generator.random(20_000) < 0.1)
    scores = np.full(20_000, 0.5)
    state = model.count(labels=np.where(labelled, truth, -1), predicted=predicted, scores=scores)
    assert model.biased(state)
    seen, weighted = model.metrics(state)["recall"], model.weighted_metrics(state)["recall"]
    assert seen is not None
    assert weighted is not None
    assert seen > 0.9
    assert weighted == pytest.approx(0.7, abs=0.02)
    even = model.count(labels=truth.astype(np.int64), predicted=predicted, scores=scores)
    assert not model.biased(even)


def test_weighted_counts_give_the_metrics_of_as_many_rows() -> None:
    matrix = np.array([[3, 1, 0], [2, 5, 1], [0, 0, 4]])
    assert confusion.metrics(matrix * 0.5) == pytest.approx(confusion.metrics(matrix))


class TestDrop:
    def test_a_drop_beyond_its_bound_is_a_hit(self) -> None:
        found = drop.judge({"accuracy": (157, 408)}, {"accuracy": (194, 298)})[0]  # wine: .651 to .385
        assert found.hit
        assert found.low is not None
        assert found.low == pytest.approx(0.143, abs=0.002)

    def test_a_rise_and_a_small_drop_are_none(self) -> None:
        for hits in (1000, 900, 860):
            assert not drop.judge({"accuracy": (hits, 1000)}, {"accuracy": (900, 1000)})[0].hit

    def test_too_few_labels_do_not_judge(self) -> None:
        few = drop.judge({"accuracy": (0, 99)}, {"accuracy": (900, 1000)})[0]
        assert (few.judged, few.hit, few.reason) == (False, False, "99 labelled rows, fewer than 100")
        assert drop.judge({"accuracy": (0, 100)}, {"accuracy": (900, 1000)})[0].hit
        assert drop.judge({"accuracy": (0, 50)}, {"accuracy": (900, 1000)}, minimum_rows=50)[0].hit

    def test_no_labels_here_or_in_the_reference_say_which(self) -> None:
        assert drop.judge({"accuracy": (0, 0)}, {"accuracy": (9, 10)})[0].reason == "no labelled rows"
        there = drop.judge({"accuracy": (0, 200)}, {"accuracy": (0, 0)})[0]
        assert there.reason == "no labelled reference rows"

    def test_uneven_labels_bar_recall_but_not_precision(self) -> None:
        rates, reference = (
            dict.fromkeys(["recall", "precision"], (10, 200)),
            {
                "recall": (180, 200),
                "precision": (180, 200),
            },
        )
        recall, precision = drop.judge(rates, reference, metrics=("recall", "precision"), uneven=True)
        assert not recall.judged
        assert not recall.hit
        assert precision.hit

    def test_an_unknown_rate_is_named(self) -> None:
        with pytest.raises(ValueError, match="f1: no rate to judge by; there are accuracy"):
            drop.judge({"accuracy": (1, 2)}, {"accuracy": (1, 2)}, metrics=("f1",))

    def test_a_fair_window_is_hardly_ever_a_hit(self) -> None:
        generator = np.random.default_rng(0)
        hits = 0
        for _ in range(5000):
            reference, window = generator.binomial(1000, 0.8), generator.binomial(200, 0.8)
            hits += drop.judge({"accuracy": (window, 200)}, {"accuracy": (reference, 1000)})[0].hit
        assert hits == 0


def test_the_rates_are_those_of_the_metrics() -> None:
    generator = np.random.default_rng(1)
    model = Classification(classes=2, positive=0)
    state = _count(model, generator.integers(0, 2, 300).tolist(), generator.integers(0, 2, 300).tolist())
    figures = model.metrics(state)
    for name, (hits, rows) in model.rates(state).items():
        assert figures[name] == pytest.approx(hits / rows)
