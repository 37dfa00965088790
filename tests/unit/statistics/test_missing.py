"""Missing values: chi-squared where they are common, exactly where they are rare."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency, fisher_exact

from atalaia.statistics.bins import bins_of, reference_of
from atalaia.statistics.comparison import TestResult
from atalaia.statistics.missing import Missing


def _column(present: int, missing: int) -> np.ndarray:
    return np.concatenate([np.arange(float(present)), np.full(missing, np.nan)])


def _result(reference: tuple[int, int], window: tuple[int, int]) -> TestResult:
    test = Missing(bins_of(reference_of(_column(*reference))))
    return test.result(test.count(_column(*window)))


def test_common_ones_are_compared_as_scipy_does() -> None:
    expected = chi2_contingency([[400, 100], [900, 100]], correction=False)
    result = _result((900, 100), (400, 100))
    assert (result.statistic, result.p_value) == pytest.approx(
        (expected.statistic, expected.pvalue), rel=1e-12
    )
    assert result.effect == pytest.approx(0.1)
    assert result.ratio == pytest.approx(2.0)
    assert result.n == 500


def test_the_first_ones_ever_are_found_exactly() -> None:
    result = _result((1000, 0), (490, 10))
    assert result.p_value == pytest.approx(
        fisher_exact(np.array([[10, 490], [0, 1000]]), alternative="greater").pvalue
    )


def test_none_on_either_side_is_constant() -> None:
    assert _result((1000, 0), (500, 0)).why == "constant"


def test_a_column_that_is_all_missing_is_found_and_one_that_always_was_is_not() -> None:
    found = _result((1000, 0), (0, 500)).p_value
    assert found is not None
    assert found < 1e-100
    assert _result((0, 1000), (0, 500)).why == "constant"


def test_against_an_earlier_window_both_decide() -> None:
    test = Missing(bins_of(reference_of(_column(1000, 0))))
    result = test.result(test.count(_column(400, 100)), test.count(_column(500, 0)))
    expected = chi2_contingency([[400, 100], [500, 0]], correction=False)
    assert result.p_value == pytest.approx(expected.pvalue, rel=1e-9)
