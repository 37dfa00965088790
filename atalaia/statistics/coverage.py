"""How much of the truth has come, how evenly, how late, and whether it is enough to judge by."""

import statistics
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

MAXIMUM_RATIO = 1.25
MINIMUM_CELL_ROWS = 30
MATURE_SHARE = 0.8

BINS_PER_DOUBLING = 4
_DOUBLINGS = 40
DELAY_LENGTH = BINS_PER_DOUBLING * _DOUBLINGS + 3
"""Of a state of delays: their sum, those of at most 1 ms, a bin a quarter doubling, those beyond 35 years."""


def share(rows: int, labelled: int) -> float | None:
    """Label coverage; None without rows.

    >>> share(8, 6)
    0.75
    """
    return labelled / rows if rows else None


def uneven(rows: IntArray, labelled: IntArray) -> bool:
    """Whether the coverage of two cells differs by more than a factor of 1.25.

    ``rows`` and ``labelled`` are of one shape, an entry a cell (a predicted class, of a group). Cells of
    fewer than 30 rows, whose coverage is mostly chance, take no part.

    >>> uneven(np.array([100, 100]), np.array([90, 75])), uneven(np.array([100, 100]), np.array([90, 70]))
    (False, True)
    """
    large = rows >= MINIMUM_CELL_ROWS
    if not large.any():
        return False
    coverage = labelled[large] / rows[large]
    return bool(coverage.max() > MAXIMUM_RATIO * coverage.min() + 1e-12)


def inverse_weights(rows: IntArray, labelled: IntArray) -> FloatArray:
    """What a labelled row of each cell stands for: rows / labelled; 0 where none is labelled.

    Source: Horvitz, Thompson (1952), A generalization of sampling without replacement from a finite universe.

    >>> inverse_weights(np.array([100, 50, 4]), np.array([50, 50, 0])).tolist()
    [2.0, 1.0, 0.0]
    """
    return np.divide(rows, labelled, out=np.zeros(np.shape(rows)), where=np.asarray(labelled) > 0)


def usual(finals: Sequence[float], declared: float | None = None) -> float:
    """The coverage a window usually ends with: the median of earlier finals, else as declared, else 1.

    >>> usual([]), usual([], 0.5), usual([0.3, 0.4, 0.9], 0.5)
    (1.0, 0.5, 0.4)
    """
    if finals:
        return float(statistics.median(finals))
    return 1.0 if declared is None else declared


def mature(*, rows: int, labelled: int, usual_coverage: float, horizon_passed: bool) -> bool:
    """Whether a window may be judged: coverage of .8 of its usual final value, or the horizon passed.

    Before, delay biases its metrics: with positives a day late and negatives a week, the first day shows only
    what came early. A window without rows is mature at the horizon.

    >>> [mature(rows=100, labelled=n, usual_coverage=0.5, horizon_passed=False) for n in (39, 40)]
    [False, True]
    """
    if horizon_passed:
        return True
    return rows > 0 and labelled >= MATURE_SHARE * usual_coverage * rows - 1e-9


def count_delays(delay_ms: IntArray) -> IntArray:
    """State (DELAY_LENGTH,) of the times (n,) between prediction and truth; truth that came first waited 0.

    >>> delays(count_delays(np.array([1000, 1000, 1000, 3000])))["mean_seconds"]
    1.5
    """
    waited = np.maximum(delay_ms, 0)
    bins = np.searchsorted(_edges(), waited, side="left")
    counts = np.bincount(bins, minlength=DELAY_LENGTH - 1)
    return np.concatenate([[waited.sum()], counts]).astype(np.int64)


def delays(state: IntArray) -> dict[str, float | None]:
    """``mean_seconds``, and ``median_seconds``, ``p90_seconds``, ``p99_seconds`` at most 19 % too high.

    A quantile is the upper end of its bin.

    >>> delays(count_delays(np.array([1000, 1000, 1000, 3000])))["median_seconds"]
    1.024
    """
    total, bins = int(state[0]), state[1:]
    rows = int(bins.sum())
    names = {"median_seconds": 0.5, "p90_seconds": 0.9, "p99_seconds": 0.99}
    if rows == 0:
        return {"mean_seconds": None, **dict.fromkeys(names)}
    reached, edges = np.cumsum(bins), _edges()
    answer: dict[str, float | None] = {"mean_seconds": total / rows / 1000}
    for name, part in names.items():
        place = min(int(np.searchsorted(reached, part * rows)), len(edges) - 1)
        answer[name] = float(edges[place]) / 1000
    return answer


def _edges() -> FloatArray:
    """Upper ends of the bins in ms, rising by quarter doublings."""
    return np.floor(np.exp2(np.arange(BINS_PER_DOUBLING * _DOUBLINGS + 1) / BINS_PER_DOUBLING))
