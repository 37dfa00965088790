"""Population stability index."""

import numpy as np

from atalaia.statistics.bins import Bins, CategoryBins, IntArray, ValueBins
from atalaia.statistics.chi2 import pool
from atalaia.statistics.comparison import DriftTest, TestResult


class PopulationStability(DriftTest):
    """Symmetric divergence of a window from the reference over the reference's deciles; never decides.

    PSI = sum (p - q) ln(p / q) over K bins, p = (w + 1/2) / (n + K/2) of the window and q likewise of the
    reference, less its mean where nothing drifted, (K - 1)(1/n + 1/m). It can therefore lie a little below 0.
    Numbers: deciles of the reference, equal ones merged. Categories: as `ChiSquared` pools them at n = m,
    unseen ones in a bin of their own.

    Source: Lewis (1994), An introduction to credit scoring; the mean of Yurdakul, Naranjo (2020),
    Statistical properties of the population stability index.

    Parameters
    ----------
    bins : `ValueBins` or `CategoryBins`
    dependence : has no part in it

    >>> from atalaia.statistics.bins import reference_of
    >>> psi = PopulationStability(ValueBins(reference_of(np.arange(1000.0))))
    >>> round(psi.result(psi.count(np.arange(500.0, 1500.0))).statistic, 2)
    3.51
    """

    name = "psi"
    decides = False

    def __init__(self, bins: Bins, *, dependence: float = 1.0) -> None:
        super().__init__(bins, dependence=dependence)
        if isinstance(bins, ValueBins):
            self._cells, self._size = _deciles(bins.expected)
        else:
            known = bins.expected[:-2]
            cells = pool(known.astype(np.float64)) if len(known) else np.zeros(0, np.int64)
            self._cells = np.append(cells, cells.max(initial=-1) + 1)
            self._size = int(self._cells[-1]) + 1

    @classmethod
    def suits(cls, bins: Bins) -> bool:
        """Every column of the two kinds of bins."""
        return isinstance(bins, ValueBins | CategoryBins)

    def compare(self, window: IntArray, reference: IntArray) -> TestResult:
        """The index, over values that are not missing."""
        n, m = int(window[:-1].sum()), int(reference[:-1].sum())
        if not n or not m:
            return TestResult.undefined("no values", n)
        k = self._size
        p = (np.bincount(self._cells, window[:-1], k) + 0.5) / (n + k / 2)
        q = (np.bincount(self._cells, reference[:-1], k) + 0.5) / (m + k / 2)
        index = float(((p - q) * np.log(p / q)).sum()) - (k - 1) * (1 / n + 1 / m)
        return TestResult(index, None, index, n, why="published only")


def _deciles(expected: IntArray) -> tuple[IntArray, int]:
    """The decile (2u + 1,) of each of the counts but the last, and how many there are."""
    at_values = expected[1:-1:2]
    # Gaps of a grid hold rows of the reference too; they count below the value that ends them.
    reached = np.cumsum(expected[:-1])[1::2]
    rows = int(expected[:-1].sum())
    cuts = np.unique(np.searchsorted(reached * 10, np.arange(1, 10) * rows, "left"))
    cuts = cuts[cuts < len(at_values) - 1]  # nothing of the reference lies above its highest value
    cells = np.searchsorted(2 * cuts + 1, np.arange(len(expected) - 1), "left")
    return cells.astype(np.int64), len(cuts) + 1
