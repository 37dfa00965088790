"""Area under the ROC curve from histograms of scores, with the bound of what binning may hide."""

import math
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

BINS = 512
_FARTHEST_LOGIT = 24 * math.log(2)
"""Float32 ends there: 2^-24 is half its step below 1."""


class Area(NamedTuple):
    """An area, and how far the one of the scores themselves can be from it."""

    value: float
    bound: float


@dataclass(frozen=True, slots=True)
class ScoreHistogram:
    """Scores between 0 and 1 in bins of equal width in ln(p / (1 - p)), between -16.6 and 16.6.

    The first and last bin reach to 0 and 1. Scores are compared with the bins' edges, so that a bin does not
    hang on how a machine rounds a logarithm. With f+ and f- the shares of positives and negatives in
    a bin,

    area = sum over bins of f-_i (sum of f+_j, j > i, + f+_i / 2),  |error| <= sum f+_i f-_i / 2,

    since only pairs that share a bin are uncertain; bins of one value are exact.

    Source: Mann, Whitney (1947); Hanley, McNeil (1982), The meaning and use of the area under a ROC curve.

    >>> histogram = ScoreHistogram()
    >>> counts = histogram.count(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    >>> histogram.area(counts)
    Area(value=0.75, bound=0.0)
    """

    bins: int = BINS

    @property
    def edges(self) -> FloatArray:
        """The inner edges (bins - 1,), rising."""
        return _edges(self.bins)

    def count(self, scores: FloatArray, positive: BoolArray) -> IntArray:
        """Counts (2, bins) of the negatives and the positives among scores (n,)."""
        places = np.searchsorted(self.edges, scores, side="right")
        counts = np.bincount(places + self.bins * positive, minlength=2 * self.bins)
        return counts.astype(np.int64).reshape(2, self.bins)

    def area(self, counts: IntArray) -> Area | None:
        """Area and bound; None where one of the two kinds is missing."""
        negatives, positives = counts.astype(np.float64)
        pairs = negatives.sum() * positives.sum()
        if pairs == 0:
            return None
        above = positives.sum() - np.cumsum(positives)
        shared = float((negatives * positives).sum() / pairs) / 2
        return Area(float((negatives * above).sum() / pairs) + shared, shared)


@cache
def _edges(bins: int) -> FloatArray:
    width = 2 * _FARTHEST_LOGIT / bins
    return np.array([1 / (1 + math.exp((bins / 2 - place) * width)) for place in range(1, bins)])


def mean_area(areas: list[Area | None]) -> Area | None:
    """Of one class against the rest, averaged over the classes where it is defined; bounds likewise."""
    known = [area for area in areas if area is not None]
    if not known:
        return None
    return Area(
        sum(area.value for area in known) / len(known), sum(area.bound for area in known) / len(known)
    )
