"""All tests of a column, counted once."""

import numpy as np
import pytest

from atalaia.statistics.bins import AnyArray, Bins, IntArray, bins_of, reference_of
from atalaia.statistics.comparison import DriftTest, TestResult
from atalaia.statistics.drift import TESTS, ColumnTests


def test_numbers_and_categories_get_their_own_tests() -> None:
    numbers = ColumnTests("sodium", reference_of(np.arange(100.0)))
    assert [test.name for test in numbers.tests] == ["ks", "missing", "psi"]
    flags = ColumnTests("flag", reference_of(np.repeat([0.0, 1.0], 50)))
    assert [test.name for test in flags.tests] == ["chi2", "unseen", "missing", "psi"]


def test_only_the_named_ones_run() -> None:
    column = ColumnTests("sodium", reference_of(np.arange(100.0)), tests=["psi", "chi2"])
    assert [measured.test for measured in column.results(column.count(np.arange(50.0)))] == ["psi"]
    with pytest.raises(ValueError, match="no drift test is called kolmogorov; there are ks, chi2"):
        ColumnTests("sodium", reference_of(np.arange(100.0)), tests=["kolmogorov"])


def test_tests_that_share_bins_share_their_counts() -> None:
    column = ColumnTests("sodium", reference_of(np.arange(100.0)))
    assert column.width == len(bins_of(reference_of(np.arange(100.0))).expected)


class _Signs:
    """Bins of a test that is not content with the column's."""

    expected = np.array([50, 50, 0], np.int64)

    def count(self, values: AnyArray) -> IntArray:
        return np.array([(values < 0).sum(), (values >= 0).sum(), np.isnan(values).sum()], np.int64)


class _SignTest(DriftTest):
    name = "sign"

    def __init__(self, bins: Bins, *, dependence: float = 1.0) -> None:
        super().__init__(_Signs(), dependence=dependence)
        self.columns_bins = bins

    @classmethod
    def suits(cls, bins: Bins) -> bool:
        return len(bins.expected) > 0

    def compare(self, window: IntArray, reference: IntArray) -> TestResult:
        share = float(window[0] / window[:-1].sum())
        return TestResult(share, None, abs(share - reference[0] / reference[:-1].sum()), int(window.sum()))


def test_a_test_may_bring_bins_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TESTS, "sign", _SignTest)
    column = ColumnTests("delta", reference_of(np.linspace(-1, 1, 100)))
    counts = column.count(np.array([-3.0, -2.0, -1.0, 4.0]))
    assert len(counts) == column.width == 203 + 2 - 1 - 2 + 3 - 1 + 1
    results = {measured.test: measured.result for measured in column.results(counts)}
    assert results["sign"].statistic == 0.75
    assert results["missing"].n == 4
    assert column.results(counts, counts)[0].result.statistic == 0.0


@pytest.mark.parametrize("reference", [np.zeros(2000), np.full(2000, np.nan), np.zeros(0)])
def test_a_constant_or_empty_reference_says_nothing_of_a_window_like_it(reference: np.ndarray) -> None:
    column = ColumnTests("constant", reference_of(reference))
    assert column.constant
    for window in (reference[:600], np.zeros(0)):
        for measured in column.results(column.count(window)):
            assert measured.result.p_value in (None, 1.0)


def test_places_in_a_list_count_as_the_strings_they_stand_for() -> None:
    words = np.array(["f", "m", None, "f", "x"], np.object_)
    places = np.array([1, 0, -1, 1, 2])
    column = ColumnTests("sex", reference_of(words[:4]))
    assert column.count_places(places, ["m", "f", "x"]).tolist() == column.count(words).tolist()
