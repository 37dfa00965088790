"""The area under the curve from a histogram, and its bound."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from atalaia.statistics.ranking import Area, ScoreHistogram, mean_area

HISTOGRAM = ScoreHistogram()


@pytest.mark.parametrize("sharpness", [0.1, 1.0, 4.0])
@pytest.mark.parametrize("rows", [50, 5000])
def test_the_area_is_within_its_bound_of_scikit_learns(sharpness: float, rows: int) -> None:
    for seed in range(20):
        generator = np.random.default_rng(seed)
        truth = generator.random(rows) < 0.3
        scores = 1 / (1 + np.exp(-(generator.normal(size=rows) + sharpness * truth)))
        area = HISTOGRAM.area(HISTOGRAM.count(scores, truth))
        assert area is not None
        assert abs(area.value - roc_auc_score(truth, scores)) <= area.bound + 1e-12
        assert area.bound < (0.05 if rows == 50 else 0.01)


def test_a_model_of_few_scores_has_the_exact_area() -> None:
    generator = np.random.default_rng(0)
    scores = generator.choice([0.0, 0.02, 0.3, 0.5, 0.7, 0.99, 1.0], 1000)
    truth = generator.random(1000) < scores
    area = HISTOGRAM.area(HISTOGRAM.count(scores, truth))
    assert area is not None
    assert area.value == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)


def test_scores_of_nothing_but_ties_are_no_better_than_chance() -> None:
    area = HISTOGRAM.area(HISTOGRAM.count(np.full(10, 0.5), np.arange(10) < 4))
    assert area == Area(0.5, 0.5)


@pytest.mark.parametrize("truth", [True, False])
def test_one_kind_alone_has_no_area(truth: bool) -> None:
    assert HISTOGRAM.area(HISTOGRAM.count(np.array([0.1, 0.9]), np.array([truth, truth]))) is None
    assert mean_area([None]) is None
    assert mean_area([None, Area(0.75, 0.5), Area(0.25, 0.0)]) == Area(0.5, 0.25)


def test_the_ends_have_bins_of_their_own() -> None:
    counts = HISTOGRAM.count(np.array([0.0, 1.0, 1e-7, 1 - 1e-7]), np.ones(4, np.bool_))
    assert counts[1, 0] == 1
    assert counts[1, -1] == 1
    assert counts.sum() == 4


def test_edges_rise_and_lie_even_in_logit() -> None:
    edges = HISTOGRAM.edges
    assert len(edges) == 511
    assert (np.diff(edges) > 0).all()
    assert edges[255] == 0.5
    logits = np.log(edges / (1 - edges))
    assert np.diff(logits) == pytest.approx(np.full(510, 2 * 24 * np.log(2) / 512), rel=1e-6)
