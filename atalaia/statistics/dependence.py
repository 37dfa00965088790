"""How much less than independent rows dependent ones tell: the factor phi of a column."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import chi2

from atalaia.statistics.bins import FloatArray
from atalaia.statistics.comparison import TestResult

MEDIAN_DISTANCE = 0.8275735551899077
"""The median of Kolmogorov's distribution: of D sqrt(N), N = nm / (n + m), for independent rows."""
FEWEST_WINDOWS = 40
MARGIN = 1.25


def dependence_factor(
    distances: FloatArray, n: FloatArray, m: int, *, margin: float = MARGIN, fewest: int = FEWEST_WINDOWS
) -> float:
    """phi of a numeric column, from held-out windows in order of time.

    phi = max(1, margin median(D^2 N) / .8276^2), N = nm / (n + m): rows of a series, or several of one
    patient, make D larger than as many independent rows would. p-values then use N / phi.

    Source: the median of Kolmogorov (1933); as a design effect, Kish (1965), Survey sampling.

    Parameters
    ----------
    distances : D (windows,) of each held-out window against the reference
    n : values (windows,) in each
    m : values in the reference
    margin : what the factor is raised by, since it is estimated

    Raises
    ------
    ValueError
        for fewer than 40 windows.

    >>> dependence_factor(np.full(40, 0.1), np.full(40, 500), 1000, margin=1.0).__round__(2)
    4.87
    """
    _check(len(distances), fewest)
    effective = np.asarray(n, np.float64) * m / (np.asarray(n, np.float64) + m)
    median = float(np.median(np.asarray(distances) ** 2 * effective))
    return max(1.0, margin * median / MEDIAN_DISTANCE**2)


def dependence_factor_of_categories(
    results: Sequence[TestResult], cells: int, *, margin: float = MARGIN, fewest: int = FEWEST_WINDOWS
) -> float:
    """phi of a column of categories: margin median(X^2) / the median of chi-squared, from 1.

    Source: Rao, Scott (1981), The analysis of categorical data from complex sample surveys, first order.

    Parameters
    ----------
    results : of `ChiSquared` without a factor, one a held-out window in order of time
    cells : that were compared, after pooling

    Raises
    ------
    ValueError
        for fewer than 40 windows with a statistic.
    """
    statistics = [result.statistic for result in results if result.statistic is not None]
    _check(len(statistics), fewest)
    return max(1.0, margin * float(np.median(statistics)) / float(chi2.median(cells - 1)))


def _check(windows: int, fewest: int) -> None:
    if windows < fewest:
        raise ValueError(
            f"{windows} held-out windows, expected at least {fewest}; else state that rates hold for "
            "independent rows"
        )
