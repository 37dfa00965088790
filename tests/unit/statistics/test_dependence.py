"""The factor of dependent rows: 1 for independent ones, and p-values that hold with it."""

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.special import kolmogi

from atalaia.statistics.bins import FloatArray, bins_of, reference_of
from atalaia.statistics.chi2 import compare_categories
from atalaia.statistics.dependence import (
    MARGIN,
    MEDIAN_DISTANCE,
    dependence_factor,
    dependence_factor_of_categories,
)
from atalaia.statistics.ks import KolmogorovSmirnov


def _series(rng: np.random.Generator, rows: int, autocorrelation: float) -> FloatArray:
    noise = rng.normal(size=rows + 100) * np.sqrt(1 - autocorrelation**2)
    return np.asarray(lfilter([1.0], [1.0, -autocorrelation], noise)[100:], np.float64)


def _factor(seed: int, autocorrelation: float) -> tuple[float, KolmogorovSmirnov, np.random.Generator]:
    rng = np.random.default_rng(seed)
    ks = KolmogorovSmirnov(bins_of(reference_of(_series(rng, 20_000, autocorrelation))))
    distances = [ks.result(ks.count(_series(rng, 500, autocorrelation))).statistic for _ in range(200)]
    factor = dependence_factor(np.array(distances, np.float64), np.full(200, 500.0), 20_000, margin=1.0)
    return factor, ks, rng


def test_the_constant_is_the_median_of_kolmogorovs_distribution() -> None:
    assert pytest.approx(float(kolmogi(0.5)), rel=1e-12) == MEDIAN_DISTANCE


def test_independent_rows_have_a_factor_of_about_one() -> None:
    assert all(1 <= _factor(seed, 0.0)[0] < 1.3 for seed in range(5))


def test_with_the_factor_the_p_values_of_a_series_hold() -> None:
    factor, ks, rng = _factor(3, 0.5)
    assert 1.3 < factor < 2.5
    corrected = KolmogorovSmirnov(ks.bins, dependence=factor * MARGIN)
    counts = [ks.count(_series(rng, 500, 0.5)) for _ in range(400)]
    wrong = np.mean([(ks.result(count).p_value or 0.0) <= 0.01 for count in counts])
    right = np.mean([(corrected.result(count).p_value or 0.0) <= 0.01 for count in counts])
    assert wrong > 0.05
    assert right <= 0.03


def test_categories_have_a_factor_too() -> None:
    rng = np.random.default_rng(0)
    reference = rng.multinomial(20_000, [0.5, 0.3, 0.2])
    # Each draw counts four times: as many rows of one patient.
    results = [compare_categories(4 * rng.multinomial(125, [0.5, 0.3, 0.2]), reference) for _ in range(200)]
    assert 3 < dependence_factor_of_categories(results, 3, margin=1.0) < 5


def test_too_few_windows_are_refused() -> None:
    with pytest.raises(ValueError, match="39 held-out windows, expected at least 40"):
        dependence_factor(np.full(39, 0.1), np.full(39, 500.0), 1000)
