"""Two-sample Kolmogorov-Smirnov."""

import numpy as np
from scipy.stats import kstwo

from atalaia.statistics.bins import Bins, FloatArray, IntArray, ValueBins
from atalaia.statistics.comparison import DriftTest, TestResult


class KolmogorovSmirnov(DriftTest):
    """Largest distance between the distribution functions of a window and a reference.

    D = sup_x |F_window(x) - F_reference(x)|; p = P(D_N >= D), with N = round(nm / (n + m) / phi) rows of
    a one-sample test. D is also the effect. Missing values take no part.

    Against the reference D is exact, or too small by at most the bins' ``resolution``. Against an earlier
    window it sees the two only at the reference's values: too small by at most the largest share that either
    has within one gap, so that p errs on the quiet side.

    Source: Smirnov (1939), On the estimation of the discrepancy between empirical curves of distribution for
    two independent samples; p as ``scipy.stats.ks_2samp(method="asymp")``.

    Parameters
    ----------
    bins : `ValueBins`
    dependence : phi, from 1

    >>> from atalaia.statistics.bins import reference_of
    >>> ks = KolmogorovSmirnov(ValueBins(reference_of(np.array([1.0, 2.0, 3.0, 4.0]))))
    >>> ks.result(ks.count(np.array([3.0, 4.0]))).statistic
    0.5
    """

    name = "ks"

    @classmethod
    def suits(cls, bins: Bins) -> bool:
        """Numbers with more than 10 distinct values."""
        return isinstance(bins, ValueBins)

    def compare(self, window: IntArray, reference: IntArray) -> TestResult:
        """D and its p; ``n`` are the values that are not missing."""
        n, m = int(window[:-1].sum()), int(reference[:-1].sum())
        if not n or not m:
            return TestResult.undefined("no values", n)
        distance = float(np.abs(difference(window, reference)).max())
        return TestResult(distance, p_value(distance, n, m, dependence=self.dependence), distance, n)


def difference(window: IntArray, reference: IntArray) -> FloatArray:
    """F_window - F_reference (2u + 1,) at the upper end of each bin, of counts (2u + 2,) with some values."""
    share = np.cumsum(window[:-1]) / window[:-1].sum()
    answer: FloatArray = share - np.cumsum(reference[:-1]) / reference[:-1].sum()
    return answer


def p_value(distance: float, n: int, m: int, *, dependence: float = 1.0) -> float:
    """P(D >= distance) of samples of n and m rows from one distribution."""
    return float(kstwo.sf(distance, effective_rows(n, m, dependence)))


def effective_rows(n: int, m: int, dependence: float = 1.0) -> float:
    """N = nm / (n + m) / phi, rounded as scipy rounds it, at least 1."""
    return max(1.0, float(np.round(n * m / (n + m) / dependence)))
