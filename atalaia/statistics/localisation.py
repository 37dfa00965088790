"""Where a column drifted: which values became more or less frequent, and since when."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from atalaia.statistics.bins import CategoryBins, FloatArray, IntArray, ValueBins


@dataclass(frozen=True, slots=True)
class Change:
    """A range of values, or one category, and its share of the window and of the reference.

    Numbers: ``low`` <= value <= ``high``, None where it is open. ``places`` are the bins it covers.
    """

    share: float
    reference_share: float
    places: slice
    low: float | None = None
    high: float | None = None
    category: str | float | None = None

    @property
    def difference(self) -> float:
        """How much the share grew; below 0 where it shrank."""
        return self.share - self.reference_share


def localise(
    bins: ValueBins | CategoryBins, window: IntArray, reference: IntArray | None = None
) -> tuple[Change, Change] | None:
    """The range of values whose share grew most, and the one whose share shrank most; None without values.

    The share of (a, b] grew by d(b) - d(a), d = F_window - F_reference. The largest rise and fall of d are
    at least D in size, but chance stretches them over values that did not move; so, of the ranges within
    with 90 % of that change, the one with the fewest rows (to a 256th of the range's bins).

    Parameters
    ----------
    bins : of the column
    window, reference : counts of these bins; the reference's own where None

    >>> from atalaia.statistics.bins import reference_of
    >>> bins = ValueBins(reference_of(np.arange(100.0)))
    >>> grew, shrank = localise(bins, bins.count(np.arange(30.0, 130.0)))
    >>> (grew.low, grew.high, round(grew.difference, 2)), (shrank.low, shrank.high)
    ((99.0, None, 0.3), (0.0, 26.0))
    """
    expected = bins.expected if reference is None else reference
    if not window[:-1].sum() or not expected[:-1].sum():
        return None
    if isinstance(bins, CategoryBins):
        grown = window[:-1] / window[:-1].sum() - expected[:-1] / expected[:-1].sum()
        grew, shrank = (slice(int(at), int(at) + 1) for at in (grown.argmax(), grown.argmin()))
    else:
        # Whole numbers, since rounding would put the ends of a range anywhere on a level stretch.
        now, then = np.cumsum(window[:-1]), np.cumsum(expected[:-1])
        heights = np.append(0, now * then[-1] - then * now[-1])
        mass = np.append(0, now * then[-1] + then * now[-1])
        grew, shrank = _range_of_rise(heights, mass), _range_of_rise(-heights, mass)
    return _change(bins, window, expected, grew), _change(bins, window, expected, shrank)


def since(panes: Sequence[IntArray] | IntArray, change: Change) -> int:
    """The place of the first pane after which the share of a range changed, of panes in order of time.

    The split that makes the counts likeliest, one binomial share before it and another from it on.

    Source: Hinkley, Hinkley (1970), Inference about the change-point in a sequence of binomial variables.

    Parameters
    ----------
    panes : counts (panes, width) of the same bins, some before the change
    change : what `localise` found

    >>> shape = np.array([[90, 10, 0], [88, 12, 0], [0, 0, 0], [60, 40, 0], [63, 37, 0]])
    >>> since(shape, Change(share=0.4, reference_share=0.1, places=slice(1, 2)))
    3
    """
    counts = np.asarray(panes)
    inside = counts[:, change.places].sum(axis=1).astype(np.float64)
    rows = counts[:, :-1].sum(axis=1).astype(np.float64)
    filled = np.flatnonzero(rows)
    if len(filled) < 2:
        return int(filled[0]) if len(filled) else 0
    before, rows_before = np.cumsum(inside[filled])[:-1], np.cumsum(rows[filled])[:-1]
    after, rows_after = inside.sum() - before, rows.sum() - rows_before
    likelihood = _likelihood(before, rows_before) + _likelihood(after, rows_after)
    # A window that lies whole after the change has no better split than none.
    whole = float(_likelihood(inside.sum(keepdims=True), rows.sum(keepdims=True))[0])
    best = int(likelihood.argmax())
    return int(filled[best + 1]) if likelihood[best] - whole > _LEAST_GAIN else int(filled[0])


_LEAST_GAIN = 8.0
"""Log-likelihood that a split must gain; of 1,000 panes that did not change, the best rarely gains it."""


def _likelihood(k: FloatArray, n: FloatArray) -> FloatArray:
    return np.asarray(xlogy(k, k / n) + xlogy(n - k, 1 - k / n), np.float64)


_ENOUGH = 0.9
_CANDIDATES = 256


def _range_of_rise(heights: IntArray, mass: IntArray) -> slice:
    """The bins of least mass between which ``heights`` (bins + 1,) rises nearly as much as it ever does."""
    lowest = np.minimum.accumulate(heights)
    end = int((heights - lowest).argmax())
    start = int(heights[: end + 1].argmin())
    most = heights[end] - heights[start]
    ends = np.unique(np.linspace(start, end, min(end - start, _CANDIDATES) + 1).astype(np.int64))
    rise = heights[ends][None, :] - heights[ends][:, None]
    rows = np.where(rise >= _ENOUGH * most, mass[ends][None, :] - mass[ends][:, None], np.iinfo(np.int64).max)
    rows[np.tril_indices(len(ends))] = np.iinfo(np.int64).max
    if len(ends) == 1:
        return slice(start, max(end, start + 1))
    # Of ranges that differ by empty bins, the shortest.
    firsts, lasts = np.nonzero(rows == rows.min())
    shortest = int((ends[lasts] - ends[firsts]).argmin())
    first, last = firsts[shortest], lasts[shortest]
    return slice(int(ends[first]), int(ends[last]))


def _change(bins: ValueBins | CategoryBins, window: IntArray, expected: IntArray, places: slice) -> Change:
    share = float(window[places].sum() / window[:-1].sum())
    reference_share = float(expected[places].sum() / expected[:-1].sum())
    if isinstance(bins, CategoryBins):
        at = places.start
        names: list[str | float | None] = [*bins.values.tolist(), "(rarer)", "(unseen)"]
        return Change(share, reference_share, places, category=names[at])
    values = bins.values
    # Bin 2i + 1 is at value i, bin 2i between value i - 1 and value i.
    low, high = places.start // 2, (places.stop - 1) // 2
    starts_in_gap, ends_in_gap = places.start % 2 == 0, (places.stop - 1) % 2 == 0
    return Change(
        share,
        reference_share,
        places,
        low=None if starts_in_gap and low == 0 else float(values[low - starts_in_gap]),
        high=None if ends_in_gap and high == len(values) else float(values[high]),
    )
