"""KS by reference counts against scipy, where scipy sees the raw rows."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from atalaia.statistics.bins import MOST_VALUES, AnyArray, ValueBins, reference_of
from atalaia.statistics.comparison import TestResult
from atalaia.statistics.ks import KolmogorovSmirnov


def _result(reference: AnyArray, window: AnyArray, **settings: float) -> TestResult:
    ks = KolmogorovSmirnov(ValueBins(reference_of(reference)), **settings)
    return ks.result(ks.count(window))


@pytest.mark.parametrize("seed", range(40))
def test_distance_and_p_are_those_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, n = rng.integers(2, 3000, 2)
    decimals = int(rng.integers(0, 4))
    dtype = (np.float32, np.float64)[seed % 2]
    reference = rng.normal(size=m).round(decimals).astype(dtype)
    window = rng.normal(rng.choice([0.0, 0.1, 3.0]), size=n).round(decimals).astype(dtype)
    expected = ks_2samp(window, reference, method="asymp")
    result = _result(reference, window)
    assert result.statistic == pytest.approx(expected.statistic, abs=1e-12)
    assert result.p_value == pytest.approx(expected.pvalue, abs=1e-12)
    assert result.n == n


def test_a_million_rows_against_a_million() -> None:
    rng = np.random.default_rng(5)
    reference, window = rng.normal(size=10_000), rng.normal(0.01, size=1_000_000)
    expected = ks_2samp(window, reference, method="asymp")
    result = _result(reference, window)
    assert result.statistic == pytest.approx(expected.statistic, abs=1e-12)
    assert result.p_value == pytest.approx(expected.pvalue, abs=1e-12)


def test_missing_values_take_no_part() -> None:
    reference, window = np.array([1.0, 2.0, np.nan, 3.0]), np.array([np.nan, 2.5, np.nan])
    assert _result(reference, window).n == 1
    assert _result(reference, window) == _result(np.array([1.0, 2.0, 3.0]), np.array([2.5]))


def test_infinities_lie_beyond_every_value() -> None:
    reference = np.arange(10.0)
    assert _result(reference, np.full(10, np.inf)).statistic == 1.0
    assert _result(reference, np.full(10, -np.inf)).statistic == 1.0


def test_a_window_without_values_is_undefined() -> None:
    assert _result(np.arange(10.0), np.full(5, np.nan)) == TestResult.undefined("no values")
    assert _result(np.arange(10.0), np.empty(0)).p_value is None


def test_one_row_and_a_constant_column_have_a_result() -> None:
    assert _result(np.zeros(1000), np.zeros(500)).statistic == 0.0
    assert _result(np.zeros(1000), np.ones(1)).statistic == 1.0


def test_a_stream_of_doubles_is_cast_to_the_served_dtype_before_counting() -> None:
    # 0.1 in float64 is another number than 0.1 in float32: from nothing, D = 1.
    reference = np.full(100, 0.1, np.float32)
    assert _result(reference, np.full(100, 0.1)).statistic == 0.0


def test_a_double_too_large_for_the_served_dtype_counts_as_infinite() -> None:
    assert _result(np.arange(10, dtype=np.float32), np.array([1e300])).statistic == 1.0


def test_minus_zero_is_zero() -> None:
    reference = np.repeat([0.0, 1.0], 50)
    assert _result(-reference, -np.repeat([0.0, 1.0], 50)).statistic == 0.0
    assert _result(np.repeat([-0.0, 1.0], 50), reference).statistic == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_beyond_the_bound_a_grid_is_too_small_by_no_more_than_it_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference, window = rng.normal(size=60_000), rng.normal(0.02 * seed, 1 + 0.1 * seed, size=20_000)
    bins = ValueBins(reference_of(reference))
    assert len(bins.values) <= MOST_VALUES
    assert 0 < bins.resolution <= 2 / MOST_VALUES
    ks = KolmogorovSmirnov(bins)
    exact = float(ks_2samp(window, reference, method="asymp").statistic)
    found = ks.result(ks.count(window)).statistic
    assert found is not None
    assert exact - bins.resolution <= found <= exact + 1e-12


def test_up_to_the_bound_nothing_is_lost() -> None:
    assert ValueBins(reference_of(np.arange(float(MOST_VALUES)))).resolution == 0.0


@pytest.mark.parametrize("seed", range(10))
def test_against_an_earlier_window_the_distance_errs_on_the_quiet_side_by_one_gap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ks = KolmogorovSmirnov(ValueBins(reference_of(rng.normal(size=2000))))
    window, earlier = rng.normal(0.1, size=700), rng.normal(size=900)
    exact = float(ks_2samp(window, earlier, method="asymp").statistic)
    counts, before = ks.count(window), ks.count(earlier)
    found = ks.result(counts, before).statistic
    assert found is not None
    gap = max((counts[:-1:2] / 700).max(), (before[:-1:2] / 900).max())
    assert exact - gap <= found <= exact + 1e-12


def test_dependent_rows_tell_less() -> None:
    rng = np.random.default_rng(0)
    reference, window = rng.normal(size=1000), rng.normal(0.2, size=500)
    alone, dependent = _result(reference, window), _result(reference, window, dependence=4.0)
    assert dependent.statistic == alone.statistic
    assert alone.p_value is not None
    assert dependent.p_value is not None
    assert dependent.p_value > 10 * alone.p_value
    with pytest.raises(ValueError, match=r"dependence factor is 0\.5"):
        _result(reference, window, dependence=0.5)


def test_a_reference_without_values_is_refused() -> None:
    with pytest.raises(ValueError, match="has no value"):
        ValueBins(reference_of(np.full(5, np.nan)))
