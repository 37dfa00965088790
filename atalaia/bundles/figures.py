"""How well a model did on its reference rows: the figures later windows are held against."""

import numpy as np
import numpy.typing as npt

from atalaia.bundles.manifest import Manifest
from atalaia.bundles.reference import Answers
from atalaia.inference.rows import BoolArray, IntArray

Figures = dict[str, float | None]


def performance(manifest: Manifest, answers: Answers, abstained: BoolArray) -> Figures:
    """Figures over the rows that are answered and labelled; None where undefined.

    ``rows``, ``answered`` and ``labelled`` come first; a classifier has accuracy, log_loss and, with two
    classes, brier and auc; a regressor has mae, rmse and r2.
    """
    figures: Figures = {"rows": float(len(abstained)), "answered": float((~abstained).sum())}
    known = _known(manifest, answers) & ~abstained
    figures["labelled"] = float(known.sum())
    if not known.any() or answers.labels is None:
        return figures
    if manifest.task == "regression":
        return figures | _regression(answers.labels[known].astype(np.float64), answers.scores[known])
    return figures | _classification(manifest, answers, known)


def _known(manifest: Manifest, answers: Answers) -> BoolArray:
    if answers.labels is None:
        return np.zeros(len(answers.scores), np.bool_)
    return ~np.isnan(answers.labels) if manifest.task == "regression" else answers.labels >= 0


def _classification(manifest: Manifest, answers: Answers, known: BoolArray) -> Figures:
    labels = np.asarray(answers.labels)[known].astype(np.int64)
    figures: Figures = {}
    if answers.predicted is not None:
        figures["accuracy"] = float((answers.predicted[known] == labels).mean())
    if answers.probabilities is not None:
        figures["log_loss"] = _log_loss(labels, answers.probabilities[known].astype(np.float64))
    if len(manifest.classes) == 2 and manifest.positive_class is not None:
        truth = labels == manifest.classes.index(manifest.positive_class)
        scores = answers.scores[known].astype(np.float64)
        figures["brier"] = float(((scores - truth) ** 2).mean())
        figures["auc"] = _auc(truth, scores)
        flagged = np.asarray(answers.predicted)[known] == manifest.classes.index(manifest.positive_class)
        figures["sensitivity"] = _share(flagged[truth])
        figures["specificity"] = _share(~flagged[~truth])
        figures["ppv"] = _share(truth[flagged])
    return figures


def _regression(labels: npt.NDArray[np.float64], scores: npt.NDArray[np.float32]) -> Figures:
    errors = scores.astype(np.float64) - labels
    spread = ((labels - labels.mean()) ** 2).sum()
    return {
        "mae": float(np.abs(errors).mean()),
        "rmse": float(np.sqrt((errors**2).mean())),
        "r2": float(1 - (errors**2).sum() / spread) if spread > 0 else None,
    }


def _log_loss(labels: IntArray, probabilities: npt.NDArray[np.float64]) -> float:
    """As scikit-learn: clipped by the precision of the probabilities, which are float32."""
    tiny = float(np.finfo(np.float32).eps)
    clipped = np.clip(probabilities, tiny, 1 - tiny)
    clipped /= clipped.sum(axis=1, keepdims=True)
    return float(-np.log(clipped[np.arange(len(labels)), labels]).mean())


def _auc(truth: BoolArray, scores: npt.NDArray[np.float64]) -> float | None:
    """P(score of a positive > score of a negative), ties half."""
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if positives == 0 or negatives == 0:
        return None
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places.reshape(-1)]
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _share(hits: BoolArray) -> float | None:
    return float(hits.mean()) if len(hits) else None
