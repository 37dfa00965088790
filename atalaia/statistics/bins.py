"""How a column is counted: vectors of fixed length that add up, whatever the parts and their order."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
AnyArray = npt.NDArray[Any]

FEWEST_NUMBERS = 11
"""Fewer distinct numbers are counted as categories: KS on 5 levels has a tenth of the power."""
MOST_VALUES = 16_384
"""Distinct reference values up to which every one has a bin of its own."""
MOST_CATEGORIES = 1_000
"""Categories beyond the most frequent share a bin."""


class ReferenceColumn(Protocol):
    """A column of the reference, condensed; `atalaia.bundles.reference.Distribution` is one."""

    @property
    def values(self) -> AnyArray:
        """Distinct values (u,), rising, in the served dtype, without missing ones."""

    @property
    def counts(self) -> IntArray:
        """How often each is there (u,)."""

    @property
    def missing(self) -> int:
        """Rows without a value."""


class Bins(Protocol):
    """Counts of a column; what tests share. The last count is that of the missing values."""

    @property
    def expected(self) -> IntArray:
        """The reference's own counts."""

    def count(self, values: AnyArray) -> IntArray:
        """Counts of some rows, as long as ``expected``; those of parts add up to those of the whole."""


class ValueBins:
    """A count for each reference value and each gap between values: all that the ranks of two samples need.

    Over u values there are 2u + 1 bins, rising: below the first, at the first, between the first and the
    second, at the second, ..., above the last; and one more for missing. The empirical distribution function
    of the reference is constant within a gap, so its distance to any other is exact.

    Beyond 16,384 distinct values the bins are those of a grid of reference quantiles. A distance D between
    distribution functions is then too small by at most ``resolution``, the largest share of the reference
    within one gap (about 1/16,384; 0 where every value has its bin).

    Parameters
    ----------
    reference : a numeric column in the served dtype

    Raises
    ------
    ValueError
        when the reference has no value.

    >>> bins = ValueBins(reference_of(np.array([1.0, 2.0, 2.0, 4.0])))
    >>> bins.expected.tolist()
    [0, 1, 0, 2, 0, 1, 0, 0]
    >>> bins.count(np.array([np.nan, 0.5, 2.0, 3.0, 3.5, 9.0])).tolist()
    [1, 0, 0, 1, 2, 0, 1, 1]
    """

    def __init__(self, reference: ReferenceColumn) -> None:
        if not len(reference.values):
            raise ValueError("the reference column has no value, expected at least one that is not missing")
        self._dtype = _comparable(reference.values.dtype)
        values = reference.values.astype(self._dtype)
        rows = int(reference.counts.sum())
        self.values = values[_grid(reference.counts, rows)] if len(values) > MOST_VALUES else values
        place = _places(self.values, values)
        self.expected = np.append(
            np.bincount(place, weights=reference.counts, minlength=2 * len(self.values) + 1),
            reference.missing,
        ).astype(np.int64)
        self.resolution = float(self.expected[:-1:2].max() / rows)

    def count(self, values: AnyArray) -> IntArray:
        """Counts (2u + 2,) of numbers (n,), NaN where missing.

        Sorting first is what makes this fast: numpy sorts hundreds of millions of floats a second, and a
        search for a sorted key starts where the last one ended.
        """
        ordered = np.sort(_cast(values, self._dtype))
        present = int(np.searchsorted(ordered, np.nan, "left")) if ordered.dtype.kind == "f" else len(ordered)
        counts = np.empty(2 * len(self.values) + 2, np.int64)
        counts[-1] = len(ordered) - present
        ordered = ordered[:present]
        if present > 2 * len(self.values):
            edges = np.empty(2 * len(self.values) + 2, np.int64)
            edges[0], edges[-1] = 0, present
            edges[1:-1:2] = np.searchsorted(ordered, self.values, "left")
            edges[2:-1:2] = np.searchsorted(ordered, self.values, "right")
            np.subtract(edges[1:], edges[:-1], out=counts[:-1])
        else:
            counts[:-1] = np.bincount(_places(self.values, ordered), minlength=2 * len(self.values) + 1)
        return counts


class CategoryBins:
    """A count for each reference value, one for all rarer values, one for unseen ones, one for missing.

    The 1,000 most frequent values have a bin each, in rising order; values of the reference beyond them share
    one. Numbers and strings alike.

    Parameters
    ----------
    reference : a column of numbers or strings

    >>> bins = CategoryBins(reference_of(np.array(["a", "b", "b", None], np.object_)))
    >>> bins.count(np.array(["b", "new", None], np.object_)).tolist()  # a, b, rarer, unseen, missing
    [0, 1, 0, 1, 1]
    >>> bins.count_places(np.array([0, 0, -1]), ["b", "a"]).tolist()
    [0, 2, 0, 0, 1]
    """

    def __init__(self, reference: ReferenceColumn) -> None:
        known = reference.values
        self.numeric = known.dtype.kind not in "USO"
        self._dtype = _comparable(known.dtype) if self.numeric else np.dtype(np.object_)
        known = known.astype(self._dtype)
        kept = np.arange(len(known))
        if len(known) > MOST_CATEGORIES:
            kept = np.sort(np.argsort(-reference.counts, kind="stable")[:MOST_CATEGORIES])
        self.values = known[kept]
        self.singletons = int((reference.counts == 1).sum())
        slots = np.full(len(known), len(kept))
        slots[kept] = np.arange(len(kept))
        self._slots = slots
        self._known = known
        self._slot_of = dict(zip(known.tolist(), slots.tolist(), strict=True))
        counts = np.bincount(slots, weights=reference.counts, minlength=len(kept) + 1)
        self.expected = np.concatenate([counts, [0, reference.missing]]).astype(np.int64)

    def count(self, values: AnyArray) -> IntArray:
        """Counts (k + 3,) of numbers (n,), NaN where missing, or of strings (n,), None where missing."""
        if self.numeric:
            return self._count_numbers(_cast(values, self._dtype))
        unseen = len(self.values) + 1
        slots = [
            unseen + 1 if value is None else self._slot_of.get(value, unseen) for value in values.tolist()
        ]
        return np.bincount(np.array(slots, np.int64), minlength=len(self.expected))

    def count_places(self, places: IntArray, categories: Sequence[str]) -> IntArray:
        """Counts (k + 3,) of strings given as places (n,) in a list, -1 where missing, as in records."""
        unseen = len(self.values) + 1
        slots = np.array([unseen + 1, *(self._slot_of.get(name, unseen) for name in categories)], np.int64)
        often = np.bincount(places + 1, minlength=len(slots))
        return np.bincount(slots, weights=often, minlength=len(self.expected)).astype(np.int64)

    def _count_numbers(self, values: AnyArray) -> IntArray:
        distinct, often = np.unique(values, return_counts=True, equal_nan=True)
        slots = np.full(len(distinct), len(self.values) + 1)
        if len(self._known):
            near = np.minimum(np.searchsorted(self._known, distinct), len(self._known) - 1)
            same = self._known[near] == distinct
            slots[same] = self._slots[near[same]]
        slots[np.isnan(distinct)] = len(self.values) + 2
        return np.bincount(slots, weights=often, minlength=len(self.expected)).astype(np.int64)


class _Column:
    """A condensed column made on the spot."""

    def __init__(self, values: AnyArray, counts: IntArray, missing: int) -> None:
        self.values, self.counts, self.missing = values, counts, missing


def reference_of(values: AnyArray) -> ReferenceColumn:
    """Numbers (m,), NaN where missing, or strings (m,), None where missing, condensed in their own dtype."""
    if values.dtype.kind == "O":
        present = np.array([value for value in values.tolist() if value is not None], np.str_)
    else:
        present = values[~np.isnan(values)] if values.dtype.kind == "f" else values
        present = present + np.zeros((), values.dtype)  # -0 = 0
    distinct, counts = np.unique(present, return_counts=True)
    return _Column(distinct, counts.astype(np.int64), len(values) - len(present))


def bins_of(reference: ReferenceColumn) -> ValueBins | CategoryBins:
    """Bins of values for numbers with more than 10 distinct ones, else of categories.

    >>> type(bins_of(reference_of(np.arange(11.0)))).__name__
    'ValueBins'
    >>> type(bins_of(reference_of(np.arange(10.0)))).__name__
    'CategoryBins'
    """
    numeric = reference.values.dtype.kind in "fiu"
    if numeric and len(reference.values) >= FEWEST_NUMBERS:
        return ValueBins(reference)
    return CategoryBins(reference)


def _comparable(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype to compare in: the served one, but whole numbers as float64, which can also be NaN."""
    return np.dtype(np.float32 if dtype in (np.float16, np.float32) else np.float64)


def _cast(values: AnyArray, dtype: np.dtype[Any]) -> AnyArray:
    with np.errstate(over="ignore"):
        return values.astype(dtype, copy=False)


def _places(bins: AnyArray, values: AnyArray) -> npt.NDArray[np.intp]:
    """The bin of each value among 2u + 1."""
    left = np.searchsorted(bins, values, "left")
    at_value = bins.take(left, mode="clip") == values
    places: npt.NDArray[np.intp] = 2 * left + at_value
    return places


def _grid(counts: IntArray, rows: int) -> npt.NDArray[np.intp]:
    """Places of the values at evenly spaced ranks, the lowest and the highest value among them."""
    ranks = np.linspace(0, rows, MOST_VALUES)
    places = np.searchsorted(np.cumsum(counts), ranks, "left")
    return np.unique(np.minimum(places, len(counts) - 1))
