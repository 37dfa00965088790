"""The rate of missing values."""

import numpy as np

from atalaia.statistics.bins import Bins, IntArray
from atalaia.statistics.chi2 import compare_categories
from atalaia.statistics.comparison import DriftTest, TestResult


class Missing(DriftTest):
    """Whether values are missing as often as in the reference: `ChiSquared` of two categories.

    Where fewer than 5 are expected, `exact_tail` finds an excess. The effect is |rate - reference rate|. A
    column without missing values on either side is constant, and no test.

    Source: as `ChiSquared`.

    Parameters
    ----------
    bins : any, whose last count is that of the missing values
    dependence : phi, from 1

    >>> from atalaia.statistics.bins import bins_of, reference_of
    >>> missing = Missing(bins_of(reference_of(np.array([1.0] * 90 + [np.nan] * 10))))
    >>> result = missing.result(missing.count(np.array([1.0] * 80 + [np.nan] * 20)))
    >>> round(result.statistic, 4), round(result.effect, 3), result.n
    (3.9216, 0.1, 100)
    """

    name = "missing"

    @classmethod
    def suits(cls, bins: Bins) -> bool:  # noqa: ARG003
        """Every column."""
        return True

    def compare(self, window: IntArray, reference: IntArray) -> TestResult:
        """Of all rows, with and without a value."""
        return compare_categories(
            _present_missing(window), _present_missing(reference), dependence=self.dependence
        )


def _present_missing(counts: IntArray) -> IntArray:
    return np.array([counts[:-1].sum(), counts[-1]], np.int64)
