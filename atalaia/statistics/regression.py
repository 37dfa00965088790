"""Regression metrics from counts that merge."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from atalaia.statistics.intervals import Mean, difference_of_means
from atalaia.statistics.layout import Layout
from atalaia.statistics.sums import WIDE

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Metrics = dict[str, float | None]

LARGEST = 2.0**140
"""Values count as at most this, 1.4e42 (float32 ends at 3.4e38), so that squares stay exact."""
LEVEL = 0.999
MINIMUM_ROWS = 100
MAXIMUM_RISE = 0.10

_SUMS = ("error", "absolute_error", "squared_error", "relative_error", "label", "squared_label")
_LAYOUT = Layout(
    rows=(),
    labelled=(),
    abstained=(),
    abstained_labelled=(),
    zeros=(),
    **dict.fromkeys(_SUMS, (WIDE.limbs,)),
)
LENGTH = _LAYOUT.length
"""Of a state."""

_SMALLEST_RELATIVE_TO = float(np.finfo(np.float64).eps)
_SPLITTER = 2.0**27 + 1


def count(*, labels: FloatArray, predicted: FloatArray, abstained: BoolArray | None = None) -> IntArray:
    """State (LENGTH,) of labels (n,), NaN where unknown, and predictions (n,), finite.

    Abstained rows are counted apart and take part in no metric. States add, in any order; subtracting the
    state of a row takes it back without a trace.
    """
    answered = np.ones(len(labels), np.bool_) if abstained is None else ~abstained
    known = ~np.isnan(labels)
    used = answered & known
    label, said = _held(labels[used]), _held(predicted[used])
    error = said - label
    absolute = np.abs(error)
    relative = absolute / np.maximum(np.abs(label), _SMALLEST_RELATIVE_TO)
    square, remainder = _squared(label)
    return _LAYOUT.join(
        rows=answered.sum(),
        labelled=used.sum(),
        abstained=(~answered).sum(),
        abstained_labelled=(known & ~answered).sum(),
        zeros=(label == 0).sum(),
        error=WIDE.count(error),
        absolute_error=WIDE.count(absolute),
        squared_error=WIDE.count(error * error),
        relative_error=WIDE.count(relative),
        label=WIDE.count(label),
        squared_label=WIDE.count(square) + WIDE.count(remainder),
    )


def counts(state: IntArray) -> dict[str, int]:
    """``rows`` answered, those of them ``labelled``, ``abstained`` and ``abstained_labelled``."""
    names = ("rows", "labelled", "abstained", "abstained_labelled")
    return {name: _LAYOUT.number(state, name) for name in names}


def metrics(state: IntArray) -> Metrics:
    """Names and values as scikit-learn has them; None where undefined.

    ``bias`` is mean(prediction - label). ``mean_absolute_percentage_error`` is None where a label is 0.
    ``r2_score`` = 1 - sum e^2 / sum (y - mean y)^2, None for labels of one value; the spread of the labels is
    summed exactly, so a large mean costs no digits.

    >>> labels, predicted = np.array([3.0, -0.5, 2.0, 7.0]), np.array([2.5, 0.0, 2.0, 8.0])
    >>> figures = metrics(count(labels=labels, predicted=predicted))
    >>> {name: round(value, 3) for name, value in figures.items()} == {
    ...     "mean_absolute_error": 0.5,
    ...     "root_mean_squared_error": 0.612,
    ...     "mean_absolute_percentage_error": 0.327,
    ...     "bias": 0.25,
    ...     "r2_score": 0.949,
    ... }
    True
    """
    rows = _LAYOUT.number(state, "labelled")
    if rows == 0:
        return dict.fromkeys(
            (
                "mean_absolute_error",
                "root_mean_squared_error",
                "mean_absolute_percentage_error",
                "bias",
                "r2_score",
            )
        )
    zeros = _LAYOUT.number(state, "zeros")
    return {
        "mean_absolute_error": _mean(state, "absolute_error"),
        "root_mean_squared_error": math.sqrt(_mean(state, "squared_error")),
        "mean_absolute_percentage_error": None if zeros else _mean(state, "relative_error"),
        "bias": _mean(state, "error"),
        "r2_score": _r2(state, rows),
    }


@dataclass(frozen=True, slots=True)
class RegressionVerdict:
    """Whether the mean absolute error rose: ``rise`` over the reference's, with its interval at 99.9 %.

    ``judged`` is False where rows are too few, with the ``reason``.
    """

    value: float | None
    reference: float | None
    rise: float | None
    low: float | None
    high: float | None
    judged: bool
    hit: bool
    reason: str | None = None


def judge(state: IntArray, reference: IntArray, *, minimum_rows: int = MINIMUM_ROWS) -> RegressionVerdict:
    """A hit: the lower 99.9 % bound of the rise of the mean absolute error exceeds a tenth of the reference.

    >>> rng = np.random.default_rng(0)
    >>> y, e = rng.normal(size=500), rng.normal(size=500)
    >>> held_out = count(labels=y, predicted=y + e)
    >>> [judge(count(labels=y, predicted=y + e * by), held_out).hit for by in (1.0, 2.0)]
    [False, True]
    """
    rows, held_out = _LAYOUT.number(state, "labelled"), _LAYOUT.number(reference, "labelled")
    if rows < minimum_rows or held_out == 0:
        reason = (
            f"{rows} labelled rows, fewer than {minimum_rows}" if held_out else "no labelled reference rows"
        )
        return RegressionVerdict(None, None, None, None, None, judged=False, hit=False, reason=reason)
    now, then = _absolute_error(state, rows), _absolute_error(reference, held_out)
    low, high = difference_of_means(now, then, LEVEL)
    hit = low > MAXIMUM_RISE * then.mean
    return RegressionVerdict(now.mean, then.mean, now.mean - then.mean, low, high, judged=True, hit=hit)


def _mean(state: IntArray, name: str) -> float:
    return WIDE.mean(_LAYOUT.part(state, name), _LAYOUT.number(state, "labelled"))


def _absolute_error(state: IntArray, rows: int) -> Mean:
    mean = _mean(state, "absolute_error")
    return Mean(mean, max(_mean(state, "squared_error") - mean * mean, 0.0), rows)


def _r2(state: IntArray, rows: int) -> float | None:
    """With n sum y^2 - (sum y)^2 and n sum e^2 as whole numbers of 2^(2 lowest)."""
    total = WIDE.whole(_LAYOUT.part(state, "label"))
    squares = WIDE.whole(_LAYOUT.part(state, "squared_label")) << -WIDE.lowest
    spread = rows * squares - total * total
    if rows < 2 or spread <= 0:
        return None
    errors = WIDE.whole(_LAYOUT.part(state, "squared_error")) << -WIDE.lowest
    return 1 - float((rows * errors) / spread)


def _held(values: FloatArray) -> FloatArray:
    return np.clip(values.astype(np.float64), -LARGEST, LARGEST)


def _squared(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Squares as two floats that add up to them exactly.

    Source: Dekker (1971), A floating-point technique for extending the available precision.
    """
    square = values * values
    large = values * _SPLITTER
    high = large - (large - values)
    low = values - high
    return square, low * low - ((square - high * high) - 2 * (high * low))
