"""Intervals against published examples and scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm
from scipy.stats.contingency import relative_risk

from atalaia.statistics.intervals import Mean, difference_of_means, newcombe, quantile, ratio, wilson

LEVELS = st.sampled_from([0.9, 0.95, 0.999, 1 - 0.001 / 28, 1 - 0.001 / 630])


@st.composite
def rates(draw: st.DrawFn, *, inside: bool = False) -> tuple[int, int]:
    trials = draw(st.integers(2 if inside else 1, 5000))
    return draw(st.integers(inside, trials - inside)), trials


@given(rate=rates(), level=LEVELS)
def test_wilson_is_scipys(rate: tuple[int, int], level: float) -> None:
    expected = binomtest(*rate).proportion_ci(level, method="wilson")
    assert wilson(*rate, level) == pytest.approx((expected.low, expected.high), abs=1e-12)


# Newcombe (1998), table II, method 10.
@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((0, 10, 0, 10), -0.2775, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0000),
        ((10, 10, 0, 10), 0.6075, 1.0000),
    ],
)
def test_newcombe_gives_newcombes_own_examples(
    counts: tuple[int, int, int, int], low: float, high: float
) -> None:
    assert newcombe(*counts, 0.95) == pytest.approx((low, high), abs=5e-5)


@given(first=rates(), second=rates(), level=LEVELS)
def test_swapping_the_rates_turns_the_interval_of_the_difference_round(
    first: tuple[int, int], second: tuple[int, int], level: float
) -> None:
    low, high = newcombe(*first, *second, level)
    assert newcombe(*second, *first, level) == pytest.approx((-high, -low), abs=1e-12)
    assert -1 - 1e-12 <= low <= first[0] / first[1] - second[0] / second[1] <= high <= 1 + 1e-12


@given(first=rates(inside=True), second=rates(inside=True), level=LEVELS)
def test_the_ratio_of_rates_within_zero_and_one_is_scipys(
    first: tuple[int, int], second: tuple[int, int], level: float
) -> None:
    expected = relative_risk(*first, *second).confidence_interval(level)
    assert ratio(*first, *second, level) == pytest.approx((expected.low, expected.high), rel=1e-9)


@pytest.mark.parametrize("counts", [(0, 50, 20, 50), (20, 50, 0, 50), (50, 50, 20, 50), (0, 50, 0, 50)])
def test_a_zero_count_adds_one_half_to_every_cell(counts: tuple[int, int, int, int]) -> None:
    k1, n1, k2, n2 = counts
    p1, p2 = (k1 + 0.5) / (n1 + 1), (k2 + 0.5) / (n2 + 1)
    spread = norm.ppf(0.975) * np.sqrt(1 / (k1 + 0.5) - 1 / (n1 + 1) + 1 / (k2 + 0.5) - 1 / (n2 + 1))
    expected = p1 / p2 * np.exp([-spread, spread])
    assert ratio(*counts, 0.95) == pytest.approx(tuple(expected), rel=1e-12)


def test_two_rates_of_one_have_a_ratio_that_is_not_certain() -> None:
    low, high = ratio(30, 30, 30, 30, 0.95)
    assert low < 0.95
    assert high > 1.05


def test_nothing_is_said_without_trials() -> None:
    for interval in (wilson(0, 0, 0.95), newcombe(0, 0, 1, 2, 0.95), ratio(1, 2, 0, 0, 0.95)):
        assert np.isnan(interval).all()


def test_arrays_are_answered_entry_by_entry() -> None:
    low, high = wilson(np.array([3, 0]), np.array([40, 0]), 0.95)
    assert (low[0], high[0]) == wilson(3, 40, 0.95)
    assert np.isnan([low[1], high[1]]).all()


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, 95.0])
def test_a_level_that_is_none_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="expected one between 0 and 1"):
        quantile(level)


def test_wilson_covers_the_true_rate_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    for rate in (0.1, 0.3, 0.5):
        low, high = wilson(generator.binomial(200, rate, 20_000), 200, 0.95)
        assert np.mean((low <= rate) & (rate <= high)) == pytest.approx(0.95, abs=0.02)


def test_the_difference_of_means_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.normal(1, 2, (4000, 100)), generator.normal(0.5, 1, (4000, 60))
    inside = 0
    for one, other in zip(first, second, strict=True):
        low, high = difference_of_means(
            Mean(one.mean(), one.var(), 100), Mean(other.mean(), other.var(), 60), 0.95
        )
        inside += low <= 0.5 <= high
    assert inside / 4000 == pytest.approx(0.945, abs=0.012)
