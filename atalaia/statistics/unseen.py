"""Values that the reference never held."""

from atalaia.statistics.bins import Bins, CategoryBins, IntArray
from atalaia.statistics.chi2 import FEWEST_EXPECTED
from atalaia.statistics.comparison import DriftTest, TestResult
from atalaia.statistics.fisher import exact_tail


class Unseen(DriftTest):
    """Whether a window holds more values that the reference lacks than a reference of its size lets expect.

    Of s values seen once in m rows, each would have been unseen without its row: the rate of unseen ones is
    estimated as (s + 1) / (m + 1). The statistic and the effect are the share of unseen values; p is
    `exact_tail` of k unseen among n against s among m. An earlier window has no unseen ones of its own, so
    against it the test says nothing.

    Source: Good (1953), The population frequencies of species and the estimation of population parameters.

    Parameters
    ----------
    bins : `CategoryBins`
    dependence : phi, from 1

    >>> from atalaia.statistics.bins import reference_of
    >>> import numpy as np
    >>> unseen = Unseen(CategoryBins(reference_of(np.repeat(["a", "b"], [60, 40]).astype(np.object_))))
    >>> result = unseen.result(unseen.count(np.array(["a"] * 95 + ["c"] * 5, np.object_)))
    >>> result.effect, round(result.p_value, 4)
    (0.05, 0.0297)
    """

    name = "unseen"

    @classmethod
    def suits(cls, bins: Bins) -> bool:
        """Categories, flags, and numbers with at most 10 distinct values."""
        return isinstance(bins, CategoryBins)

    def compare(self, window: IntArray, reference: IntArray) -> TestResult:
        """The excess of unseen values."""
        n, m = int(window[:-1].sum()), int(reference[:-1].sum())
        if not n or not m:
            return TestResult.undefined("no values", n)
        k, s = int(window[-2]), self._singletons
        share, rate = k / n, (s + 1) / (m + 1)
        p_value = exact_tail(k, n, s, m, dependence=self.dependence)
        return TestResult(share, p_value, share, n, share / rate if n * rate >= FEWEST_EXPECTED else None)

    def compare_earlier(self, window: IntArray, earlier: IntArray) -> TestResult:  # noqa: ARG002
        """Undefined: `ChiSquared` counts them as a category."""
        return TestResult.undefined("known of the reference only", int(window[:-1].sum()))

    @property
    def _singletons(self) -> int:
        return self.bins.singletons if isinstance(self.bins, CategoryBins) else 0
