"""Which bins a column gets, and what falls where."""

import numpy as np
import pytest

from atalaia.bundles.reference import Distribution
from atalaia.statistics.bins import MOST_CATEGORIES, CategoryBins, ValueBins, bins_of, reference_of


def test_a_bundles_distribution_is_a_reference_column() -> None:
    column = np.array([-0.0, 0.0, 0.5, np.nan])
    assert CategoryBins(Distribution.of_numbers(column, "FP32")).expected.tolist() == [2, 1, 0, 0, 1]
    strings = Distribution.of_strings(np.array(["b", None, "a"], np.object_))
    assert bins_of(strings).expected.tolist() == [1, 1, 0, 0, 1]


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float16, np.float32, np.float64])
def test_eleven_distinct_numbers_are_values_and_ten_are_categories(dtype: type) -> None:
    assert isinstance(bins_of(reference_of(np.arange(11).astype(dtype))), ValueBins)
    assert isinstance(bins_of(reference_of(np.arange(10).astype(dtype))), CategoryBins)


def test_flags_are_categories_and_so_are_columns_without_values() -> None:
    assert bins_of(reference_of(np.array([True, False, True]))).expected.tolist() == [1, 2, 0, 0, 0]
    empty = bins_of(reference_of(np.full(7, np.nan)))
    assert empty.expected.tolist() == [0, 0, 7]
    assert empty.count(np.array([1.0, np.nan])).tolist() == [0, 1, 1]


def test_few_rows_and_many_are_counted_alike() -> None:
    rng = np.random.default_rng(0)
    bins = ValueBins(reference_of(rng.normal(size=50).round(1)))
    rows = rng.normal(size=5000).round(1)
    rows[::17] = np.nan
    assert (bins.count(rows) == sum(bins.count(row) for row in np.split(rows, 1000))).all()


def test_whole_numbers_are_compared_as_such_and_may_be_missing() -> None:
    bins = bins_of(reference_of(np.arange(20)))
    counts = bins.count(np.array([3.0, 3.5, np.nan]))
    assert counts[[7, 8, -1]].tolist() == [1, 1, 1]
    assert bins.count(np.array([3], np.int32))[7] == 1


def test_beyond_a_thousand_categories_the_rarer_share_a_bin() -> None:
    frequent = np.repeat(np.arange(MOST_CATEGORIES), 2)
    reference = np.concatenate([frequent, MOST_CATEGORIES + np.arange(500)]).astype(np.float64)
    bins = CategoryBins(reference_of(reference))
    assert len(bins.expected) == MOST_CATEGORIES + 3
    assert bins.expected[-3:].tolist() == [500, 0, 0]
    assert bins.singletons == 500
    assert bins.count(np.array([5.0, 1200.0, 9999.0]))[[5, -3, -2]].tolist() == [1, 1, 1]


def test_strings_count_alike_as_words_and_as_places_in_a_list() -> None:
    bins = CategoryBins(reference_of(np.array(["f", "m", "m"], np.object_)))
    words = np.array(["m", None, "x", "m", "f"], np.object_)
    places = np.array([1, -1, 2, 1, 0])
    assert (bins.count(words) == bins.count_places(places, ["f", "m", "x"])).all()
    assert (
        bins.count(np.empty(0, np.object_)).tolist() == bins.count_places(np.empty(0, np.int64), []).tolist()
    )
