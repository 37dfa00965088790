"""Calibration: whether events of probability p come true p of the time."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from atalaia.statistics.intervals import Mean, difference_of_means, quantile
from atalaia.statistics.layout import Layout
from atalaia.statistics.sums import UNIT

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

BINS = 10
LEVEL = 0.999
MINIMUM_ROWS = 100
MINIMUM_SHIFT = 0.02

_LAYOUT = Layout(
    rows=(BINS,),
    events=(BINS,),
    probability=(BINS, UNIT.limbs),
    variance=(UNIT.limbs,),
    squared_error=(UNIT.limbs,),
)
LENGTH = _LAYOUT.length
"""Of a state."""


def count(probability: FloatArray, event: BoolArray) -> IntArray:
    """State (LENGTH,) of probabilities (n,) in [0, 1] and whether what they speak of came true (n,).

    Bins are ten of equal width, half-open; 1 belongs to the last.
    """
    places = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    rest = event - probability
    return _LAYOUT.join(
        rows=np.bincount(places, minlength=BINS),
        events=np.bincount(places[event], minlength=BINS),
        probability=UNIT.count(probability, places, BINS),
        variance=UNIT.count(probability * (1 - probability)),
        squared_error=UNIT.count(rest * rest),
    )


def z(state: IntArray) -> float | None:
    """Sum(y - p) / sqrt(sum p(1 - p)): standard normal for a calibrated model; None where none is in doubt.

    Positive: the events came true more often than the model said.

    Source: Cox (1958), Two further applications of a model for binary regression; in the form of
    Spiegelhalter (1986), Probabilistic prediction in patient management and clinical trials.

    >>> z(count(np.array([0.5, 0.5, 0.5, 0.5]), np.array([True, True, True, False])))
    1.0
    """
    variance = UNIT.total(_LAYOUT.part(state, "variance"))
    return _excess(state) / math.sqrt(variance) if variance > 0 else None


def expected_calibration_error(state: IntArray) -> float | None:
    """Sum over bins of |events - sum of probabilities| / n. None without rows.

    Of a perfectly calibrated model it is not 0 but falls with 1/sqrt(n): published, never decides.

    Source: Naeini, Cooper, Hauskrecht (2015), Obtaining well calibrated probabilities using Bayesian binning.

    >>> p, came = np.array([0.25, 0.25, 0.75, 0.75]), np.array([False, True, True, True])
    >>> expected_calibration_error(count(p, came))
    0.25
    """
    rows = _LAYOUT.number(state, "rows")
    if rows == 0:
        return None
    events = _LAYOUT.part(state, "events").tolist()
    said = [UNIT.total(digits) for digits in _LAYOUT.part(state, "probability")]
    return math.fsum(abs(came - sum_) for came, sum_ in zip(events, said, strict=True)) / rows


def mean_squared_error(state: IntArray) -> float | None:
    """Of the probabilities: the Brier score of the event they speak of. None without rows.

    >>> mean_squared_error(count(np.array([0.5, 1.0]), np.array([True, True])))
    0.125
    """
    rows = _LAYOUT.number(state, "rows")
    return UNIT.mean(_LAYOUT.part(state, "squared_error"), rows) if rows else None


@dataclass(frozen=True, slots=True)
class CalibrationVerdict:
    """Whether a window's calibration is off.

    ``z`` of the window; ``shift`` is mean(y - p) minus the reference's, with its interval at 99.9 %.
    ``judged`` is False where rows are too few, with the ``reason``.
    """

    z: float | None
    shift: float | None
    low: float | None
    high: float | None
    judged: bool
    hit: bool
    reason: str | None = None


def judge(
    state: IntArray, reference: IntArray | None, *, minimum_rows: int = MINIMUM_ROWS
) -> CalibrationVerdict:
    """A hit: |Z| beyond the 99.9 % of a standard normal, and not merely as it was on the held-out reference.

    Many models are not calibrated to begin with (a deep tree says 1.0), so where there is a reference
    mean(y - p) must also have moved from its value there: the 99.9 % interval of the shift excludes 0, and
    the shift is at least .02, since at large n everything is significant.

    >>> rng = np.random.default_rng(0)
    >>> p = rng.random(2000)
    >>> held_out = count(p, rng.random(2000) < p)
    >>> [judge(count(p, rng.random(2000) < truth), held_out).hit for truth in (p, p / 2)]
    [False, True]
    """
    rows = _LAYOUT.number(state, "rows")
    value = z(state)
    if rows < minimum_rows or value is None:
        reason = (
            f"{rows} rows, fewer than {minimum_rows}" if rows < minimum_rows else "no probability is in doubt"
        )
        return CalibrationVerdict(value, None, None, None, judged=False, hit=False, reason=reason)
    off = abs(value) > quantile(LEVEL)
    if reference is None or _LAYOUT.number(reference, "rows") == 0:
        return CalibrationVerdict(value, None, None, None, judged=True, hit=off)
    now, then = _residual(state), _residual(reference)
    low, high = difference_of_means(now, then, LEVEL)
    shift = now.mean - then.mean
    moved = abs(shift) >= MINIMUM_SHIFT and not low <= 0 <= high
    return CalibrationVerdict(value, shift, low, high, judged=True, hit=off and moved)


def _excess(state: IntArray) -> float:
    """Sum(y - p), subtracted before it is rounded."""
    digits = -_LAYOUT.part(state, "probability").sum(axis=0)
    events = _LAYOUT.number(state, "events")
    return float(((events << -UNIT.lowest) + UNIT.whole(digits)) / (1 << -UNIT.lowest))


def _residual(state: IntArray) -> Mean:
    """Of y - p, with the variance seen, which p(1 - p) is not where the model is not calibrated."""
    rows = _LAYOUT.number(state, "rows")
    mean = _excess(state) / rows
    squared = UNIT.mean(_LAYOUT.part(state, "squared_error"), rows)
    return Mean(mean, max(squared - mean * mean, 0.0), rows)
