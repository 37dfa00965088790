"""How well a version did in a window, by scikit-learn and plain formulas over its rows."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from atalaia.auditing.comparison import Within
from atalaia.auditing.extras import scikit_learn

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Figures = dict[str, Any]

_CALIBRATION_BINS = 10
_LARGEST = 2.0**140
_QUANTILES = {"median_seconds": 0.5, "p90_seconds": 0.9, "p99_seconds": 0.99}


@dataclass(frozen=True, slots=True)
class Answered:
    """Labelled, answered rows ``(n,)`` of a classifier; ``probabilities`` ``(n, classes)`` where given."""

    labels: IntArray
    predicted: IntArray
    scores: npt.NDArray[Any]
    probabilities: npt.NDArray[Any] | None
    classes: int
    positive: int | None

    @property
    def event(self) -> BoolArray:
        """Whether what the score speaks of came true."""
        event: BoolArray = self.labels == (self.predicted if self.positive is None else self.positive)
        return event


def classification(rows: Answered) -> Figures:
    """The metrics of a classifier's window, as scikit-learn has them."""
    figures = table_metrics(rows.labels, rows.predicted, positive=rows.positive)
    figures |= dict.fromkeys(
        ("log_loss", "brier_score_loss", "roc_auc", "expected_calibration_error", "calibration_z")
    )
    if not len(rows.labels):
        return figures
    scores = np.clip(rows.scores.astype(np.float64), 0.0, 1.0)
    figures |= {
        "expected_calibration_error": _calibration_error(scores, rows.event),
        "calibration_z": _calibration_z(scores, rows.event),
    }
    if rows.positive is None and rows.probabilities is None:
        return figures
    figures["log_loss"] = _log_loss(rows)
    figures["brier_score_loss"] = _brier(rows, scores)
    return figures


def area(rows: Answered, bound: float | None) -> Figures:
    """The area under the curve, which is published of a histogram, within the bound published with it."""
    metrics = scikit_learn()
    if rows.positive is not None:
        curves = [(rows.event, np.clip(rows.scores.astype(np.float64), 0.0, 1.0))]
    elif rows.probabilities is not None:
        curves = [
            (rows.labels == place, np.clip(rows.probabilities[:, place].astype(np.float64), 0.0, 1.0))
            for place in range(rows.classes)
        ]
    else:
        curves = []
    areas = [metrics.roc_auc_score(true, score) for true, score in curves if 0 < int(true.sum()) < len(true)]
    if not areas:
        return {"roc_auc": None, "roc_auc_bound": None}
    return {"roc_auc": Within(float(np.mean(areas)), bound or 0.0)}


def table_metrics(
    labels: IntArray, predicted: IntArray, *, positive: int | None, weights: FloatArray | None = None
) -> Figures:
    """What follows from truth and prediction alone; None where undefined."""
    names = ["accuracy", "balanced_accuracy", "matthews_corrcoef"]
    names += [f"{name}_{kind}" for name in ("precision", "recall", "f1") for kind in ("macro", "weighted")]
    figures: Figures = dict.fromkeys(names)
    if positive is not None:
        binary = ("precision", "recall", "specificity", "negative_predictive_value", "f1")
        figures |= dict.fromkeys(binary)
    if not len(labels) or (weights is not None and not weights.sum()):
        return figures
    metrics = scikit_learn()
    given = {} if weights is None else {"sample_weight": weights}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are only predicted, or never
        figures["accuracy"] = float(metrics.accuracy_score(labels, predicted, **given))
        figures["balanced_accuracy"] = float(metrics.balanced_accuracy_score(labels, predicted, **given))
        for kind in ("macro", "weighted"):
            precision, recall, f1, _ = metrics.precision_recall_fscore_support(
                labels, predicted, average=kind, zero_division=0.0, **given
            )
            figures |= {f"precision_{kind}": precision, f"recall_{kind}": recall, f"f1_{kind}": f1}
        if len(np.unique(labels)) > 1 and len(np.unique(predicted)) > 1:
            figures["matthews_corrcoef"] = float(metrics.matthews_corrcoef(labels, predicted, **given))
    if positive is not None:
        figures |= _binary(labels == positive, predicted == positive, weights)
    return {name: None if value is None else float(value) for name, value in figures.items()}


def regression(labels: FloatArray, predicted: FloatArray) -> Figures:
    """The metrics of a regressor's window, of labelled, answered rows ``(n,)``."""
    names = ("mean_absolute_error", "root_mean_squared_error", "mean_absolute_percentage_error", "bias")
    figures: Figures = dict.fromkeys((*names, "r2_score"))
    if not len(labels):
        return figures
    metrics = scikit_learn()
    labels = np.clip(labels.astype(np.float64), -_LARGEST, _LARGEST)
    predicted = np.clip(predicted.astype(np.float64), -_LARGEST, _LARGEST)
    figures["mean_absolute_error"] = float(metrics.mean_absolute_error(labels, predicted))
    figures["root_mean_squared_error"] = float(metrics.root_mean_squared_error(labels, predicted))
    figures["bias"] = float((predicted - labels).mean())
    if not (labels == 0).any():
        percentage = metrics.mean_absolute_percentage_error(labels, predicted)
        figures["mean_absolute_percentage_error"] = float(percentage)
    if len(labels) > 1 and labels.min() < labels.max():
        figures["r2_score"] = float(metrics.r2_score(labels, predicted))
    return figures


def delays(waited_ms: IntArray) -> Figures:
    """Mean and quantiles of the time to the truth; a quantile is the end of its quarter doubling."""
    names = ("mean_seconds", *_QUANTILES)
    if not len(waited_ms):
        return dict.fromkeys(names)
    waited = np.sort(np.maximum(waited_ms, 0))
    figures: Figures = {"mean_seconds": int(waited.sum()) / len(waited) / 1000}
    for name, part in _QUANTILES.items():
        rank = min(len(waited), max(1, math.ceil(part * len(waited) - 1e-12)))
        figures[name] = _quarter_doubling(int(waited[rank - 1])) / 1000
    return figures


def confusion(labels: IntArray, predicted: IntArray, classes: int) -> list[list[int]]:
    """Rows the truth, columns the prediction."""
    table = scikit_learn().confusion_matrix(labels, predicted, labels=list(range(classes)))
    answer: list[list[int]] = table.tolist()
    return answer


def coverage_by_class(predicted: IntArray, labelled: BoolArray, classes: int) -> list[float | None]:
    """The share of answered rows ``(n,)`` with a label, by predicted class."""
    answer: list[float | None] = []
    for place in range(classes):
        of_class = labelled[predicted == place]
        answer.append(int(of_class.sum()) / len(of_class) if len(of_class) else None)
    return answer


def _binary(truth: BoolArray, said: BoolArray, weights: FloatArray | None) -> Figures:
    weight = np.ones(len(truth)) if weights is None else weights
    tp, fp, fn, tn = (
        float(weight[place].sum()) for place in (truth & said, ~truth & said, truth & ~said, ~truth & ~said)
    )
    return {
        "precision": _share(tp, tp + fp),
        "recall": _share(tp, tp + fn),
        "specificity": _share(tn, tn + fp),
        "negative_predictive_value": _share(tn, tn + fn),
        "f1": _share(2 * tp, 2 * tp + fp + fn),
    }


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _log_loss(rows: Answered) -> float:
    if rows.probabilities is not None:
        said, precision = rows.probabilities[np.arange(len(rows.labels)), rows.labels], rows.probabilities
    else:
        score = np.clip(rows.scores.astype(np.float64), 0.0, 1.0)
        said, precision = np.where(rows.event, score, 1 - score), rows.scores
    tiny = float(np.finfo(precision.dtype).eps)
    return float(-np.log(np.clip(said.astype(np.float64), tiny, 1 - tiny)).mean())


def _brier(rows: Answered, scores: FloatArray) -> float:
    if rows.positive is not None:
        return float(np.square(rows.event - scores).mean())
    truth = np.eye(rows.classes)[rows.labels]
    given = np.clip(np.asarray(rows.probabilities, np.float64), 0.0, 1.0)
    return float(np.square(truth - given).sum(axis=1).mean())


def _calibration_z(scores: FloatArray, event: BoolArray) -> float | None:
    variance = math.fsum((scores * (1 - scores)).tolist())
    return math.fsum((event - scores).tolist()) / math.sqrt(variance) if variance > 0 else None


def _calibration_error(scores: FloatArray, event: BoolArray) -> float:
    places = np.minimum(np.floor(scores * _CALIBRATION_BINS), _CALIBRATION_BINS - 1)
    off = [
        abs(math.fsum((event[places == place] - scores[places == place]).tolist()))
        for place in range(_CALIBRATION_BINS)
    ]
    return math.fsum(off) / len(scores)


def _quarter_doubling(waited_ms: int) -> int:
    """The upper end of the quarter doubling of milliseconds a time lies in."""
    place = 0
    while math.floor(2 ** (place / 4)) < waited_ms and place < 160:
        place += 1
    return math.floor(2 ** (place / 4))
