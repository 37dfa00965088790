"""Confidence intervals of rates, of their differences and ratios, and of differences of means."""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """Bounds, arrays of one shape; NaN where the interval is undefined."""

    low: FloatArray
    high: FloatArray


def quantile(level: float) -> float:
    """Half-width, in standard deviations, of the middle ``level`` of a normal distribution.

    >>> round(quantile(0.95), 4)
    1.96
    """
    if not 0 < level < 1:
        raise ValueError(f"a confidence level of {level}, expected one between 0 and 1")
    return -NormalDist().inv_cdf((1 - level) / 2)


def wilson(successes: npt.ArrayLike, trials: npt.ArrayLike, level: float) -> Interval:
    """Interval of a rate; undefined without trials.

    (p + z^2/2n +- z sqrt(p(1 - p)/n + z^2/4n^2)) / (1 + z^2/n)

    Source: Wilson (1927), Probable inference, the law of succession, and statistical inference.

    >>> low, high = wilson(3, 40, 0.95)
    >>> round(float(low), 4), round(float(high), 4)
    (0.0258, 0.1986)
    """
    k, n = _counts(successes, trials)
    z = quantile(level)
    rate = k / n
    centre = rate + z * z / (2 * n)
    half = z * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # Rounding must not leave the ends of [0, 1] just short of a rate that lies on them.
    low = np.where(k == 0, np.where(np.isnan(n), np.nan, 0.0), (centre - half) / scale)
    high = np.where(k == n, 1.0, (centre + half) / scale)
    return Interval(low, high)


def newcombe(
    successes: npt.ArrayLike,
    trials: npt.ArrayLike,
    other_successes: npt.ArrayLike,
    other_trials: npt.ArrayLike,
    level: float,
) -> Interval:
    """Interval of a rate minus another; undefined where either has no trials.

    d - sqrt((p1 - l1)^2 + (u2 - p2)^2), d + sqrt((u1 - p1)^2 + (p2 - l2)^2), with the Wilson bounds l, u.

    Source: Newcombe (1998), Interval estimation for the difference between proportions, method 10.

    >>> low, high = newcombe(56, 70, 48, 80, 0.95)  # Newcombe's first example
    >>> round(float(low), 4), round(float(high), 4)
    (0.0524, 0.3339)
    """
    k1, n1 = _counts(successes, trials)
    k2, n2 = _counts(other_successes, other_trials)
    first, second = k1 / n1, k2 / n2
    low1, high1 = wilson(k1, n1, level)
    low2, high2 = wilson(k2, n2, level)
    difference = first - second
    return Interval(
        difference - np.hypot(first - low1, high2 - second),
        difference + np.hypot(high1 - first, second - low2),
    )


def ratio(
    successes: npt.ArrayLike,
    trials: npt.ArrayLike,
    other_successes: npt.ArrayLike,
    other_trials: npt.ArrayLike,
    level: float,
) -> Interval:
    """Interval of a rate over another, by its logarithm; undefined where either has no trials.

    exp(ln(p1/p2) +- z sqrt(1/k1 - 1/n1 + 1/k2 - 1/n2)). Where one of the four counts of successes and
    failures is zero, each of the four gets one half more.

    Source: Katz, Baptista, Azen, Pike (1978), Obtaining confidence intervals for the risk ratio in cohort
    studies; one half: Haldane (1956), Anscombe (1956).

    >>> low, high = ratio(56, 70, 48, 80, 0.95)
    >>> round(float(low), 3), round(float(high), 3)
    (1.077, 1.651)
    """
    k1, n1 = _counts(successes, trials)
    k2, n2 = _counts(other_successes, other_trials)
    empty = (k1 == 0) | (k2 == 0) | (k1 == n1) | (k2 == n2)
    half = np.where(empty, 0.5, 0.0)
    k1, k2, n1, n2 = k1 + half, k2 + half, n1 + 2 * half, n2 + 2 * half
    spread = quantile(level) * np.sqrt(1 / k1 - 1 / n1 + 1 / k2 - 1 / n2)
    centre = np.log((k1 / n1) / (k2 / n2))
    return Interval(np.exp(centre - spread), np.exp(centre + spread))


class Mean(NamedTuple):
    """A mean, the variance of one observation, and how many there are."""

    mean: float
    variance: float
    rows: int


def difference_of_means(first: Mean, second: Mean, level: float) -> tuple[float, float]:
    """Interval of one mean minus another, normal, variances unequal.

    Source: Welch (1938), The significance of the difference between two means when the variances are unequal.

    >>> low, high = difference_of_means(Mean(1.0, 4.0, 100), Mean(0.5, 4.0, 100), 0.95)
    >>> round(low, 3), round(high, 3)
    (-0.054, 1.054)
    """
    spread = quantile(level) * math.sqrt(first.variance / first.rows + second.variance / second.rows)
    difference = first.mean - second.mean
    return difference - spread, difference + spread


def _counts(successes: npt.ArrayLike, trials: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Both as floats, trials of 0 as NaN, which then runs through the formulas in silence."""
    n = np.asarray(trials, np.float64)
    return np.asarray(successes, np.float64), np.where(n == 0, np.nan, n)
