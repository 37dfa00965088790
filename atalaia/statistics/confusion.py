"""What follows from a confusion matrix, as scikit-learn names and defines it."""

import math

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Metrics = dict[str, float | None]


def metrics(matrix: IntArray | FloatArray, *, positive: int | None = None) -> Metrics:
    """Metrics of a confusion matrix (classes, classes), rows the truth, columns the prediction.

    With ``positive``, the class of interest of two, also ``precision``, ``recall``, ``specificity``,
    ``negative_predictive_value`` and ``f1``. None where undefined: without rows, a rate without its
    denominator, a correlation with a constant. Within an average over classes a class that is never predicted
    has precision 0, as in scikit-learn, and classes neither there nor predicted take no part. Entries may be
    weighted counts.

    >>> figures = metrics(np.array([[50, 10], [5, 35]]), positive=1)
    >>> figures["accuracy"], figures["recall"], round(figures["matthews_corrcoef"], 4)
    (0.85, 0.875, 0.6975)
    """
    table = matrix.astype(np.float64)
    total = float(table.sum())
    hits, truth, said = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    precision, recall = _over(hits, said), _over(hits, truth)
    f1 = _over(2 * hits, truth + said)
    seen = truth + said > 0
    answer: Metrics = {
        "accuracy": _share(float(hits.sum()), total),
        "balanced_accuracy": float(recall[truth > 0].mean()) if total else None,
    }
    for name, values in (("precision", precision), ("recall", recall), ("f1", f1)):
        known = np.nan_to_num(values)
        answer[f"{name}_macro"] = float(known[seen].mean()) if total else None
        answer[f"{name}_weighted"] = _share(float((known * truth).sum()), total)
    answer["matthews_corrcoef"] = _matthews(hits, truth, said)
    if positive is not None:
        other = 1 - positive
        answer |= {
            "precision": _known(precision[positive]),
            "recall": _known(recall[positive]),
            "specificity": _known(recall[other]),
            "negative_predictive_value": _known(precision[other]),
            "f1": _known(f1[positive]),
        }
    return answer


def _matthews(hits: FloatArray, truth: FloatArray, said: FloatArray) -> float | None:
    """Source: Gorodkin (2004), Comparing two K-category assignments by a correlation coefficient."""
    total = float(truth.sum())
    spread = (total**2 - float(said @ said)) * (total**2 - float(truth @ truth))
    return (total * float(hits.sum()) - float(truth @ said)) / math.sqrt(spread) if spread > 0 else None


def _over(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    nothing = np.full(len(numerator), np.nan)
    answer: FloatArray = np.divide(numerator, denominator, out=nothing, where=denominator > 0)
    return answer


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _known(value: np.float64) -> float | None:
    return None if math.isnan(value) else float(value)
