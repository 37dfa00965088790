"""Held-out figures equal scikit-learn's."""

import numpy as np
import pytest
from sklearn import metrics

from atalaia.bundles.figures import performance
from atalaia.bundles.manifest import Feature, Manifest, ModelFile
from atalaia.bundles.reference import Answers

RNG = np.random.default_rng(5)
ROWS = 700
NOBODY = np.zeros(ROWS, np.bool_)


def _manifest(*classes: int) -> Manifest:
    return Manifest(
        name="m", version="1", task="classification" if classes else "regression",
        model=ModelFile(inputs="tensor"), features=(Feature("x"),), classes=classes,
        positive_class=classes[-1] if len(classes) == 2 else None,
    )  # fmt: skip


def test_binary_figures_with_ties() -> None:
    scores = RNG.random(ROWS).round(2).astype(np.float32)
    labels = (RNG.random(ROWS) < scores).astype(np.int64)
    probabilities = np.stack([1 - scores, scores], axis=1)
    predicted = probabilities.argmax(axis=1)
    figures = performance(_manifest(0, 1), Answers(scores, predicted, labels, probabilities), NOBODY)
    assert figures["accuracy"] == pytest.approx((predicted == labels).mean())
    area = metrics.roc_auc_score(labels, scores)
    assert abs((figures["roc_auc"] or 0) - area) <= (figures["roc_auc_bound"] or 0) + 1e-12
    assert figures["brier_score_loss"] == pytest.approx(metrics.brier_score_loss(labels, scores))
    assert figures["log_loss"] == pytest.approx(metrics.log_loss(labels, probabilities))
    assert figures["recall"] == pytest.approx(predicted[labels == 1].mean())
    assert figures["precision"] == pytest.approx(labels[predicted == 1].mean())


def test_multi_class_log_loss() -> None:
    probabilities = RNG.dirichlet(np.ones(3), ROWS).astype(np.float32)
    labels = RNG.integers(0, 3, ROWS)
    answers = Answers(probabilities.max(axis=1), probabilities.argmax(axis=1), labels, probabilities)
    figures = performance(_manifest(4, 5, 6), answers, NOBODY)
    assert figures["log_loss"] == pytest.approx(
        metrics.log_loss(labels, probabilities, labels=[0, 1, 2]), rel=1e-5
    )


def test_regression_figures_leave_out_what_is_unknown_or_abstained() -> None:
    labels = RNG.normal(size=ROWS)
    scores = (labels + RNG.normal(size=ROWS)).astype(np.float32)
    abstained = RNG.random(ROWS) < 0.1
    scores[abstained] = 1e9
    unknown = RNG.random(ROWS) < 0.2
    kept = ~unknown & ~abstained
    figures = performance(_manifest(), Answers(scores, labels=np.where(unknown, np.nan, labels)), abstained)
    assert figures["labelled"] == kept.sum()
    assert figures["answered"] == (~abstained).sum()
    error = np.abs(scores[kept] - labels[kept]).mean()
    assert figures["mean_absolute_error"] == pytest.approx(error)
    assert figures["r2_score"] == pytest.approx(metrics.r2_score(labels[kept], scores[kept]))


def test_undefined_is_none() -> None:
    ones = np.ones(ROWS, np.int64)
    scores = np.full(ROWS, 0.2, np.float32)
    figures = performance(_manifest(0, 1), Answers(scores, 0 * ones, ones), NOBODY)
    assert figures["roc_auc"] is None
    assert figures["precision"] is None
    assert figures["specificity"] is None
    assert "accuracy" not in performance(_manifest(0, 1), Answers(scores, ones, -ones), NOBODY)
